import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { InsertBatch } from "../../src/engine/insert_batch.ts";
import { changeLimits, KeyLimits, readLimits, writeLimits } from "../../src/engine/key_limits.ts";
import { TIMESTAMP_ZERO } from "../../src/protocol/timestamp.ts";

function batchOf(collections: readonly string[]): InsertBatch {
  const batch = new InsertBatch();
  for (const col of collections) batch.add({ col, doc: "d", ts: TIMESTAMP_ZERO, data: "" });
  return batch;
}

describe("KeyLimits", () => {
  test("takes a name exactly, and a pattern anywhere in the name", () => {
    const { mayUse } = new KeyLimits({ collections: ["a", "/^site-[0-9]+$/", "/ü/i", "/x"] });
    for (const name of ["a", "site-7", "grÜn", "/x"]) expect([name, mayUse(name)]).toEqual([name, true]);
    for (const name of ["", "A", "aa", "site-", "site-7x", "x", "/^site-[0-9]+$/"]) {
      expect([name, mayUse(name)]).toEqual([name, false]);
    }
  });

  test("that say nothing of collections allow all", () => {
    const limits = new KeyLimits({ expiresAt: 1 });
    expect(limits.mayUse("anything")).toBe(true);
    expect(limits.mayInsert(batchOf(["a", "b"]))).toBe(true);
  });

  test("expire at their time, not before", () => {
    const limits = new KeyLimits({ expiresAt: 1000 });
    expect([999, 1000, 1001].map((ms) => limits.hasExpired(ms))).toEqual([false, true, true]);
    expect(new KeyLimits({ collections: ["a"] }).hasExpired(Number.MAX_VALUE)).toBe(false);
  });

  test("find the one record of a batch that is outside, wherever it is", () => {
    const limits = new KeyLimits({ collections: ["a", 'q"\\\n', "ü😀"] });
    const name = fc.constantFrom("a", 'q"\\\n', "ü😀", "b", "aa", "ü", "/a/");
    fc.assert(
      fc.property(fc.array(name, { maxLength: 12 }), (names) => {
        expect(limits.mayInsert(batchOf(names))).toBe(names.every(limits.mayUse));
      }),
    );
  });

  test("are the same after they were stored", () => {
    for (const limits of [
      new KeyLimits({ expiresAt: 5 }),
      new KeyLimits({ collections: ["a", "/b/i", "__proto__"] }),
      new KeyLimits({ expiresAt: 8.64e15, collections: ['"'] }),
    ]) {
      const { expiresAt, collections } = readLimits(writeLimits(limits)) as KeyLimits;
      expect({ expiresAt, collections }).toEqual({
        expiresAt: limits.expiresAt,
        collections: limits.collections,
      });
    }
    expect(writeLimits(undefined)).toBeNull();
    expect(readLimits(null)).toBeUndefined();
  });
});

describe("changeLimits()", () => {
  const both = new KeyLimits({ expiresAt: 5, collections: ["a"] });
  const valuesOf = (limits: KeyLimits | undefined) =>
    limits && { expiresAt: limits.expiresAt, collections: limits.collections };

  test("leaves what is not mentioned, and lifts what is never or all", () => {
    expect(valuesOf(changeLimits(both, {}))).toEqual({ expiresAt: 5, collections: ["a"] });
    expect(valuesOf(changeLimits(both, { expiresAt: 6 }))).toEqual({ expiresAt: 6, collections: ["a"] });
    expect(valuesOf(changeLimits(both, { expiresAt: "never" }))).toEqual({
      expiresAt: undefined,
      collections: ["a"],
    });
    expect(valuesOf(changeLimits(both, { collections: "all" }))).toEqual({
      expiresAt: 5,
      collections: undefined,
    });
    expect(valuesOf(changeLimits(undefined, { collections: ["b"] }))).toEqual({
      expiresAt: undefined,
      collections: ["b"],
    });
  });

  test("leaves no object where there is no limit: that is what an unlimited key's messages look at", () => {
    expect(changeLimits(undefined, {})).toBeUndefined();
    expect(changeLimits(undefined, { expiresAt: "never", collections: "all" })).toBeUndefined();
    expect(changeLimits(both, { expiresAt: "never", collections: "all" })).toBeUndefined();
  });
});
