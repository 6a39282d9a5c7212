/**
 * The fastest path of `ins`: records read straight from the escaped text in a message's `data`, in one pass.
 *
 * Clients in the field send records as JSON inside a JSON string, so a quote arrives as `\"`, and a quote inside a
 * record's data as `\\\"`. Undoing one level of that while the data is copied leaves it exactly as the rendered text
 * wants it; nothing is gone over a second time. It takes the layout that JSON libraries write: fields in any order, no white
 * space but single blanks, and as data a JSON value or text, with no escapes but those of quotes, backslashes, control
 * characters and letters beyond ASCII. The rest is left to insert_scanner.ts, which undoes the escapes first.
 *
 * What does it is src/assembly/records.ts, in WebAssembly: the same in JavaScript took a quarter longer, and the engine's
 * compilers four times as long. Its memory holds a part of a frame at a time, the window, and what was read from that; a
 * thread has one, for one frame after the other. A frame that is short is put there at once.
 */
import { COLUMNS, type InsertBatch } from "../engine/insert_batch.ts";
import { BACKSLASH, CLOSE_BRACKET, OPEN_BRACKET, QUOTE, SPACE } from "../protocol/ascii.ts";
import { NAME_LENGTH_MAX } from "../protocol/limits.ts";
import { codePointBytes, readCodePoint, type Scratch, writeCodePoint } from "./json_bytes.ts";
import { JsonValueWriter } from "./json_value.ts";
import { RECORDS_CODE } from "./records_code.ts";

const NOT_TAKEN = -1;

/** What is exported by src/assembly/records.ts, which says what it is. */
type Scanner = {
  readonly memory: WebAssembly.Memory;
  scan(start: number, frameAhead: number, textAhead: number): number;
} & {
  readonly [Name in "WINDOW_BYTES" | "WINDOW" | "TEXT" | "ROWS_MAX" | "ROWS" | "STOPPED" | "WRITTEN"]: Place;
};
type Place = { readonly value: number };

const values = new JsonValueWriter();

const module = new WebAssembly.Module(Buffer.from(RECORDS_CODE, "base64"));
const { exports } = new WebAssembly.Instance(module, {
  host: { nameBytesMax: NAME_LENGTH_MAX, writeValue, writeLetter },
});
const { memory, scan, WINDOW_BYTES, WINDOW, TEXT, ROWS_MAX, ROWS, STOPPED, WRITTEN } =
  exports as unknown as Scanner;

const bytes = new Uint8Array(memory.buffer);
const view = new DataView(memory.buffer);
const windowStart = WINDOW.value;
const windowBytes = WINDOW_BYTES.value;
const rows = new Int32Array(memory.buffer, ROWS.value, ROWS_MAX.value * COLUMNS);
const text = Buffer.from(memory.buffer, TEXT.value, windowBytes);
const textView = new DataView(memory.buffer, TEXT.value, windowBytes);
/** Where the scan has stopped, and 1 where the list ended there. */
const stopped = new Int32Array(memory.buffer, STOPPED.value, 2);
const written = new Int32Array(memory.buffer, WRITTEN.value, 1);

/** For a frame that is to be scanned here: a frame that stands in it need not be copied. */
export const FRAME_WINDOW = Buffer.from(memory.buffer, windowStart, windowBytes);

/**
 * Fills the batch with the records of the array that begins at a place, inside a JSON string.
 *
 * A zero must stand behind the frame.
 *
 * @returns where the string ends, behind its quote; -1 when this path does not take it: the batch is then void.
 */
export function scanEscapedRecords(frame: Scratch, start: number, size: number, batch: InsertBatch): number {
  const source = frame.bytes;
  if (source[start] !== OPEN_BRACKET) return NOT_TAKEN;
  let at = start + 1;
  if (source[at] === CLOSE_BRACKET) return source[at + 1] === QUOTE ? at + 2 : NOT_TAKEN;
  const isInWindow = frame.buffer === FRAME_WINDOW;
  for (;;) {
    // How much of the frame comes before the window.
    const ahead = isInWindow ? 0 : at;
    if (!isInWindow) fillWindow(source, at, size);
    const count = scan(windowStart + at - ahead, ahead, batch.textLength);
    if (count > 0) batch.addRows(rows, count, text, textView);
    at = (stopped[0] as number) - windowStart + ahead;
    if (stopped[1] === 1) return source[at] === QUOTE ? at + 1 : NOT_TAKEN;
    // It has stopped at a record that it has not seen whole, or that it does not take.
    if (count === 0) return NOT_TAKEN;
  }
}

function fillWindow(source: Uint8Array, start: number, size: number): void {
  const end = Math.min(size, start + windowBytes);
  bytes.set(source.subarray(start, end), windowStart);
  bytes[windowStart + end - start] = 0;
}

/** Called by the scan: see src/assembly/host.ts. */
function writeValue(at: number, to: number): number {
  if (!values.write(bytes, view, at, true, bytes, view, to)) return 0;
  written[0] = values.targetEnd;
  return values.sourceEnd;
}

/** The same of an escape at its first backslash. */
function writeLetter(at: number, to: number): number {
  const letterU = at + 2;
  const codePoint = readCodePoint(bytes, letterU, 2);
  // It is stored as itself, and what has to be escaped is left to others.
  if (codePoint < SPACE || codePoint === QUOTE || codePoint === BACKSLASH) return 0;
  written[0] = writeCodePoint(bytes, to, codePoint);
  return letterU + codePointBytes(codePoint, 2);
}
