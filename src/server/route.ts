/**
 * What dispatch needs to know of a message's type, in one place: it is looked up once a message.
 */
import type { RawRequest } from "../engine/database.ts";
import { type AsciiText, asciiText } from "../protocol/ascii.ts";
import { REMOVED_AT_ONCE } from "../protocol/limits.ts";
import { MESSAGE_TYPES, MESSAGES, type MessageType, type Request } from "../protocol/messages.ts";
import type { Permission } from "../protocol/scope.ts";
import type { Connection } from "./connection.ts";
import type { Context } from "./context.ts";
import { FAST_READERS, isFastType } from "./fast_request.ts";
import type { Fields } from "./fields.ts";
import { SCANNED_TYPES } from "./frame_scanner.ts";
import { HANDLERS, type HandlerResult } from "./handlers.ts";

export type Route = {
  readonly type: MessageType;
  /** The type's place in MESSAGE_TYPES. */
  readonly number: number;
  readonly permission: Permission | "master";
  /** Makes the request of a frame's fields; see fast_request.ts. Of a type that is not scanned it leaves all to the schema. */
  readonly readFast: (fields: Fields) => unknown;
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
  MESSAGE_TYPES.map((type, number) => [type, routeOf(type, number)]),
) as Readonly<Record<MessageType, Route>>;

/** By what a scanned frame's type is told with; a look-up by name is compiled anew for each type that comes. */
export const SCANNED_ROUTES: readonly Route[] = SCANNED_TYPES.map((type) => ROUTES[type]);

function routeOf(type: MessageType, number: number): Route {
  const { permission, reply: shape } = MESSAGES[type];
  const isAlwaysShort = ALWAYS_SHORT.has(type);
  return {
    type,
    number,
    permission,
    readFast: isFastType(type) ? FAST_READERS[type] : () => undefined,
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
