/**
 * Reads a large frame whole, on a thread that may take long over it: a message's data as it is stored, or what is
 * wrong with it.
 *
 * Both ways of reading are those of dispatch.ts, so the result is the same; only what a client may do is looked at where
 * it is known, which is not here.
 */
import { inDocumentOrder } from "../engine/batch_order.ts";
import { type BatchParts, InsertBatch } from "../engine/insert_batch.ts";
import { DatabaseError, type ErrorCode } from "../protocol/errors.ts";
import type { MessageType, Request } from "../protocol/messages.ts";
import { FrameScanner, SCANNED_INS } from "./frame_scanner.ts";
import { Scratch } from "./json_bytes.ts";
import { type PackedKeys, packKeys } from "./packed_keys.ts";
import { readMessage, readRequest, readType } from "./request.ts";

/** The ids are JSON. */
export type LargeBatch = { readonly id: string; readonly type: "ins"; readonly batch: BatchParts };
export type LargeRequest = { readonly id: string; readonly type: MessageType; readonly request: unknown };
/** Id and type are there as far as reading has come. */
type Unreadable = {
  readonly id?: string;
  readonly type?: MessageType;
  readonly failure: { readonly code: ErrorCode; readonly message: string };
};
export type LargeKeys = { readonly id: string; readonly type: "dmrec"; readonly keys: PackedKeys };
export type LargeFrame = LargeBatch | LargeKeys | LargeRequest | Unreadable;

export function readLargeFrame(frame: string): LargeFrame {
  // Not kept: what they grow to is handed over.
  const scanner = new FrameScanner(new Scratch());
  const batch = new InsertBatch();
  if (scanner.scan(frame, batch) === SCANNED_INS) {
    return { id: scanner.idText, type: "ins", batch: inDocumentOrder(batch).parts() };
  }
  let id: string | undefined;
  let type: MessageType | undefined;
  try {
    const message = readMessage(frame);
    id = JSON.stringify(message.id);
    type = readType(message.type);
    const request = readRequest(type, message.data);
    if (type === "dmrec") return { id, type, keys: packKeys(request as Request<"dmrec">) };
    if (type !== "ins") return { id, type, request };
    batch.clear();
    for (const record of request as Request<"ins">) batch.add(record);
    return { id, type, batch: inDocumentOrder(batch).parts() };
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    const { code, message } = error;
    return { ...(id !== undefined && { id }), ...(type && { type }), failure: { code, message } };
  }
}
