/**
 * Looks at everything a database holds, and compares what is kept twice: the index of chunks with the chunks, times with
 * the texts that hold them, counts with what is counted.
 */
import { DatabaseError } from "../protocol/errors.ts";
import { compareTimestamps, type Timestamp, timestampToText } from "../protocol/timestamp.ts";
import type { Chunk } from "./chunk.ts";
import type { Collection } from "./collection.ts";
import type { Page } from "./page.ts";

/** What has been looked at. */
export type Verified = {
  collections: number;
  documents: number;
  records: number;
  keyValues: number;
};

/** What is wrong, in words: where, and what. */
export type OnProblem = (problem: string) => void;

/** Yields after each chunk, so that others can have their turn. */
export function* verifyCollections(
  collections: Iterable<Collection>,
  onProblem: OnProblem,
): Generator<Verified, Verified> {
  const verified: Verified = { collections: 0, documents: 0, records: 0, keyValues: 0 };
  for (const collection of collections) {
    const place = JSON.stringify(collection.name.text);
    let records = 0;
    for (const series of collection.documents.sorted()) {
      const reader = new SeriesCheck(collection, (problem) =>
        onProblem(`collection ${place}, document ${JSON.stringify(series.name.text)}: ${problem}`),
      );
      for (const chunk of series.chunks) {
        const count = reader.check(chunk);
        records += count;
        verified.records += count;
        yield verified;
      }
      verified.documents++;
    }
    if (records !== collection.recordCount) {
      onProblem(`collection ${place}: expected ${collection.recordCount} records, got ${records}`);
    }
    verified.keyValues += collection.values.size;
    verified.collections++;
  }
  return verified;
}

class SeriesCheck {
  readonly #collection: Collection;
  readonly #onProblem: OnProblem;
  #last: Timestamp | undefined;

  constructor(collection: Collection, onProblem: OnProblem) {
    this.#collection = collection;
    this.#onProblem = onProblem;
  }

  /** Returns how many records the chunk holds; what its index says, where it cannot be read. */
  check(chunk: Chunk): number {
    let page: Page;
    try {
      page = this.#collection.chunks.read(chunk);
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      this.#onProblem(error.message);
      this.#last = { high: chunk.lastHigh, low: chunk.lastLow };
      return chunk.count;
    }
    this.#checkIndex(chunk, page);
    this.#checkRecords(page);
    return page.count;
  }

  #checkIndex(chunk: Chunk, page: Page): void {
    if (page.count !== chunk.count) {
      this.#onProblem(`chunk ${chunk.id}: expected ${chunk.count} records, got ${page.count}`);
    }
    if (page.count === 0) return;
    const bounds: readonly (readonly [string, Timestamp, number])[] = [
      ["first", { high: chunk.firstHigh, low: chunk.firstLow }, 0],
      ["last", { high: chunk.lastHigh, low: chunk.lastLow }, page.count - 1],
    ];
    for (const [name, expected, index] of bounds) {
      const got = timeOf(page, index);
      if (compareTimestamps(expected, got) === 0) continue;
      const [wanted, found] = [timestampToText(expected), timestampToText(got)];
      this.#onProblem(`chunk ${chunk.id}: expected ${wanted} as its ${name} time, got ${found}`);
    }
  }

  #checkRecords(page: Page): void {
    const { bytes } = page.slab;
    for (let index = 0; index < page.count; index++) {
      const time = timeOf(page, index);
      if (this.#last !== undefined && compareTimestamps(this.#last, time) >= 0) {
        this.#onProblem(`the record at ${timestampToText(time)} is not after the one before it`);
      }
      this.#last = time;
      const text = bytes.toString("utf8", page.recordStart(index), page.recordEnd(index));
      if (!isRecord(text, time)) this.#onProblem(`the record at ${timestampToText(time)} is no record`);
    }
  }
}

const timeOf = (page: Page, index: number): Timestamp => ({
  high: page.tsHigh(index),
  low: page.tsLow(index),
});

/** `,{"ts":…,"data":"…"}` */
function isRecord(text: string, time: Timestamp): boolean {
  const head = `,{"ts":${timestampToText(time)},"data":`;
  if (!text.startsWith(head) || !text.endsWith("}")) return false;
  try {
    return typeof JSON.parse(text.slice(head.length, -1)) === "string";
  } catch {
    return false;
  }
}
