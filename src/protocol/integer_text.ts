/**
 * Timestamps in decimal digits, read from bytes without a BigInt: that is an allocation for each, and a clock of
 * microseconds or nanoseconds has one for every record.
 */
import { DOT, MINUS, ZERO } from "./ascii.ts";

/** So many can a 64-bit integer have. */
const DIGITS_MAX = 19;

const TWO_16 = 0x1_0000;
const TWO_32 = 0x1_0000_0000;
const HIGH_MAX = 0x7fff_ffff;
const BACK_DIGITS = 9;

/** A timestamp's halves, as Timestamp has them. */
type Halves = { high: number; low: number };

export const isDigit = (byte: number): boolean => byte >= ZERO && byte <= ZERO + 9;

/** Where an integer ends that begins at a place, if there is one. */
export function integerEnd(bytes: Uint8Array, start: number): number {
  let at = bytes[start] === MINUS ? start + 1 : start;
  while (isDigit(bytes[at] as number)) at++;
  return at;
}

/** Where the fraction ends that begins at a place: there, if none does. */
export function fractionEnd(bytes: Uint8Array, start: number): number {
  if (bytes[start] !== DOT) return start;
  let at = start + 1;
  while (isDigit(bytes[at] as number)) at++;
  return at > start + 1 ? at : start;
}

/** The number that the digits `bytes[start, end)` are; beyond 2^53 about that. */
export function readDigits(bytes: Uint8Array, start: number, end: number): number {
  let value = 0;
  let at = start;
  // Four at a time, which do not wait for each other.
  for (; at + 4 <= end; at += 4) {
    const front = (bytes[at] as number) * 10 + (bytes[at + 1] as number) - 11 * ZERO;
    const back = (bytes[at + 2] as number) * 10 + (bytes[at + 3] as number) - 11 * ZERO;
    value = value * 10_000 + front * 100 + back;
  }
  for (; at < end; at++) value = value * 10 + (bytes[at] as number) - ZERO;
  return value;
}

/**
 * The timestamp that the digits `bytes[start, end)` are.
 *
 * @returns false beyond 63 bits; so is -2^63, the one timestamp that is.
 */
export function readTimestampDigits(
  bytes: Uint8Array,
  start: number,
  end: number,
  isNegative: boolean,
  into: Halves,
): boolean {
  const value = readDigits(bytes, start, end);
  // What is beyond 2^53 is so too where it is not exact.
  if (value > Number.MAX_SAFE_INTEGER) return readLongTimestamp(bytes, start, end, isNegative, into);
  const signed = isNegative ? -value : value;
  into.high = Math.floor(signed / TWO_32);
  into.low = signed | 0;
  return true;
}

/**
 * The same of digits beyond 2^53, in doubles that stay exact: the first ones and the last nine are multiplied out in steps
 * of 16 bits.
 */
export function readLongTimestamp(
  bytes: Uint8Array,
  start: number,
  end: number,
  isNegative: boolean,
  into: Halves,
): boolean {
  if (end - start > DIGITS_MAX) return false;
  const front = readDigits(bytes, start, end - BACK_DIGITS);
  // Halves are taken by division: the remainder of doubles is a function's call.
  const frontHigh = Math.floor(front / TWO_16);
  const upper = frontHigh * 1e9;
  const upperHigh = Math.floor(upper / TWO_16);
  const lower = (front - frontHigh * TWO_16) * 1e9 + readDigits(bytes, end - BACK_DIGITS, end);
  const middle = (upper - upperHigh * TWO_16) * TWO_16 + lower;
  const middleHigh = Math.floor(middle / TWO_32);
  const high = upperHigh + middleHigh;
  const low = (middle - middleHigh * TWO_32) | 0;
  if (high > HIGH_MAX) return false;
  into.high = !isNegative ? high : low === 0 ? -high : ~high;
  into.low = isNegative ? -low | 0 : low;
  return true;
}
