/**
 * Integers in as few bytes as they need: seven bits a byte, the lowest first, the high bit set where more follow (LEB128).
 */

/** Of an integer below 2^31, and of any that is exact as a double. */
export const VARINT_BYTES_MAX = 5;
export const LONG_VARINT_BYTES_MAX = 8;

const MORE = 0x80;
const BITS = 0x7f;
/** From here on integers are taken apart by division. */
const SHORT_END = 2 ** 31;

/** Writes an integer from 0 to 2^53; returns where it ends. */
export function writeVarint(bytes: Uint8Array, start: number, value: number): number {
  let at = start;
  let long = value;
  while (long >= SHORT_END) {
    const next = Math.floor(long / MORE);
    bytes[at++] = (long - next * MORE) | MORE;
    long = next;
  }
  let rest = long | 0;
  while (rest >= MORE) {
    bytes[at++] = rest | MORE;
    rest >>= 7;
  }
  bytes[at++] = rest;
  return at;
}

/** Reads one integer after the other. */
export class VarintReader {
  /** Where the next one begins. */
  at: number;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array, start: number) {
    this.#bytes = bytes;
    this.at = start;
  }

  /** @throws RangeError where none ends within eight bytes. */
  next(): number {
    const bytes = this.#bytes;
    let byte = bytes[this.at++] ?? MORE;
    if (byte < MORE) return byte;
    let value = byte & BITS;
    const end = this.at + LONG_VARINT_BYTES_MAX - 1;
    for (let unit = MORE; this.at < end; unit *= MORE) {
      byte = bytes[this.at++] ?? MORE;
      value += (byte & BITS) * unit;
      if (byte < MORE) return value;
    }
    throw new RangeError(`there is no integer before byte ${this.at}`);
  }
}
