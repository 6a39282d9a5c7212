/**
 * The text of replies. An id is passed as the JSON it stands for, with its quotes.
 */
import type { AnswerText } from "../engine/database.ts";
import { type AsciiText, asciiText } from "../protocol/ascii.ts";
import { type DatabaseError, ERRORS } from "../protocol/errors.ts";

export const READY = '{"message":"Authentication successful","type":"ready"}';
export const INTERNAL_ERROR_TEXT = "Internal error; the server's log has the details";

const OPEN = asciiText('{"id":');
const CLOSE = asciiText("}");

export const okReply = (id: string): string => `{"id":${id}}`;

/** The reply that carries a handler's JSON text; `head` is what stands between its id and that. */
export function answerReply(id: string, head: AsciiText, text: AnswerText): string {
  return typeof text === "string" ? `{"id":${id}${head.text}${text}}` : text.within(OPEN, id, head, CLOSE);
}

/** Without an id, the reply to a frame that had none. */
export function failureReply(id: string | undefined, { code, message }: DatabaseError): string {
  const start = id === undefined ? "{" : `{"id":${id},`;
  const end = ERRORS[code].onWire ? `,"code":"${code}"}` : "}";
  return `${start}"error":${JSON.stringify(message)}${end}`;
}
