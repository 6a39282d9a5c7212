/**
 * What dispatch needs to know of a message's type, in one place: it is looked up once a message.
 */
import type { RawRequest } from "../engine/database.ts";
import { type AsciiText, asciiText } from "../protocol/ascii.ts";
import { REMOVED_AT_ONCE } from "../protocol/limits.ts";
import { MESSAGES, type MessageType, type Request } from "../protocol/messages.ts";
import type { Connection } from "./connection.ts";
import type { Context } from "./context.ts";
import { HANDLERS, type HandlerResult } from "./handlers.ts";

export type Route = {
  readonly type: MessageType;
  /** The table pairs each request type with its handler; the compiler cannot see through a look-up by type. */
  readonly handle: (context: Context, request: never, connection: Connection) => HandlerResult;
  /** Whether its reply is only its id, once it is written. */
  readonly isWrite: boolean;
  /** What stands between a reply's id and the handler's text. */
  readonly head: AsciiText;
  /** Whether what a request costs depends on nothing but the length of its frame. */
  readonly isShort: (request: never) => boolean;
  /** Whether a write may take several turns of the event loop: what its client asks next is done after it. */
  readonly isLongWrite: (request: never) => boolean;
};

const ALWAYS_SHORT: ReadonlySet<MessageType> = new Set(["ins", "sval", "gval"]);

export const ROUTES = Object.fromEntries(
  (Object.keys(MESSAGES) as MessageType[]).map((type) => [type, routeOf(type)]),
) as Readonly<Record<MessageType, Route>>;

function routeOf(type: MessageType): Route {
  const shape = MESSAGES[type].reply;
  const isAlwaysShort = ALWAYS_SHORT.has(type);
  return {
    type,
    handle: HANDLERS[type],
    isWrite: shape === "ok",
    head: asciiText(typeof shape === "object" ? `,"${shape.member}":` : ","),
    isShort: type === "qry" ? isShortQuery : () => isAlwaysShort,
    isLongWrite: type === "dmrec" ? isLongRemoval : () => false,
  };
}

function isLongRemoval({ length }: Request<"dmrec">): boolean {
  return length > REMOVED_AT_ONCE;
}

/** One document is looked up. */
function isShortQuery({ doc, where, filter }: RawRequest<"qry">): boolean {
  const isOne = typeof doc !== "string" || (doc !== "" && !doc.startsWith("/"));
  return isOne && where === "" && filter === "";
}
