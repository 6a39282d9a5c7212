/**
 * A page against the obvious version, an array; and that searching it where a record is expected finds what searching
 * all of it finds.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { Chunk } from "../../src/engine/chunk.ts";
import { InsertBatch } from "../../src/engine/insert_batch.ts";
import { Page } from "../../src/engine/page.ts";
import { ENTRY_BYTES } from "../../src/engine/page_index.ts";
import { SlabAllocator } from "../../src/engine/slab.ts";
import { timestampFromBigInt, timestampToBigInt } from "../../src/protocol/timestamp.ts";

const owner = { id: 1, isGone: false, isNewest: () => true, readChunk: () => new Uint8Array() };
const time = fc.oneof(
  fc.bigInt({ min: -50n, max: 50n }),
  fc.bigInt({ min: 2n ** 32n - 50n, max: 2n ** 32n + 50n }),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
);

test("the record after a time is the same, wherever it is looked for first", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(time, { minLength: 2, maxLength: 40 }),
      time,
      fc.nat(),
      (times, asked, seed) => {
        const slabs = new SlabAllocator();
        const page = new Page(slabs, 128);
        const source = Buffer.from(',{"ts":1,"data":""}');
        const view = new DataView(source.buffer, source.byteOffset, source.length);
        for (const each of times.sort((a, b) => (a < b ? -1 : 1))) {
          page.append(slabs, { source, view, from: 0, to: source.length, ...timestampFromBigInt(each) });
        }
        const { high, low } = timestampFromBigInt(asked);
        const expected = times.filter((each) => each <= asked).length;
        expect(page.firstAfter(high, low)).toBe(expected);
        expect(page.firstAfterNear(seed % times.length, high, low)).toBe(expected);
        const chunk = new Chunk(owner);
        chunk.measure(page);
        if (expected === 0 || expected === times.length) return;
        expect(page.firstAfterNear(chunk.indexNear(high, low), high, low)).toBe(expected);
      },
    ),
    { numRuns: 3000 },
  );
});

type Kept = { at: bigint; text: string };
type Step =
  | { kind: "put"; at: bigint; length: number }
  | { kind: "run"; steps: readonly number[]; length: number }
  | { kind: "remove"; from: number; count: number }
  | { kind: "split"; at: number; keepsTail: boolean }
  | { kind: "touch"; size: number }
  | { kind: "fit" };

const put = fc.record({
  kind: fc.constant("put" as const),
  at: fc.bigInt({ min: -60n, max: 60n }),
  length: fc.oneof(fc.nat({ max: 40 }), fc.constantFrom(500, 1200)),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: put },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("remove" as const), from: fc.nat(), count: fc.nat({ max: 8 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("split" as const),
      at: fc.nat(),
      keepsTail: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("fit" as const) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("touch" as const),
      size: fc.oneof(fc.integer({ min: 1, max: 80 }), fc.constantFrom(500, 1200, 100_000)),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("run" as const),
      steps: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 12 }),
      length: fc.nat({ max: 300 }),
    }),
  },
);

function runBehind(last: bigint, { steps, length }: { steps: readonly number[]; length: number }): Kept[] {
  let at = last;
  return steps.map((step, index) => {
    at += BigInt(step);
    return { at, text: `,{"ts":${at},"data":"${"r".repeat((length * (index + 1)) % 1000)}"}` };
  });
}

/** A batch of these records, with another one before them. */
function batchOf(run: readonly Kept[]): InsertBatch {
  const batch = new InsertBatch();
  batch.add({ col: "c", doc: "d", ts: { high: 0, low: 0 }, data: "before" });
  for (const { at, text } of run) {
    const { data } = JSON.parse(text.slice(1)) as { data: string };
    batch.add({ col: "c", doc: "d", ts: timestampFromBigInt(at), data });
  }
  return batch;
}

function contentOf(page: Page): Kept[] {
  return Array.from({ length: page.count }, (_, index) => ({
    at: timestampToBigInt({ high: page.tsHigh(index), low: page.tsLow(index) }),
    text: page.slab.bytes.toString("latin1", page.recordStart(index), page.recordEnd(index)),
  }));
}

function putInto(page: Page, slabs: SlabAllocator, { at, text }: Kept): void {
  const source = Buffer.from(text);
  const view = new DataView(source.buffer, source.byteOffset, source.length);
  const { high, low } = timestampFromBigInt(at);
  const record = { source, view, from: 0, to: source.length, high, low };
  const index = page.firstAtOrAfter(high, low);
  if (index === page.count) page.append(slabs, record);
  else if (page.tsHigh(index) === high && page.tsLow(index) === low) page.replace(slabs, index, record);
  else page.insert(slabs, index, record);
}

