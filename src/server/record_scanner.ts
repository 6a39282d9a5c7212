/**
 * The fastest path of `ins`: records in the layouts that JSON libraries write, in one pass.
 *
 * Clients in the field send records as JSON inside a JSON string, so a quote arrives as `\"`, and a quote inside a
 * record's data as `\\\"`. Undoing one level of that while the data is copied leaves it exactly as the rendered text
 * wants it; nothing is gone over a second time. Where the list comes as JSON, nothing has to be undone at all. Fields may
 * be in any order, also ones that no record has, with no white space but single blanks; data is a JSON value, or text with
 * no escapes but those of quotes, backslashes, control characters and letters beyond ASCII. The rest is left to
 * insert_scanner.ts.
 *
 * What does it is src/assembly/records.ts, in WebAssembly: the same in JavaScript took a quarter longer, and the engine's
 * compilers four times as long. It is given a part of a frame at a time, what goes into the window. Where it needs more than
 * the engine has, scanner_module.ts says what, all is left to insert_scanner.ts.
 */
import { type BatchMemory, COLUMNS, type InsertBatch } from "../engine/insert_batch.ts";
import { CLOSE_BRACKET, OPEN_BRACKET, QUOTE } from "../protocol/ascii.ts";
import type { Scratch } from "./json_bytes.ts";
import {
  ESCAPED_QUOTE_BYTES,
  FRAME_WINDOW,
  fillWindow,
  MODULE_MEMORY,
  PLAIN_QUOTE_BYTES,
  RECORD_MODULE,
  WINDOW_START,
} from "./scanner_module.ts";

const NOT_TAKEN = -1;

const { buffer } = MODULE_MEMORY;
/** What the scanner has read, all of a frame or a part of it. */
const ROWS = RECORD_MODULE && rowsOf(RECORD_MODULE);
/** Where the scan has stopped, and 1 where the list ended there. */
const STOPPED = RECORD_MODULE && new Int32Array(buffer, RECORD_MODULE.STOPPED.value, 2);

function rowsOf({ ROWS, ROWS_MAX, TEXT, TEXT_BYTES }: NonNullable<typeof RECORD_MODULE>): BatchMemory {
  return {
    columns: new Int32Array(buffer, ROWS.value, ROWS_MAX.value * COLUMNS),
    text: Buffer.from(buffer, TEXT.value, TEXT_BYTES.value),
    textBytes: new Uint8Array(buffer, TEXT.value, TEXT_BYTES.value),
    textView: new DataView(buffer, TEXT.value, TEXT_BYTES.value),
  };
}

/** Fills the batch with the records of a frame in the window that were all read with the message: nothing is copied. */
export function showScannedRecords(batch: InsertBatch, count: number): void {
  batch.names = FRAME_WINDOW;
  batch.show(ROWS as BatchMemory, count);
}

/**
 * Fills the batch with the records of the list that begins at a place, or in the string there.
 *
 * A zero must stand behind the frame.
 *
 * @returns where the list or its string ends; -1 when this path does not take it: the batch is then void.
 */
export function scanUsualRecords(frame: Scratch, start: number, size: number, batch: InsertBatch): number {
  const { bytes } = frame;
  const isString = bytes[start] === QUOTE;
  const quoteBytes = isString ? ESCAPED_QUOTE_BYTES : PLAIN_QUOTE_BYTES;
  const list = isString ? start + 1 : start;
  if (RECORD_MODULE === undefined || bytes[list] !== OPEN_BRACKET) return NOT_TAKEN;
  let at = list + 1;
  if (bytes[at] === CLOSE_BRACKET) return behindList(bytes, at + 1, isString);
  const isInWindow = frame.buffer === FRAME_WINDOW;
  const [rows, stopped] = [ROWS as BatchMemory, STOPPED as Int32Array];
  for (;;) {
    // How much of the frame comes before the window.
    const ahead = isInWindow ? 0 : at;
    if (!isInWindow) fillWindow(bytes, at, size);
    const count = RECORD_MODULE.scan(WINDOW_START + at - ahead, quoteBytes, ahead, batch.textLength);
    at = (stopped[0] as number) - WINDOW_START + ahead;
    if (count > 0) batch.addRows(rows, count);
    if (stopped[1] === 1) return behindList(bytes, at, isString);
    // It has stopped at a record that it has not seen whole, or that it does not take.
    if (count === 0) return NOT_TAKEN;
  }
}

function behindList(bytes: Uint8Array, listEnd: number, isString: boolean): number {
  if (!isString) return listEnd;
  return bytes[listEnd] === QUOTE ? listEnd + 1 : NOT_TAKEN;
}
