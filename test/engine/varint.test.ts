/**
 * Integers in seven bits a byte, against BigInt.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  LONG_VARINT_BYTES_MAX,
  VARINT_BYTES_MAX,
  VarintReader,
  writeVarint,
} from "../../src/engine/varint.ts";

function obviousBytes(value: number): number[] {
  const bytes: number[] = [];
  let rest = BigInt(value);
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return [...bytes, Number(rest)];
}

const EDGES = [
  0,
  1,
  127,
  128,
  16_383,
  16_384,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32,
  2 ** 52,
  Number.MAX_SAFE_INTEGER,
];
const integer = fc.oneof(fc.constantFrom(...EDGES), fc.nat(), fc.maxSafeNat());

test("integers come back one after the other, in the bytes they need", () => {
  fc.assert(
    fc.property(fc.array(integer), (values) => {
      const bytes = Buffer.alloc(3 + values.length * LONG_VARINT_BYTES_MAX);
      let end = 3;
      for (const value of values) {
        const start = end;
        end = writeVarint(bytes, start, value);
        expect([...bytes.subarray(start, end)]).toEqual(obviousBytes(value));
        if (value < 2 ** 31) expect(end - start).toBeLessThanOrEqual(VARINT_BYTES_MAX);
      }
      const reader = new VarintReader(bytes.subarray(0, end), 3);
      for (const value of values) expect(reader.next()).toBe(value);
      expect(reader.at).toBe(end);
    }),
  );
});

test.each([[[]], [[0x80]], [[0xff, 0xff]], [new Array(9).fill(0x80)]])("%j is no integer", (bytes) => {
  expect(() => new VarintReader(Uint8Array.from(bytes), 0).next()).toThrow(RangeError);
});
