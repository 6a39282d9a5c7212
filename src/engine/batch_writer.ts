/**
 * Stores the records of a batch: each goes to its document, and a run of one document's records goes there at once.
 *
 * Devices send what they have gathered, and whoever fills in a history sends a document after the other; a gateway sends
 * a record of each of its devices. So runs are looked for, which takes little where there are none.
 *
 * Without runs each record goes to another document, whose memory may be in no cache. So some records' documents are
 * looked up first, then the memory that each is going to be written to is touched, and then they are stored: what one
 * record waits for comes while others wait for theirs. Of 1,000 documents in turn a record takes 0.9 of the time, of
 * 50,000 in no order 0.85.
 */
import { OPENED_AT_ONCE } from "../protocol/limits.ts";
import type { ChunkStore } from "./chunk_store.ts";
import type { Collection } from "./collection.ts";
import type { Collections } from "./collections.ts";
import {
  COLUMN_COLLECTION_END,
  COLUMN_COLLECTION_START,
  COLUMN_DOCUMENT_END,
  COLUMN_DOCUMENT_HASH,
  COLUMN_DOCUMENT_START,
  COLUMN_TEXT_END,
  COLUMN_TS_HIGH,
  COLUMN_TS_LOW,
  COLUMNS,
  type InsertBatch,
} from "./insert_batch.ts";
import type { Journal } from "./journal.ts";
import type { LongWork } from "./long_work.ts";
import { neverInline } from "./never_inline.ts";
import { NotReady } from "./not_ready.ts";
import { chunksToOpen, openChunks } from "./preparation.ts";
import { noRecord } from "./rendered.ts";
import type { Series } from "./series.ts";

/** Fewer are not worth it. */
const RUN_MIN = 4;

/** So many records are looked up and touched ahead: the memory that they are written to is a third of the first cache. */
const GROUP_RECORDS = 64;
/** With fewer there is nothing to wait for meanwhile. */
const GROUP_RECORDS_MIN = 4;

export type BatchWriterOptions = {
  readonly collections: Collections;
  readonly chunks: ChunkStore;
  readonly longWork: LongWork;
};

export class BatchWriter {
  readonly #options: BatchWriterOptions;
  /** Reused for every record. */
  readonly #record = noRecord();
  /** The documents of a batch's records, as far as they have been looked up; reused for every batch. */
  readonly #found: (Series | undefined)[] = [];

  constructor(options: BatchWriterOptions) {
    neverInline(this.begin, this.store, this.#storeRuns, this.#storeGroup);
    this.#options = options;
  }

  /**
   * Opens what the batch is going to change, so that `store` cannot fail halfway.
   *
   * @param isPrepared whether it is to be done at once, however much that is.
   * @throws NotReady, DatabaseError `storage_failed`
   */
  begin(batch: InsertBatch, isPrepared: boolean): void {
    const { collections, chunks, longWork } = this.#options;
    this.#found.length = 0;
    if (chunks.coldCount === 0 && batch.count <= OPENED_AT_ONCE) return;
    const toOpen = chunksToOpen(batch, collections, this.#found);
    if (toOpen.size > OPENED_AT_ONCE && !isPrepared) {
      throw new NotReady(longWork.begin(openChunks(toOpen, chunks, longWork)));
    }
    for (const chunk of toOpen) chunks.fetch(chunk);
  }

  /** Call after `begin`. Tells the journal whose records they are. */
  store(batch: InsertBatch, journal: Journal | undefined): void {
    const record = this.#record;
    record.source = batch.text;
    record.view = batch.textView;
    if (hasRuns(batch)) this.#storeRuns(batch, journal);
    else {
      for (let from = 0; from < batch.count; from += GROUP_RECORDS) {
        this.#storeGroup(batch, from, Math.min(from + GROUP_RECORDS, batch.count), journal);
      }
    }
    // Documents that go are not to stay in memory for it.
    this.#found.length = 0;
  }

  #storeGroup(batch: InsertBatch, from: number, to: number, journal: Journal | undefined): void {
    const found = this.#found;
    let collection: Collection | undefined;
    for (let index = from; index < to; index++) {
      if (collection === undefined || !batch.isSameCollection(index)) {
        collection = this.#collectionOf(batch, index);
      }
      found[index] ??= this.#seriesOf(batch, index, collection);
    }
    if (to - from >= GROUP_RECORDS_MIN) this.#touch(batch, from, to);
    for (let index = from; index < to; index++) this.#storeOne(batch, index, journal);
  }

  #touch(batch: InsertBatch, from: number, to: number): void {
    const { columns } = batch;
    let start = batch.textStart(from);
    for (let index = from; index < to; index++) {
      const row = index * COLUMNS;
      const end = columns[row + COLUMN_TEXT_END] as number;
      const high = columns[row + COLUMN_TS_HIGH] as number;
      const low = columns[row + COLUMN_TS_LOW] as number;
      (this.#found[index] as Series).touch(end - start, high, low);
      start = end;
    }
  }

  #storeRuns(batch: InsertBatch, journal: Journal | undefined): void {
    for (let from = 0; from < batch.count; ) {
      const to = batch.runEnd(from);
      this.#storeRun(batch, from, to, journal);
      from = to;
    }
  }

  #storeRun(batch: InsertBatch, from: number, to: number, journal: Journal | undefined): void {
    const series = this.#found[from] ?? this.#seriesOf(batch, from, this.#collectionOf(batch, from));
    series.host.recordCount += series.insertRun(batch, from, to, this.#record);
    journal?.nameDocument(from, to, series);
  }

  #storeOne(batch: InsertBatch, index: number, journal: Journal | undefined): void {
    const series = this.#found[index] as Series;
    const record = this.#record;
    batch.point(record, index);
    series.host.recordCount += series.insert(record);
    journal?.nameDocument(index, index + 1, series);
  }

  #collectionOf({ columns, names }: InsertBatch, index: number): Collection {
    const row = index * COLUMNS;
    return this.#options.collections.getOrAdd(
      names,
      columns[row + COLUMN_COLLECTION_START] as number,
      columns[row + COLUMN_COLLECTION_END] as number,
    );
  }

  #seriesOf({ columns, names }: InsertBatch, index: number, collection: Collection): Series {
    const row = index * COLUMNS;
    return collection.getOrAdd(
      names,
      columns[row + COLUMN_DOCUMENT_START] as number,
      columns[row + COLUMN_DOCUMENT_END] as number,
      columns[row + COLUMN_DOCUMENT_HASH] as number,
    );
  }
}

/** Whether it is likely: where it begins, and in its middle. To look at each record would cost the others a thirtieth. */
function hasRuns(batch: InsertBatch): boolean {
  return isRunAt(batch, 0) || isRunAt(batch, batch.count >> 1);
}

function isRunAt(batch: InsertBatch, first: number): boolean {
  const end = first + RUN_MIN;
  return end <= batch.count && batch.runEnd(first, end) === end;
}
