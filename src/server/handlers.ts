/**
 * One handler a message; a missing or mis-typed one does not compile. A handler only forwards.
 */
import type { ApiKeys } from "../engine/api_keys.ts";
import type { Answer, Database, Written } from "../engine/database.ts";
import type { InsertBatch } from "../engine/insert_batch.ts";
import { DatabaseError } from "../protocol/errors.ts";
import type { MESSAGES, MessageType, Request } from "../protocol/messages.ts";
import { readScope } from "../protocol/scope.ts";
import type { Connection } from "./connection.ts";
import type { Connections } from "./connections.ts";
import type { ServerLog } from "./server_log.ts";

export type Context = {
  readonly database: Database;
  readonly apiKeys: ApiKeys;
  readonly connections: Connections;
  readonly connection: Connection;
  readonly batch: InsertBatch;
  readonly log: ServerLog;
  readonly nowMs: () => number;
};

/** A message whose reply is only its id waits to be written; the others answer JSON text. */
type Result<Type extends MessageType> = (typeof MESSAGES)[Type]["reply"] extends "ok" ? Written : Answer;

export type Handlers = {
  readonly [Type in MessageType]: (context: Context, request: Request<Type>) => Result<Type>;
};

export const HANDLERS: Handlers = {
  ins: ({ database, batch }, records) => {
    batch.clear();
    for (const record of records) batch.add(record);
    return database.insert(batch);
  },
  qry: ({ database }, query) => database.latest(query),
  cols: ({ database }) => database.collections(),
  qdoc: ({ database }, query) => database.history(query),
  ddoc: ({ database }, request) => database.deleteDocument(request),
  dcol: ({ database }, request) => database.deleteCollection(request),
  drec: ({ database }, record) => database.deleteRecords([record]),
  dmrec: ({ database }, records) => database.deleteRecords(records),
  drrng: ({ database }, range) => database.deleteRange(range),
  sval: ({ database }, request) => database.setValue(request),
  gval: ({ database }, query) => database.value(query),
  gvalues: ({ database }, query) => database.valuesMatching(query),
  rval: ({ database }, request) => database.removeValue(request),
  gvals: ({ database }, query) => database.values(query),
  gkeys: ({ database }, query) => database.valueKeys(query),
  keys: (context, { action, key, scope }) => {
    if (action === "list") return `"keys":${listKeys(context.apiKeys)},"status":"ok"`;
    if (action === "add") return addKey(context, checkKey(key), scope);
    if (action === "remove") return removeKey(context, checkKey(key));
    throw new DatabaseError("key_refused", "unknown action");
  },
  conn: ({ connections, connection, nowMs }) => connections.render(connection, nowMs()),
};

const REMOVED = '"status":"ok"';

function checkKey(key: unknown): string {
  if (typeof key === "string" && key !== "") return key;
  throw new DatabaseError("key_refused", "api key cannot be empty");
}

function listKeys(apiKeys: ApiKeys): string {
  return JSON.stringify(apiKeys.list().map(({ deletable, key, scope }) => ({ deletable, key, scope })));
}

function addKey({ apiKeys, connection, log }: Context, key: string, scopeText: unknown): Answer {
  const scope = readScope(scopeText);
  if (scope === undefined) throw new DatabaseError("key_refused", "invalid scope");
  const members = `"scope":"${scope}","status":"ok"`;
  const added = apiKeys.add(key, scope);
  log.keyChanged({ ip: connection.ip, name: connection.name, action: "add" });
  return added?.then(() => members) ?? members;
}

function removeKey({ apiKeys, connections, connection, log }: Context, key: string): Answer {
  const removed = apiKeys.remove(key);
  log.keyChanged({ ip: connection.ip, name: connection.name, action: "remove" });
  if (!(removed instanceof Promise)) {
    connections.revoke(removed);
    return REMOVED;
  }
  return removed.then((apiKey) => {
    connections.revoke(apiKey);
    return REMOVED;
  });
}
