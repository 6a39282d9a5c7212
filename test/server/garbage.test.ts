/**
 * When garbage is collected, with a clock and a collector that the test holds.
 */
import { expect, test } from "bun:test";
import { GARBAGE_BYTES_MIN } from "../../src/protocol/limits.ts";
import { Garbage } from "../../src/server/garbage.ts";

const PART_BYTES = 1024 * 1024;

/** A collector that takes so long each time; `bytesUntilNext()` counts parts until it is called. */
function garbageWith(durationsMs: number[]): { bytesUntilNext: () => number } {
  let now = 0;
  let collections = 0;
  const garbage = new Garbage({
    nowMs: () => now,
    collect: () => {
      now += durationsMs[collections++] ?? 0;
    },
  });
  return {
    bytesUntilNext() {
      const before = collections;
      let bytes = 0;
      while (collections === before) {
        garbage.count(PART_BYTES);
        bytes += PART_BYTES;
      }
      return bytes;
    },
  };
}

test("it is collected after so many bytes, again and again", () => {
  const { bytesUntilNext } = garbageWith([0.1, 0.9, 0.1]);
  for (let round = 0; round < 4; round++) expect(bytesUntilNext()).toBe(GARBAGE_BYTES_MIN);
});

test("where that takes long it is done less often, and often again when it is quick", () => {
  const { bytesUntilNext } = garbageWith([10, 0.2]);
  expect(bytesUntilNext()).toBe(GARBAGE_BYTES_MIN);
  const later = bytesUntilNext();
  expect(later).toBeGreaterThan(9 * GARBAGE_BYTES_MIN);
  expect(later).toBeLessThanOrEqual(10 * GARBAGE_BYTES_MIN);
  expect(bytesUntilNext()).toBe(GARBAGE_BYTES_MIN);
});

test("small messages count for more than their text", () => {
  let collections = 0;
  const garbage = new Garbage({ nowMs: () => 0, collect: () => collections++ });
  for (let message = 0; message < GARBAGE_BYTES_MIN / 100; message++) garbage.count(20);
  expect(collections).toBeGreaterThan(1);
});
