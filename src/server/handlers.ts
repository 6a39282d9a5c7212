/**
 * One handler a message; a missing or mis-typed one does not compile. A handler only forwards.
 */
import type { Answer, IsVisible, RawRequest, Written } from "../engine/database.ts";
import { neverInline } from "../engine/never_inline.ts";
import type { MESSAGES, MessageType, Request } from "../protocol/messages.ts";
import type { Connection } from "./connection.ts";
import type { Context } from "./context.ts";
import type { FastType } from "./fast_request.ts";
import { changeKeys } from "./key_requests.ts";

/** A message whose reply is only its id waits to be written; the others answer JSON text. */
type Result<Type extends MessageType> = (typeof MESSAGES)[Type]["reply"] extends "ok" ? Written : Answer;

export type HandlerResult = Written | Answer;

/** The fast path leaves texts where they are. */
type Asked<Type extends MessageType> = Type extends FastType ? RawRequest<Type> : Request<Type>;

export type Handlers = {
  readonly [Type in MessageType]: (
    context: Context,
    request: Asked<Type>,
    connection: Connection,
  ) => Result<Type>;
};

export const HANDLERS: Handlers = {
  ins: ({ database, batch }, records) => {
    batch.clear();
    for (const record of records) batch.add(record);
    return database.insert(batch);
  },
  qry: ({ database }, query, connection) => database.latest(query, connection),
  cols: ({ database }, _request, connection) => database.collections(visibleTo(connection)),
  qdoc: ({ database }, query, connection) => database.history(query, connection),
  ddoc: ({ database }, request, connection) => database.deleteDocument(request, visibleTo(connection)),
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
  keys: changeKeys,
  conn: ({ connections, nowMs }, _request, connection) => connections.render(connection, nowMs()),
  stat: async ({ status, connections }, _request, connection) => {
    const isVisible = visibleTo(connection);
    const count = isVisible === undefined ? connections.size : connections.countOf(connection.apiKey);
    return JSON.stringify({ ...(await status(isVisible)), connections: count });
  },
};

neverInline(...Object.values(HANDLERS));

/** Which collections a client may know of, if not all. */
function visibleTo({ apiKey: { limits } }: Connection): IsVisible | undefined {
  return limits?.collections === undefined ? undefined : limits.mayUse;
}
