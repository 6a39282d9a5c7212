/**
 * A run of records that is stored at once: the same chunks as of its records stored one after another.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { ChunkStore } from "../../src/engine/chunk_store.ts";
import { InsertBatch } from "../../src/engine/insert_batch.ts";
import { noRecord } from "../../src/engine/rendered.ts";
import { Series } from "../../src/engine/series.ts";
import { type Timestamp, timestampFromBigInt } from "../../src/protocol/timestamp.ts";
import { hostOf, SMALL_CHUNKS } from "./harness.ts";

const DATA_LENGTHS = [0, 20, 150, 600];

type Step = { first: number; lengths: readonly number[]; step: number } | { rest: true };

const run = fc.record({
  first: fc.integer({ min: 0, max: 60 }),
  lengths: fc.array(fc.constantFrom(...DATA_LENGTHS), { minLength: 1, maxLength: 14 }),
  step: fc.integer({ min: 1, max: 3 }),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: run },
  { weight: 1, arbitrary: fc.constant({ rest: true as const }) },
);

class Document {
  readonly store: ChunkStore;
  readonly changed = new Set<object>();
  readonly series: Series;
  #seconds = 0;

  constructor(restSeconds = 0) {
    this.store = new ChunkStore({ ...SMALL_CHUNKS, unpackedBytesMax: 100_000, restSeconds, isSaved: false });
    this.series = new Series(
      hostOf(this.store, (chunk) => this.changed.add(chunk)),
      { name: "d", id: 1 },
    );
  }

  /** Packs what is full, and the newest chunk. All is read: of a packed chunk it is not known how much text it has. */
  rest(): void {
    while (this.store.tidy(++this.#seconds)) {}
    this.chunks();
  }

  chunks(): object[] {
    return this.series.chunks.map((chunk) => {
      const { count, firstHigh, firstLow, lastHigh, lastLow } = chunk;
      const page = this.store.read(chunk);
      const text = page.slab.bytes.toString("utf8", page.recordStart(0), page.recordEnd(page.count - 1));
      return { count, first: [firstHigh, firstLow], last: [lastHigh, lastLow], text, size: page.count };
    });
  }
}

const timeOf = (number: number): Timestamp => timestampFromBigInt(BigInt(number));

test("a run becomes the same chunks as its records one by one, wherever it goes", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 25 }), (steps) => {
      const [atOnce, oneByOne] = [new Document(), new Document()];
      const batch = new InsertBatch();
      const record = noRecord();
      for (const [number, each] of steps.entries()) {
        if ("rest" in each) {
          for (const document of [atOnce, oneByOne]) document.rest();
          continue;
        }
        batch.clear();
        batch.add({ col: "c", doc: "other", ts: timeOf(0), data: "before" });
        for (const [index, length] of each.lengths.entries()) {
          const data = String.fromCharCode(97 + (number % 26)).repeat(length);
          batch.add({ col: "c", doc: "d", ts: timeOf(each.first + index * each.step), data });
        }
        record.source = batch.text;
        record.view = batch.textView;
        const added = atOnce.series.insertRun(batch, 1, batch.count, record);
        let expected = 0;
        for (let index = 1; index < batch.count; index++) {
          batch.point(record, index);
          expected += oneByOne.series.insert(record);
        }
        expect(added).toBe(expected);
        expect(atOnce.series.recordCount).toBe(oneByOne.series.recordCount);
        expect(atOnce.chunks()).toEqual(oneByOne.chunks());
        expect(atOnce.changed.size).toBeGreaterThanOrEqual(atOnce.series.chunks.length);
      }
    }),
    { numRuns: 600 },
  );
}, 60_000);

test("a chunk is not packed before it has rested, one that has just begun neither", () => {
  const { series, store } = new Document(30);
  const batch = new InsertBatch();
  for (let at = 0; at < 5; at++) batch.add({ col: "c", doc: "d", ts: timeOf(at), data: "x" });
  const record = noRecord();
  record.source = batch.text;
  record.view = batch.textView;
  const insert = (index: number): void => {
    batch.point(record, index);
    series.insert(record);
  };
  const packed = (): boolean[] => series.chunks.map(({ isPacked }) => isPacked);
  store.tidy(1000);
  insert(0);
  store.tidy(1020);
  expect(packed()).toEqual([false]);
  insert(1);
  store.tidy(1040);
  expect(packed()).toEqual([false]);
  for (const index of [2, 3]) insert(index);
  store.tidy(1060);
  // The fifth begins a chunk, and the one that is full has rested since.
  insert(4);
  store.tidy(1075);
  expect(packed()).toEqual([true, false]);
  store.tidy(1100);
  expect(packed()).toEqual([true, true]);
});
