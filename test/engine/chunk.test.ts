/**
 * What a chunk keeps in few properties, against the obvious version, which has one for each; and blocks in one number.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { CHUNK_COUNT_MAX, Chunk } from "../../src/engine/chunk.ts";
import { Page } from "../../src/engine/page.ts";
import { SlabAllocator } from "../../src/engine/slab.ts";

const owner = { id: 1, isGone: false, isNewest: () => true, readChunk: () => new Uint8Array() };
const FLAGS = [
  "isDirty",
  "isOnDisk",
  "wasNewest",
  "isGone",
  "isCopy",
  "isQueued",
  "isWatched",
  "isListed",
] as const;

type Obvious = Record<(typeof FLAGS)[number], boolean> & {
  count: number;
  restDoublings: number;
  touchedAt: number;
  page: Page | undefined;
  packed: Buffer | undefined;
};

type Step =
  | { kind: "flag"; flag: (typeof FLAGS)[number]; value: boolean }
  | { kind: "count" | "rest" | "touch" | "pack"; value: number }
  | { kind: "append" | "page" | "noPage" | "unpack" };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant("flag" as const), flag: fc.constantFrom(...FLAGS), value: fc.boolean() }),
  fc.record({
    kind: fc.constant("count" as const),
    value: fc.oneof(fc.nat({ max: 300 }), fc.constantFrom(CHUNK_COUNT_MAX - 1, CHUNK_COUNT_MAX)),
  }),
  fc.record({ kind: fc.constant("rest" as const), value: fc.nat({ max: 7 }) }),
  fc.record({ kind: fc.constant("touch" as const), value: fc.nat({ max: 3 * 3600 }) }),
  fc.record({
    kind: fc.constant("pack" as const),
    value: fc.constantFrom(0, 1, 50, 700, 3000, 70_000, 200_000),
  }),
  fc.record({
    kind: fc.constantFrom("append" as const, "page" as const, "noPage" as const, "unpack" as const),
  }),
);

function take(chunk: Chunk, obvious: Obvious, slabs: SlabAllocator, each: Step): void {
  if (each.kind === "flag") chunk[each.flag] = obvious[each.flag] = each.value;
  else if (each.kind === "count") chunk.count = obvious.count = each.value;
  else if (each.kind === "rest") chunk.restDoublings = obvious.restDoublings = each.value;
  else if (each.kind === "touch") {
    obvious.touchedAt = each.value;
    chunk.touch(each.value);
  } else if (each.kind === "append") {
    if (obvious.count === CHUNK_COUNT_MAX) return;
    chunk.appended({ high: obvious.count, low: -1 });
    expect([chunk.lastHigh, chunk.lastLow]).toEqual([obvious.count, -1]);
    obvious.count++;
  } else if (each.kind === "page") {
    obvious.page?.free(slabs);
    chunk.page = obvious.page = new Page(slabs, 128);
  } else if (each.kind === "noPage") {
    obvious.page?.free(slabs);
    chunk.page = obvious.page = undefined;
  } else if (each.kind === "pack") {
    if (obvious.packed !== undefined) return;
    obvious.packed = Buffer.alloc(each.value, each.value % 251);
    chunk.keepPacked(slabs, obvious.packed);
  } else if (obvious.packed !== undefined) {
    obvious.packed = undefined;
    chunk.dropPacked(slabs);
  }
}

function check(chunk: Chunk, obvious: Obvious, slabs: SlabAllocator): void {
  const { page, packed, touchedAt, ...others } = obvious;
  expect(chunk).toMatchObject(others);
  for (const seconds of [0, 5, 29.5, 1000, 4000]) {
    expect(Math.abs(chunk.secondsUntouched(touchedAt + seconds) - seconds)).toBeLessThan(4);
  }
  expect(chunk.page).toBe(page as Page);
  expect(chunk.isPacked).toBe(packed !== undefined);
  if (packed !== undefined) expect(chunk.packed(slabs).equals(packed)).toBe(true);
  expect(chunk.isOpen).toBe(page !== undefined && !obvious.isCopy);
  expect(chunk.isCold).toBe(packed === undefined && (page === undefined || obvious.isCopy));
}

test("count, page, packed form and flags of chunks are kept, whatever is changed in any order", () => {
  const steps = fc.array(fc.tuple(fc.nat({ max: 3 }), step), { minLength: 1, maxLength: 100 });
  fc.assert(
    fc.property(steps, (steps) => {
      const slabs = new SlabAllocator(128 * 1024);
      const chunks = Array.from({ length: 4 }, () => new Chunk(owner));
      const flags = Object.fromEntries(FLAGS.map((flag) => [flag, false])) as Record<
        (typeof FLAGS)[number],
        boolean
      >;
      const all = chunks.map((): Obvious => {
        return { ...flags, count: 0, restDoublings: 0, touchedAt: 0, page: undefined, packed: undefined };
      });
      for (const [index, each] of steps) {
        take(chunks[index] as Chunk, all[index] as Obvious, slabs, each);
        for (const [at, chunk] of chunks.entries()) check(chunk, all[at] as Obvious, slabs);
      }
      for (const [at, chunk] of chunks.entries()) {
        (all[at] as Obvious).page?.free(slabs);
        if (chunk.isPacked) chunk.dropPacked(slabs);
      }
      expect(slabs.usedBytes).toBe(0);
    }),
    { numRuns: 1500 },
  );
});

test("a block in one number is the slab and the offset that it was made of, and numbers of slabs that are gone are used again", () => {
  const slabs = new SlabAllocator(128 * 1024);
  const takeAll = (bytes: number, count: number) =>
    Array.from({ length: count }, () => {
      const slab = slabs.slabFor(bytes);
      const offset = slab.take();
      return { slab, offset, place: slabs.placeOf(slab, offset) };
    });
  let highest = 0;
  for (let round = 0; round < 5; round++) {
    const blocks = [...takeAll(16, 20_000), ...takeAll(3000, 300), ...takeAll(100_000, 20)];
    expect(new Set(blocks.map(({ place }) => place)).size).toBe(blocks.length);
    for (const { slab, offset, place } of blocks) {
      expect(slabs.slabAt(place)).toBe(slab);
      expect(slabs.offsetAt(place)).toBe(offset);
      highest = Math.max(highest, slab.number);
    }
    for (const { slab, offset } of blocks) slabs.giveBack(slab, offset);
  }
  // 3 slabs, 8 slabs and 20, one of each size that stays as it is, and what is spare.
  expect(highest).toBeLessThan(50);
});
