/**
 * A record's text as it lies in pages, chunks and the journal: `,{"ts":INTEGER,"data":"…"}`.
 */
import { BACKSLASH, COMMA, ESCAPES, MINUS } from "../protocol/ascii.ts";
import { isDigit, readTimestampDigits } from "../protocol/integer_text.ts";
import { TIMESTAMP_MIN } from "../protocol/timestamp.ts";

/** What stands before the timestamp, `,{"ts":`. */
export const RECORD_HEAD_BYTES = 7;
/** What stands between the timestamp and the data, `,"data":"`. */
export const DATA_HEAD_BYTES = 9;
/** What stands after the data, `"}`. */
export const DATA_TAIL_BYTES = 2;

/** Where a record's data begins, after its opening quote. */
export function dataStartAt(bytes: Buffer, recordStart: number): number {
  let at = recordStart + RECORD_HEAD_BYTES;
  while (bytes[at] !== COMMA) at++;
  return at + DATA_HEAD_BYTES;
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
