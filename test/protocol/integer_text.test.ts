import { expect, test } from "bun:test";
import fc from "fast-check";
import { readTimestampDigits, writeTimestampDigits } from "../../src/protocol/integer_text.ts";
import { timestampFromBigInt } from "../../src/protocol/timestamp.ts";

const MAX = 2n ** 63n - 1n;

/** The obvious way, where it is in range; -2^63 is left to others. */
function expectedOf(value: bigint): { high: number; low: number } | undefined {
  return value > MAX || value < -MAX ? undefined : timestampFromBigInt(value);
}

function check(value: bigint): void {
  const digits = String(value < 0n ? -value : value);
  const bytes = Buffer.from(`9${digits}9`);
  const into = { high: 7, low: 7 };
  const isRead = readTimestampDigits(bytes, 1, 1 + digits.length, value < 0n, into);
  expect([value, isRead ? into : undefined]).toEqual([value, expectedOf(value)]);
  if (value < -MAX - 1n || value > MAX) return;
  const { high, low } = timestampFromBigInt(value);
  const written = Buffer.alloc(32, "x");
  const end = writeTimestampDigits(written, 3, high, low);
  expect(written.toString()).toBe(`xxx${value}`.padEnd(32, "x"));
  expect(end).toBe(3 + String(value).length);
}

const value = fc
  .tuple(fc.integer({ min: 1, max: 24 }), fc.bigInt({ min: 0n, max: 10n ** 24n }), fc.boolean())
  .map(([length, number, isNegative]) => {
    const magnitude = number % 10n ** BigInt(length);
    return isNegative ? -magnitude : magnitude;
  });

test("digits of any number are the timestamp that they stand for, or none, and are written again", () => {
  fc.assert(fc.property(value, check), { numRuns: 20_000 });
});

test("around the powers of two and of ten, too", () => {
  for (let exponent = 0n; exponent <= 64n; exponent++) {
    for (const power of [2n ** exponent, 10n ** (exponent % 20n)]) {
      for (let off = -3n; off <= 3n; off++) for (const sign of [1n, -1n]) check(sign * (power + off));
    }
  }
});
