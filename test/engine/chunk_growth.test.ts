/**
 * What a write is said to take at most in memory is no less than what it takes, and not far more where that counts.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Chunk } from "../../src/engine/chunk.ts";
import { addToShares, growthAtMost, type Share } from "../../src/engine/chunk_growth.ts";
import { ChunkStore } from "../../src/engine/chunk_store.ts";
import { InsertBatch } from "../../src/engine/insert_batch.ts";
import { ENTRY_BYTES } from "../../src/engine/page_index.ts";
import { NEW_PAGE_FACTOR } from "../../src/engine/page_size.ts";
import { noRecord } from "../../src/engine/rendered.ts";
import { Series } from "../../src/engine/series.ts";
import { timestampFromBigInt } from "../../src/protocol/timestamp.ts";
import { hostOf } from "./harness.ts";

/** What a new document is said to take besides. */
const DOCUMENT_BYTES = 2048;

type Sent = { readonly at: number; readonly length: number };

class Document {
  readonly store: ChunkStore;
  readonly series: Series;
  readonly #record = noRecord();
  #seconds = 0;

  constructor(sizes: { chunkRecordsMax: number; chunkTextBytesMax: number }) {
    this.store = new ChunkStore({ ...sizes, restSeconds: 0, isSaved: false });
    this.series = new Series(hostOf(this.store), { name: "d", id: 1 });
  }

  /** Packs all, and reads some of it again. */
  rest(readEach: number): void {
    while (this.store.tidy(++this.#seconds)) {}
    for (const [index, chunk] of this.series.chunks.entries()) {
      if (readEach > 0 && index % readEach === 0) this.store.read(chunk);
    }
  }

  /** Returns what it was said to take at most, and what it took. */
  insert(records: readonly Sent[]): { most: number; took: number } {
    const batch = new InsertBatch();
    for (const { at, length } of records) {
      batch.add({ col: "c", doc: "d", ts: timestampFromBigInt(BigInt(at)), data: "x".repeat(length) });
    }
    const shares = new Map<Chunk, Share>();
    let most = 0;
    for (let index = 0; index < batch.count; index++) {
      const bytes = batch.textStart(index + 1) - batch.textStart(index) + ENTRY_BYTES;
      const at = timestampFromBigInt(BigInt((records[index] as Sent).at));
      if (this.series.chunks.length > 0) addToShares(shares, this.series.chunks, at, bytes);
      else most += NEW_PAGE_FACTOR * bytes + DOCUMENT_BYTES;
    }
    for (const [chunk, share] of shares) most += growthAtMost(chunk, this.store, share);
    const before = this.store.slabs.usedBytes;
    const record = this.#record;
    record.source = batch.text;
    record.view = batch.textView;
    for (let index = 0; index < batch.count; index++) {
      batch.point(record, index);
      this.series.insert(record);
    }
    return { most, took: this.store.slabs.usedBytes - before };
  }
}

const length = fc.oneof(fc.nat({ max: 60 }), fc.constantFrom(150, 700));
const anywhere = fc.array(fc.record({ at: fc.nat({ max: 400 }), length }), { minLength: 1, maxLength: 12 });
const behind = fc.array(fc.record({ at: fc.nat({ max: 8 }), length }), { minLength: 1, maxLength: 30 });

test("no write takes more than it was said to, wherever its records go", () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("anywhere" as const), records: anywhere }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("behind" as const), records: behind }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("rest" as const), readEach: fc.nat({ max: 3 }) }) },
  );
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 1, maxLength: 30 }),
      fc.constantFrom([4, 400], [16, 2000], [64, 6000]),
      (steps, [chunkRecordsMax, chunkTextBytesMax]) => {
        const document = new Document({
          chunkRecordsMax: chunkRecordsMax as number,
          chunkTextBytesMax: chunkTextBytesMax as number,
        });
        let last = 0;
        for (const each of steps) {
          if (each.kind === "rest") {
            document.rest(each.readEach);
            continue;
          }
          const from = each.kind === "behind" ? last + 1 : 0;
          const records = each.records.map(({ at, length }) => ({ at: from + at, length }));
          const { most, took } = document.insert(records);
          expect(took).toBeLessThanOrEqual(most);
          last = Math.max(last, ...records.map(({ at }) => at));
        }
      },
    ),
    { numRuns: 2500 },
  );
}, 60_000);

test("a record that begins a chunk is not said to take as much as a full one", () => {
  const document = new Document({ chunkRecordsMax: 256, chunkTextBytesMax: 24 * 1024 });
  const mosts: number[] = [];
  for (let at = 0; at < 1000; at++) mosts.push(document.insert([{ at, length: 80 }]).most);
  // A quarter of a full page, and the record.
  expect(Math.max(...mosts.slice(400))).toBeLessThan(20_000);
  const beginnings = mosts.slice(400).filter((most) => most > 8000);
  // Where a page doubles, too.
  expect(beginnings.length).toBeLessThan(12);
});
