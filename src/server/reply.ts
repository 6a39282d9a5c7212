/**
 * The text of replies. An id is passed as the JSON it stands for, with its quotes.
 */
import { DatabaseError, ERRORS, type ErrorCode } from "../protocol/errors.ts";

export const READY = '{"message":"Authentication successful","type":"ready"}';

export const okReply = (id: string): string => `{"id":${id}}`;

export function errorReply(id: string | undefined, code: ErrorCode, text: string): string {
  const start = id === undefined ? "{" : `{"id":${id},`;
  const end = ERRORS[code].onWire ? `,"code":"${code}"}` : "}";
  return `${start}"error":${JSON.stringify(text)}${end}`;
}

export const INTERNAL_ERROR_TEXT = "Internal error; the server's log has the details";

/** The reply for whatever a handler threw, or undefined for a bug. */
export function replyForError(id: string, error: unknown): string | undefined {
  return error instanceof DatabaseError ? errorReply(id, error.code, error.message) : undefined;
}
