/**
 * Timestamps in decimal digits, read from bytes and written to them without a BigInt: that is an allocation for each, and a
 * clock of microseconds or nanoseconds has one for every record.
 */
import { DOT, MINUS, ZERO } from "./ascii.ts";
import { timestampToText } from "./timestamp.ts";

/** So many can a 64-bit integer have. */
const DIGITS_MAX = 19;
/** With its sign. */
export const TIMESTAMP_BYTES_MAX = 1 + DIGITS_MAX;

const TWO_16 = 0x1_0000;
const TWO_32 = 0x1_0000_0000;
const HIGH_MAX = 0x7fff_ffff;
const BACK_DIGITS = 9;
const BILLION = 1e9;
/** Timestamps with a smaller high half are exact as doubles. */
const SAFE_HIGH_END = 0x20_0000;

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

/** Writes a timestamp's digits, as timestampToText makes them; returns where they end. */
export function writeTimestampDigits(bytes: Uint8Array, start: number, high: number, low: number): number {
  if (high < 0) return writeText(bytes, start, timestampToText({ high, low }));
  if (high < SAFE_HIGH_END) return writeDigits(bytes, start, high * TWO_32 + (low >>> 0));
  // Long division by 10^9, sixteen bits at a time.
  const first = Math.floor(high / BILLION);
  const upper = (high - first * BILLION) * TWO_16 + (low >>> 16);
  const second = Math.floor(upper / BILLION);
  const lower = (upper - second * BILLION) * TWO_16 + (low & 0xffff);
  const third = Math.floor(lower / BILLION);
  const front = (first * TWO_16 + second) * TWO_16 + third;
  return writeBack(bytes, writeDigits(bytes, start, front), lower - third * BILLION);
}

/** An integer from 0 to 2^53. */
function writeDigits(bytes: Uint8Array, start: number, value: number): number {
  if (value < BILLION) return writeFront(bytes, start, value | 0);
  const front = Math.floor(value / BILLION);
  return writeBack(bytes, writeFront(bytes, start, front | 0), value - front * BILLION);
}

/** An integer below 10^9. */
function writeFront(bytes: Uint8Array, start: number, value: number): number {
  if (value < 10) {
    bytes[start] = ZERO + value;
    return start + 1;
  }
  let end = start;
  for (let bound = 1; bound <= value; bound *= 10) end++;
  for (let at = end - 1, rest = value; at >= start; at--) {
    const next = (rest / 10) | 0;
    bytes[at] = ZERO + rest - next * 10;
    rest = next;
  }
  return end;
}

/** An integer below 10^9 as nine digits. */
function writeBack(bytes: Uint8Array, start: number, value: number): number {
  const all = value | 0;
  const first = (all / 100_000_000) | 0;
  const rest = all - first * 100_000_000;
  const middle = (rest / 10_000) | 0;
  bytes[start] = ZERO + first;
  writeFour(bytes, start + 1, middle);
  writeFour(bytes, start + 5, rest - middle * 10_000);
  return start + BACK_DIGITS;
}

/** An integer below 10^4 as four digits. Multiplying is a tenth of dividing: these fractions are exact so far. */
function writeFour(bytes: Uint8Array, start: number, value: number): void {
  const front = (value * 5243) >> 19;
  const back = value - front * 100;
  const thousands = (front * 103) >> 10;
  const tens = (back * 103) >> 10;
  bytes[start] = ZERO + thousands;
  bytes[start + 1] = ZERO + front - thousands * 10;
  bytes[start + 2] = ZERO + tens;
  bytes[start + 3] = ZERO + back - tens * 10;
}

function writeText(bytes: Uint8Array, start: number, text: string): number {
  for (let index = 0; index < text.length; index++) bytes[start + index] = text.charCodeAt(index);
  return start + text.length;
}
