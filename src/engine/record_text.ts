/**
 * A record's text as it lies in pages, chunks and the journal: `,{"ts":INTEGER,"data":"…"}`.
 */
import { BACKSLASH, COMMA, ESCAPES, fourBytes, MINUS, QUOTE, twoBytes } from "../protocol/ascii.ts";
import { isDigit, readTimestampDigits } from "../protocol/integer_text.ts";
import { TIMESTAMP_MIN } from "../protocol/timestamp.ts";

/** What stands before the timestamp. */
const RECORD_HEAD = ',{"ts":';
export const RECORD_HEAD_BYTES = RECORD_HEAD.length;
/** What stands between the timestamp and the data. */
const DATA_HEAD = ',"data":"';
export const DATA_HEAD_BYTES = DATA_HEAD.length;
/** What stands after the data. */
const DATA_TAIL = '"}';
export const DATA_TAIL_BYTES = DATA_TAIL.length;
/** All that a record has beside its timestamp and its data. */
export const RECORD_FRAME_BYTES = RECORD_HEAD_BYTES + DATA_HEAD_BYTES + DATA_TAIL_BYTES;

/** Where a record's data begins, after its opening quote. */
export function dataStartAt(bytes: Buffer, recordStart: number): number {
  let at = recordStart + RECORD_HEAD_BYTES;
  while (bytes[at] !== COMMA) at++;
  return at + DATA_HEAD_BYTES;
}

/**
 * The same, where it most likely is `expected` bytes behind the record's beginning, as that of the record before. A
 * comma and a quote stand nowhere else in a record: a quote in data has a backslash before it.
 */
export function dataStartNear(bytes: Buffer, recordStart: number, expected: number): number {
  const at = recordStart + expected - DATA_HEAD_BYTES;
  if (bytes[at] === COMMA && bytes[at + 1] === QUOTE) return recordStart + expected;
  return dataStartAt(bytes, recordStart);
}

const HEAD_WORDS = [fourBytes(RECORD_HEAD), fourBytes(`${RECORD_HEAD.slice(4)}\0`)] as const;
const DATA_WORDS = [fourBytes(DATA_HEAD), fourBytes(DATA_HEAD.slice(4))] as const;
const TAIL_WORD = twoBytes(DATA_TAIL);

/** Writes what stands before the timestamp, and a byte more; returns where it ends. */
export function writeRecordHead(view: DataView, at: number): number {
  view.setInt32(at, HEAD_WORDS[0], true);
  view.setInt32(at + 4, HEAD_WORDS[1], true);
  return at + RECORD_HEAD_BYTES;
}

/** Writes what stands between the timestamp and the data; returns where it ends. */
export function writeDataHead(view: DataView, at: number): number {
  view.setInt32(at, DATA_WORDS[0], true);
  view.setInt32(at + 4, DATA_WORDS[1], true);
  view.setUint8(at + 8, QUOTE);
  return at + DATA_HEAD_BYTES;
}

/** Writes what stands after the data; returns where it ends. */
export function writeDataTail(view: DataView, at: number): number {
  view.setInt16(at, TAIL_WORD, true);
  return at + DATA_TAIL_BYTES;
}

/**
 * Reads a record's timestamp into `into`.
 *
 * @throws RangeError when there is none.
 */
export function readTimestampAt(
  bytes: Buffer,
  recordStart: number,
  into: { high: number; low: number },
): void {
  const first = recordStart + RECORD_HEAD_BYTES;
  const isNegative = bytes[first] === MINUS;
  const firstDigit = isNegative ? first + 1 : first;
  let at = firstDigit;
  while (isDigit(bytes[at] as number)) at++;
  if (at === firstDigit) throw new RangeError(`there is no timestamp at byte ${first}`);
  if (readTimestampDigits(bytes, firstDigit, at, isNegative, into)) return;
  // What is left is -2^63: whatever is out of range was refused.
  into.high = TIMESTAMP_MIN.high;
  into.low = TIMESTAMP_MIN.low;
}

const SCRATCH_BYTES_AT_FIRST = 4096;
const ASCII_END = 0x80;

/** Reads records' data as text, without its escapes: three times as fast as JSON.parse of so short a string. */
export class DataReader {
  #scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES_AT_FIRST);

  /** `bytes[start, end)` is data in its canonical form. */
  read(bytes: Buffer, start: number, end: number): string {
    if (this.#scratch.length < end - start) this.#scratch = Buffer.allocUnsafeSlow(2 * (end - start));
    const scratch = this.#scratch;
    let size = 0;
    let anyBits = 0;
    for (let at = start; at < end; at++) {
      let byte = bytes[at] as number;
      if (byte === BACKSLASH) {
        byte = ESCAPES[bytes[++at] as number] as number;
        // A control character or half a surrogate pair, as `\u0001`: rare.
        if (byte === 0) return JSON.parse(`"${bytes.toString("utf8", start, end)}"`) as string;
      }
      anyBits |= byte;
      scratch[size++] = byte;
    }
    return scratch.toString(anyBits < ASCII_END ? "latin1" : "utf8", 0, size);
  }
}
