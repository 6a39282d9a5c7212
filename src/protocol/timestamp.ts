/**
 * Timestamps: signed 64-bit integers in a unit that is the user's own, exact to the last digit.
 *
 * They are kept as two 32-bit halves, since a double is exact only to 2^53 and a BigInt costs an allocation each.
 */
import { isRawNumber } from "./json.ts";

/** `high * 2^32 + (low as unsigned)`; both halves are signed 32-bit integers, as Int32Array holds them. */
export type Timestamp = { readonly high: number; readonly low: number };

export const TIMESTAMP_ZERO: Timestamp = { high: 0, low: 0 };
export const TIMESTAMP_MIN: Timestamp = { high: -0x8000_0000, low: 0 };
export const TIMESTAMP_MAX: Timestamp = { high: 0x7fff_ffff, low: -1 };

const TWO_32 = 0x1_0000_0000;
const BIGINT_MIN = -(2n ** 63n);
const BIGINT_MAX = 2n ** 63n - 1n;
/** Longer exponents are out of range whatever the digits; it also bounds the work of reading them. */
const EXPONENT_MAX = 400;

/** Negative, zero or positive as `a` is before, equal to or after `b`. */
export function compareTimestamps(a: Timestamp, b: Timestamp): number {
  return a.high === b.high ? (a.low >>> 0) - (b.low >>> 0) : a.high - b.high;
}

/** The same of two that are only halves: an object for each costs too much where there are many. */
export function isBefore(high: number, low: number, otherHigh: number, otherLow: number): boolean {
  return high < otherHigh || (high === otherHigh && low >>> 0 < otherLow >>> 0);
}

export function timestampFromBigInt(value: bigint): Timestamp {
  return { high: Number(BigInt.asIntN(32, value >> 32n)), low: Number(BigInt.asIntN(32, value)) };
}

export function timestampToBigInt({ high, low }: Timestamp): bigint {
  return (BigInt(high) << 32n) | BigInt(low >>> 0);
}

/** The decimal digits, without leading zeros. */
export function timestampToText(timestamp: Timestamp): string {
  const { high, low } = timestamp;
  if (high >= -0x20_0000 && high < 0x20_0000) return String(high * TWO_32 + (low >>> 0));
  return timestampToBigInt(timestamp).toString();
}

/**
 * Reads what clients send: an integer, a fraction (cut toward zero), or a string of digits.
 *
 * @returns undefined for anything else, and for what 64 bits cannot hold.
 */
export function readTimestamp(value: unknown): Timestamp | undefined {
  if (typeof value === "number") return fromNumber(value);
  if (typeof value === "string")
    return /^-?[0-9]{1,400}$/.test(value) ? fromBigInt(BigInt(value)) : undefined;
  if (typeof value === "bigint") return fromBigInt(value);
  if (isRawNumber(value)) return fromDecimal(value.rawJSON);
  return undefined;
}

function fromNumber(value: number): Timestamp | undefined {
  const whole = Math.trunc(value);
  if (Number.isSafeInteger(whole)) return { high: Math.floor(whole / TWO_32), low: whole | 0 };
  return Number.isFinite(whole) ? fromBigInt(BigInt(whole)) : undefined;
}

function fromBigInt(value: bigint): Timestamp | undefined {
  return value < BIGINT_MIN || value > BIGINT_MAX ? undefined : timestampFromBigInt(value);
}

/** A JSON number's text, exactly: `1747604423123456789.5`, `1.5e18`. */
function fromDecimal(text: string): Timestamp | undefined {
  const match = /^(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/.exec(text);
  if (!match) return undefined;
  const [, sign = "", whole = "", fraction = "", exponentText = "0"] = match;
  const digits = whole + fraction;
  const exponent = Number(exponentText);
  const significant = digits.replace(/^0+/, "");
  if (significant === "") return TIMESTAMP_ZERO;
  const wholeDigits = whole.length + exponent - (digits.length - significant.length);
  if (wholeDigits <= 0) return TIMESTAMP_ZERO;
  if (wholeDigits > 19 || Math.abs(exponent) > EXPONENT_MAX) return undefined;
  const integer = significant.slice(0, wholeDigits).padEnd(wholeDigits, "0");
  return fromBigInt(BigInt(sign + integer));
}
