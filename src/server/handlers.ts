/**
 * One handler a message; a missing or mis-typed one does not compile. A handler only forwards.
 */
import type { ApiKey, ApiKeys } from "../engine/api_keys.ts";
import type { Answer, Database, Written } from "../engine/database.ts";
import type { InsertBatch } from "../engine/insert_batch.ts";
import { DatabaseError } from "../protocol/errors.ts";
import type { MESSAGES, MessageType, Request } from "../protocol/messages.ts";
import { readScope, type Scope } from "../protocol/scope.ts";
import type { ServerStatus } from "../protocol/server_status.ts";
import type { Connection } from "./connection.ts";
import type { Connections } from "./connections.ts";
import type { ServerLog } from "./server_log.ts";

export type Context = {
  readonly database: Database;
  readonly apiKeys: ApiKeys;
  readonly connections: Connections;
  /** Reused by every insert. */
  readonly batch: InsertBatch;
  readonly log: ServerLog;
  readonly status: () => Promise<Omit<ServerStatus, "connections">>;
  readonly nowMs: () => number;
};

/** A message whose reply is only its id waits to be written; the others answer JSON text. */
type Result<Type extends MessageType> = (typeof MESSAGES)[Type]["reply"] extends "ok" ? Written : Answer;

export type HandlerResult = Written | Answer;

export type Handlers = {
  readonly [Type in MessageType]: (
    context: Context,
    request: Request<Type>,
    connection: Connection,
  ) => Result<Type>;
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
  keys: (context, { action, key, scope }, connection) => {
    if (action === "list") return `"keys":${listKeys(context.apiKeys)},${STATUS_OK}`;
    if (action === "add")
      return addKey(context, connection, { key: checkKey(key), scope: checkScope(scope) });
    if (action === "remove") return removeKey(context, connection, checkKey(key));
    throw new DatabaseError("key_refused", "unknown action");
  },
  conn: ({ connections, nowMs }, _request, connection) => connections.render(connection, nowMs()),
  stat: async ({ status, connections }) =>
    JSON.stringify({ ...(await status()), connections: connections.size }),
};

const STATUS_OK = '"status":"ok"';

function checkKey(key: unknown): string {
  if (typeof key === "string" && key !== "") return key;
  throw new DatabaseError("key_refused", "api key cannot be empty");
}

function checkScope(text: unknown): Scope {
  const scope = readScope(text);
  if (scope !== undefined) return scope;
  throw new DatabaseError("key_refused", "invalid scope");
}

function listKeys(apiKeys: ApiKeys): string {
  return JSON.stringify(apiKeys.list().map(({ deletable, key, scope }) => ({ deletable, key, scope })));
}

function addKey(
  { apiKeys, log }: Context,
  { ip, name }: Connection,
  { key, scope }: { key: string; scope: Scope },
): Answer {
  const finish = (): string => {
    log.keyChanged({ ip, name, action: "add" });
    return `"scope":"${scope}",${STATUS_OK}`;
  };
  return apiKeys.add(key, scope)?.then(finish) ?? finish();
}

function removeKey({ apiKeys, connections, log }: Context, { ip, name }: Connection, key: string): Answer {
  const finish = (removed: ApiKey): string => {
    connections.revoke(removed);
    log.keyChanged({ ip, name, action: "remove" });
    return STATUS_OK;
  };
  const removed = apiKeys.remove(key);
  return removed instanceof Promise ? removed.then(finish) : finish(removed);
}