/** What stands around the block stays as it is. */
function expectTouchedInside({ slab: { bytes }, start, blockBytes }: Page, touch: () => void): void {
  const around = [
    bytes.subarray(Math.max(0, start - 200), start),
    bytes.subarray(start + blockBytes, start + blockBytes + 200),
  ];
  const before = around.map((part) => Buffer.from(part));
  for (const part of around) part.fill(0xee);
  touch();
  expect(around.every((part) => part.every((byte) => byte === 0xee))).toBe(true);
  for (const [index, part] of around.entries()) part.set(before[index] as Buffer);
}

/** The text lies within the block and beside the index, and no record of another page is touched. */
function checkPage(page: Page, expected: readonly Kept[]): void {
  expect(contentOf(page)).toEqual([...expected]);
  expect(page.textLength).toBe(expected.reduce((sum, { text }) => sum + text.length, 0));
  expect(page.textStart).toBeGreaterThanOrEqual(0);
  expect(page.textEnd + page.count * ENTRY_BYTES).toBeLessThanOrEqual(page.blockBytes);
}

test("whatever is put in, replaced, removed and split off, in any order, a page holds just that", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 120 }), (steps) => {
      const slabs = new SlabAllocator(128 * 1024);
      // Most pages have a block before theirs, too.
      for (let bytes = 32; bytes <= 2048; bytes += bytes >> 2) slabs.slabFor(bytes).take();
      let page = new Page(slabs, 64);
      // A neighbour in the same slab, which must stay as it is.
      const neighbour = new Page(slabs, 64);
      const neighbours: Kept[] = [{ at: 7n, text: ',{"ts":7,"data":"neighbour"}' }];
      putInto(neighbour, slabs, neighbours[0] as Kept);
      let kept: Kept[] = [];
      for (const [number, each] of steps.entries()) {
        if (each.kind === "put") {
          const text = `,{"ts":${each.at},"data":"${String.fromCharCode(97 + (number % 26)).repeat(each.length)}"}`;
          putInto(page, slabs, { at: each.at, text });
          kept = kept.filter(({ at }) => at !== each.at);
          kept.push({ at: each.at, text });
          kept.sort((a, b) => Number(a.at - b.at));
        } else if (each.kind === "run") {
          const run = runBehind(kept.at(-1)?.at ?? 0n, each);
          page.appendRun(slabs, batchOf(run), 1, 1 + run.length);
          kept.push(...run);
        } else if (each.kind === "touch") {
          expectTouchedInside(page, () => page.touchEnd(each.size));
          expectTouchedInside(page, () => page.touchFront(each.size));
        } else if (each.kind === "fit") page.fit(slabs);
        else if (kept.length >= 2) {
          if (each.kind === "remove") {
            const from = each.from % kept.length;
            const to = Math.min(kept.length, from + each.count);
            if (from === to || to - from === kept.length) continue;
            page.remove(from, to);
            kept.splice(from, to - from);
          } else {
            const at = 1 + (each.at % (kept.length - 1));
            const tail = page.splitOff(slabs, at);
            const head = page;
            checkPage(head, kept.slice(0, at));
            checkPage(tail, kept.slice(at));
            page = each.keepsTail ? tail : head;
            kept = each.keepsTail ? kept.slice(at) : kept.slice(0, at);
            (each.keepsTail ? head : tail).free(slabs);
          }
        }
        checkPage(page, kept);
        checkPage(neighbour, neighbours);
      }
    }),
    { numRuns: 4000 },
  );
});

test("a page that is filled from its end moves its text a few times only", () => {
  const slabs = new SlabAllocator();
  const page = new Page(slabs, 128);
  let moves = 0;
  for (let at = 200; at > 0; at--) {
    const { slab, start, textEnd } = page;
    putInto(page, slabs, { at: BigInt(at), text: `,{"ts":${at},"data":"${"x".repeat(60)}"}` });
    if (page.slab !== slab || page.start !== start || page.textEnd !== textEnd) moves++;
  }
  expect(page.count).toBe(200);
  expect(moves).toBeLessThan(25);
});

test("a page never grows by more than it says it will", () => {
  const puts = fc.array(put, { minLength: 1, maxLength: 30 });
  let grown = 0;
  fc.assert(
    fc.property(puts, puts, (first, then) => {
      const slabs = new SlabAllocator();
      const page = new Page(slabs, 128);
      const records = [...first, ...then].map(({ at, length }) => {
        return { at, text: `,{"ts":${at},"data":"${"x".repeat(length)}"}` };
      });
      for (const record of records.slice(0, first.length)) putInto(page, slabs, record);
      const rest = records.slice(first.length);
      const before = page.blockBytes;
      const most = page.growthAtMost(rest.reduce((sum, { text }) => sum + text.length + ENTRY_BYTES, 0));
      for (const record of rest) putInto(page, slabs, record);
      expect(page.blockBytes - before).toBeLessThanOrEqual(most);
      if (page.blockBytes - before === most && most > 0) grown++;
    }),
    { numRuns: 4000 },
  );
  // And often by just that.
  expect(grown).toBeGreaterThan(200);
}, 60_000);
