/**
 * The text of replies. An id is passed as the JSON it stands for, with its quotes.
 */
import type { AnswerText } from "../engine/database.ts";
import { type DatabaseError, ERRORS } from "../protocol/errors.ts";
import { MESSAGES, type MessageType } from "../protocol/messages.ts";

export const READY = '{"message":"Authentication successful","type":"ready"}';
export const INTERNAL_ERROR_TEXT = "Internal error; the server's log has the details";

export const okReply = (id: string): string => `{"id":${id}}`;

/** The reply that carries a handler's JSON text, in the shape that the message's row asks for. */
export function answerReply(id: string, type: MessageType, text: AnswerText): string {
  const shape = MESSAGES[type].reply;
  const before = typeof shape === "object" ? `{"id":${id},"${shape.member}":` : `{"id":${id},`;
  return typeof text === "string" ? `${before}${text}}` : text.within(before, "}");
}

/** Without an id, the reply to a frame that had none. */
export function failureReply(id: string | undefined, { code, message }: DatabaseError): string {
  const start = id === undefined ? "{" : `{"id":${id},`;
  const end = ERRORS[code].onWire ? `,"code":"${code}"}` : "}";
  return `${start}"error":${JSON.stringify(message)}${end}`;
}
