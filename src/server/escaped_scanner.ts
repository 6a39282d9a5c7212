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
 * compilers four times as long. Its memory holds a part of a frame at a time, the window, and what was read from that; a
 * thread has one, for one frame after the other. A frame that is short is put there at once.
 *
 * It needs vectors, which the engine has on every arm64, and on x64 with AVX. Without them all is left to
 * insert_scanner.ts.
 */
import { type BatchMemory, COLUMNS, type InsertBatch } from "../engine/insert_batch.ts";
import { BACKSLASH, CLOSE_BRACKET, OPEN_BRACKET, QUOTE, SPACE } from "../protocol/ascii.ts";
import { NAME_LENGTH_MAX } from "../protocol/limits.ts";
import { codePointBytes, readCodePoint, type Scratch, writeCodePoint } from "./json_bytes.ts";
import { JsonValueWriter } from "./json_value.ts";
import { RECORDS_CODE } from "./records_code.ts";

const NOT_TAKEN = -1;

/** What is exported by src/assembly/records.ts, which says what it is. */
type Exports = {
  readonly memory: WebAssembly.Memory;
  scan(start: number, frameAhead: number, textAhead: number): number;
} & {
  readonly [Name in "WINDOW_BYTES" | "WINDOW" | "TEXT" | "ROWS_MAX" | "ROWS" | "STOPPED" | "WRITTEN"]: Place;
};
type Place = { readonly value: number };

class RecordScanner {
  /** Where a part of a frame goes. */
  readonly window: Buffer;

  readonly #scan: Exports["scan"];
  readonly #values = new JsonValueWriter();
  /** All of its memory, in which places are addresses. */
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #windowStart: number;
  readonly #records: BatchMemory;
  /** Where the scan has stopped, and 1 where the list ended there. */
  readonly #stopped: Int32Array;
  readonly #written: Int32Array;

  constructor(code: Buffer<ArrayBuffer>) {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code), {
      host: { nameBytesMax: NAME_LENGTH_MAX, writeValue: this.#writeValue, writeLetter: this.#writeLetter },
    });
    const { memory, scan, WINDOW_BYTES, WINDOW, TEXT, ROWS_MAX, ROWS, STOPPED, WRITTEN } =
      exports as unknown as Exports;
    const { buffer } = memory;
    this.window = Buffer.from(buffer, WINDOW.value, WINDOW_BYTES.value);
    this.#scan = scan;
    this.#bytes = new Uint8Array(buffer);
    this.#view = new DataView(buffer);
    this.#windowStart = WINDOW.value;
    this.#records = {
      columns: new Int32Array(buffer, ROWS.value, ROWS_MAX.value * COLUMNS),
      text: Buffer.from(buffer, TEXT.value, WINDOW_BYTES.value),
      textBytes: new Uint8Array(buffer, TEXT.value, WINDOW_BYTES.value),
      textView: new DataView(buffer, TEXT.value, WINDOW_BYTES.value),
    };
    this.#stopped = new Int32Array(buffer, STOPPED.value, 2);
    this.#written = new Int32Array(buffer, WRITTEN.value, 1);
  }

  /** Reads the records from a place on, where the first one begins; see `scanEscapedRecords`. */
  scan(frame: Scratch, start: number, size: number, batch: InsertBatch): number {
    const { bytes } = frame;
    const windowStart = this.#windowStart;
    const stopped = this.#stopped;
    const isInWindow = frame.buffer === this.window;
    for (let at = start; ; ) {
      // How much of the frame comes before the window.
      const ahead = isInWindow ? 0 : at;
      if (!isInWindow) this.#fillWindow(bytes, at, size);
      const count = this.#scan(windowStart + at - ahead, ahead, batch.textLength);
      at = (stopped[0] as number) - windowStart + ahead;
      const hasEnded = stopped[1] === 1;
      // Of a frame that was scanned at once nothing is copied.
      if (hasEnded && isInWindow && batch.count === 0) batch.show(this.#records, count);
      else if (count > 0) batch.addRows(this.#records, count);
      if (hasEnded) return bytes[at] === QUOTE ? at + 1 : NOT_TAKEN;
      // It has stopped at a record that it has not seen whole, or that it does not take.
      if (count === 0) return NOT_TAKEN;
    }
  }

  #fillWindow(source: Uint8Array, start: number, size: number): void {
    const end = Math.min(size, start + this.window.length);
    this.#bytes.set(source.subarray(start, end), this.#windowStart);
    this.#bytes[this.#windowStart + end - start] = 0;
  }

  /** Called by the scan: see src/assembly/host.ts. */
  readonly #writeValue = (at: number, to: number): number => {
    const values = this.#values;
    if (!values.write(this.#bytes, this.#view, at, true, this.#bytes, this.#view, to)) return 0;
    this.#written[0] = values.targetEnd;
    return values.sourceEnd;
  };

  /** The same of an escape at its first backslash. */
  readonly #writeLetter = (at: number, to: number): number => {
    const bytes = this.#bytes;
    const letterU = at + 2;
    const codePoint = readCodePoint(bytes, letterU, 2);
    // It is stored as itself, and what has to be escaped is left to others.
    if (codePoint < SPACE || codePoint === QUOTE || codePoint === BACKSLASH) return 0;
    this.#written[0] = writeCodePoint(bytes, to, codePoint);
    return letterU + codePointBytes(codePoint, 2);
  };
}

const code = Buffer.from(RECORDS_CODE, "base64");
const scanner = WebAssembly.validate(code) ? new RecordScanner(code) : undefined;

/** For a frame that is to be scanned here: one that stands in it need not be copied. */
export const FRAME_WINDOW = scanner?.window;

/**
 * Fills the batch with the records of the array that begins at a place, inside a JSON string.
 *
 * A zero must stand behind the frame.
 *
 * @returns where the string ends, behind its quote; -1 when this path does not take it: the batch is then void.
 */
export function scanEscapedRecords(frame: Scratch, start: number, size: number, batch: InsertBatch): number {
  const { bytes } = frame;
  if (scanner === undefined || bytes[start] !== OPEN_BRACKET) return NOT_TAKEN;
  const at = start + 1;
  if (bytes[at] === CLOSE_BRACKET) return bytes[at + 1] === QUOTE ? at + 2 : NOT_TAKEN;
  return scanner.scan(frame, at, size, batch);
}
