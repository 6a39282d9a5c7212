/**
 * What tells a damaged row: CRC-32 over what the row says and over its body.
 */

/** `header` is all that the row says beside its body, so that a body in the wrong row is noticed too. */
export function checksumOf(header: string, body: Uint8Array | string = ""): number {
  return Bun.hash.crc32(body, Bun.hash.crc32(header));
}

/**
 * The same for rows of integers, of which a start reads hundreds of thousands: FNV-1a over their 32-bit halves, which
 * costs a fiftieth of a string and a CRC.
 */
export function checksumOfNumbers(columns: Float64Array, from: number, to: number): number {
  let sum = 0x811c9dc5;
  for (let at = from; at < to; at++) {
    const value = columns[at] as number;
    sum = Math.imul(sum ^ value, 0x01000193);
    sum = Math.imul(sum ^ (value / TWO_32), 0x01000193);
    // Multiplication carries upwards only: without this, a change of a high bit would stay in the high bits.
    sum ^= sum >>> 15;
  }
  return sum >>> 0;
}

const TWO_32 = 0x1_0000_0000;
