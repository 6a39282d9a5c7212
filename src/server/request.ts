/**
 * From a frame's text to a checked request. Whatever is wrong with it is thrown, as what the client is told.
 *
 * JSON can be nested deeper than the stack allows; that surfaces as a RangeError and is the client's fault.
 */
import type { ApiKey } from "../engine/api_keys.ts";
import { DatabaseError } from "../protocol/errors.ts";
import { isRawNumber, parseJson } from "../protocol/json.ts";
import { checkRequest, isMessageType, type MessageType } from "../protocol/messages.ts";
import { type Permission, scopeAllows } from "../protocol/scope.ts";

/** A frame's object; only its id is checked yet. */
export type Message = { readonly id: string; readonly type?: unknown; readonly data?: unknown };

const AUTH_TEXT = "auth messages are not supported; use the api-key query parameter";
/** Known to clients. */
export const DENIED_TEXT = "permission denied";
const MASTER_ONLY_TEXT = "only the master key may manage API keys";
const TOO_DEEP_TEXT = "nested too deep";
const SHOWN_LENGTH_MAX = 60;

/** These look at no payload: whatever it is, it is fine. */
const WITHOUT_PAYLOAD: ReadonlySet<MessageType> = new Set(["cols", "conn", "stat"]);

/** @throws DatabaseError `bad_frame` */
export function readMessage(frame: string): Message {
  const message = parseFrame(frame);
  if (typeof message !== "object" || message === null || Array.isArray(message) || isRawNumber(message)) {
    throw new DatabaseError("bad_frame", 'frame: expected an object {"id","type","data"}');
  }
  if ("id" in message && typeof message.id === "string" && message.id !== "") return message as Message;
  throw new DatabaseError("bad_frame", "id: expected a non-empty string");
}

/** @throws DatabaseError `bad_request`, `unknown_type`, `unsupported` */
export function readType(type: unknown): MessageType {
  if (typeof type !== "string" || type === "") {
    throw new DatabaseError("bad_request", "type: expected a non-empty string");
  }
  if (isMessageType(type)) return type;
  if (type === "auth") throw new DatabaseError("unsupported", AUTH_TEXT);
  throw new DatabaseError("unknown_type", `type: there is no message ${quote(type)}`);
}

/** @throws DatabaseError `permission_denied` */
export function checkPermission({ scope, isMaster }: ApiKey, permission: Permission | "master"): void {
  if (permission === "master" ? isMaster : scopeAllows(scope, permission)) return;
  const isAllButMaster = permission === "master" && scope === "read_write_delete";
  throw new DatabaseError("permission_denied", isAllButMaster ? MASTER_ONLY_TEXT : DENIED_TEXT);
}

/**
 * A message's `data`, which is text that holds JSON, or the JSON itself, as its handler takes it.
 *
 * @throws DatabaseError `bad_request`
 */
export function readRequest(type: MessageType, data: unknown): unknown {
  if (WITHOUT_PAYLOAD.has(type)) return undefined;
  try {
    const payload = typeof data === "string" ? parseJson(data) : data;
    const checked = checkRequest(type, payload);
    if ("request" in checked) return checked.request;
    throw new DatabaseError("bad_request", checked.problem);
  } catch (cause) {
    if (cause instanceof RangeError)
      throw new DatabaseError("bad_request", `data: ${TOO_DEEP_TEXT}`, { cause });
    if (!(cause instanceof SyntaxError)) throw cause;
    throw new DatabaseError("bad_request", `data: expected JSON text, got ${quote(data as string)}`, {
      cause,
    });
  }
}

function parseFrame(frame: string): unknown {
  try {
    return parseJson(frame);
  } catch (cause) {
    // The frame itself is not shown: this text is logged, and the frame may hold an API key.
    const problem = cause instanceof RangeError ? TOO_DEEP_TEXT : "expected JSON";
    throw new DatabaseError("bad_frame", `frame: ${problem}`, { cause });
  }
}

/** Never a whole payload. */
function quote(text: string): string {
  return JSON.stringify(text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX)}…` : text);
}
