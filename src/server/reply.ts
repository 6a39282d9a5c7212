/**
 * The text of replies. An id is passed as the JSON it stands for, with its quotes.
 */
import type { AnswerText } from "../engine/database.ts";
import type { RawText } from "../engine/raw_text.ts";
import { type AsciiText, asciiText } from "../protocol/ascii.ts";
import { type DatabaseError, ERRORS } from "../protocol/errors.ts";

export const READY = '{"message":"Authentication successful","type":"ready"}';
export const INTERNAL_ERROR_TEXT = "Internal error; the server's log has the details";

/** A UTF-16 code unit takes this many bytes at most. */
const UTF8_BYTES_MAX = 3;

const OPEN = asciiText('{"id":');
const CLOSE = asciiText("}");

export const okReply = (id: string): string => `{"id":${id}}`;

/** Whether a handler's JSON text has more bytes than it may have. */
export function isLarger(text: AnswerText, bytesMax: number): boolean {
  if (typeof text !== "string") return text.byteLength > bytesMax;
  // Counting bytes is left out where even the longest encoding fits.
  return text.length * UTF8_BYTES_MAX > bytesMax && Buffer.byteLength(text) > bytesMax;
}

/** The reply that carries a handler's JSON text; `head` is what stands between its id and that. */
export function answerReply(id: string | RawText, head: AsciiText, text: AnswerText): string {
  return typeof text === "string" ? `{"id":${id}${head.text}${text}}` : text.within(OPEN, id, head, CLOSE);
}

/** Without an id, the reply to a frame that had none. */
export function failureReply(id: string | undefined, { code, message }: DatabaseError): string {
  const start = id === undefined ? "{" : `{"id":${id},`;
  const end = ERRORS[code].onWire ? `,"code":"${code}"}` : "}";
  return `${start}"error":${JSON.stringify(message)}${end}`;
}
