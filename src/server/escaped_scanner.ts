/**
 * The fastest path of `ins`: records read straight from the escaped text in a message's `data`, in one pass.
 *
 * Clients in the field send records as JSON inside a JSON string, so a quote arrives as `\"`, and a quote inside a
 * record's data as `\\\"`. Undoing one level of that while the data is copied leaves it exactly as the rendered text
 * wants it; nothing is gone over a second time. It takes the layout that JSON libraries write: fields in any order, also
 * ones that no record has, no white space but single blanks, and as data a JSON value or text, with no escapes but those
 * of quotes, backslashes, control characters and letters beyond ASCII. The rest is left to insert_scanner.ts, which undoes
 * the escapes first.
 *
 * What does it is src/assembly/records.ts, in WebAssembly: the same in JavaScript took a quarter longer, and the engine's
 * compilers four times as long. It is given a part of a frame at a time, what goes into the window. Where it needs more than
 * the engine has, scanner_module.ts says what, all is left to insert_scanner.ts.
 */
import { type BatchMemory, COLUMNS, type InsertBatch } from "../engine/insert_batch.ts";
import { CLOSE_BRACKET, OPEN_BRACKET, QUOTE } from "../protocol/ascii.ts";
import type { Scratch } from "./json_bytes.ts";
import {
  FRAME_WINDOW,
  fillWindow,
  MODULE_MEMORY,
  RECORD_MODULE,
  WINDOW_BYTES,
  WINDOW_START,
} from "./scanner_module.ts";

const NOT_TAKEN = -1;

const { buffer } = MODULE_MEMORY;
/** What the scanner has read, all of a frame or a part of it. */
const ROWS: BatchMemory | undefined = RECORD_MODULE && {
  columns: new Int32Array(buffer, RECORD_MODULE.ROWS.value, RECORD_MODULE.ROWS_MAX.value * COLUMNS),
  text: Buffer.from(buffer, RECORD_MODULE.TEXT.value, WINDOW_BYTES),
  textBytes: new Uint8Array(buffer, RECORD_MODULE.TEXT.value, WINDOW_BYTES),
  textView: new DataView(buffer, RECORD_MODULE.TEXT.value, WINDOW_BYTES),
};
/** Where the scan has stopped, and 1 where the list ended there. */
const STOPPED = RECORD_MODULE && new Int32Array(buffer, RECORD_MODULE.STOPPED.value, 2);

/** Fills the batch with the records of a frame in the window that were all read with the message: nothing is copied. */
export function showScannedRecords(batch: InsertBatch, count: number): void {
  batch.names = FRAME_WINDOW;
  batch.show(ROWS as BatchMemory, count);
}

/**
 * Fills the batch with the records of the array that begins at a place, inside a JSON string.
 *
 * A zero must stand behind the frame.
 *
 * @returns where the string ends, behind its quote; -1 when this path does not take it: the batch is then void.
 */
export function scanEscapedRecords(frame: Scratch, start: number, size: number, batch: InsertBatch): number {
  const { bytes } = frame;
  if (RECORD_MODULE === undefined || bytes[start] !== OPEN_BRACKET) return NOT_TAKEN;
  let at = start + 1;
  if (bytes[at] === CLOSE_BRACKET) return bytes[at + 1] === QUOTE ? at + 2 : NOT_TAKEN;
  const isInWindow = frame.buffer === FRAME_WINDOW;
  const [rows, stopped] = [ROWS as BatchMemory, STOPPED as Int32Array];
  for (;;) {
    // How much of the frame comes before the window.
    const ahead = isInWindow ? 0 : at;
    if (!isInWindow) fillWindow(bytes, at, size);
    const count = RECORD_MODULE.scan(WINDOW_START + at - ahead, ahead, batch.textLength);
    at = (stopped[0] as number) - WINDOW_START + ahead;
    if (count > 0) batch.addRows(rows, count);
    if (stopped[1] === 1) return bytes[at] === QUOTE ? at + 1 : NOT_TAKEN;
    // It has stopped at a record that it has not seen whole, or that it does not take.
    if (count === 0) return NOT_TAKEN;
  }
}
