/**
 * Stores the records of a batch: each goes to its document, and a run of one document's records goes there at once.
 *
 * Devices send what they have gathered, and whoever fills in a history sends a document after the other; a gateway sends
 * a record of each of its devices. So runs are looked for, which takes little where there are none.
 */
import { OPENED_AT_ONCE } from "../protocol/limits.ts";
import type { ChunkStore } from "./chunk_store.ts";
import type { Collection } from "./collection.ts";
import type { Collections } from "./collections.ts";
import {
  COLUMN_COLLECTION_END,
  COLUMN_COLLECTION_START,
  COLUMN_DOCUMENT_END,
  COLUMN_DOCUMENT_START,
  COLUMNS,
  type InsertBatch,
} from "./insert_batch.ts";
import type { Journal } from "./journal.ts";
import type { LongWork } from "./long_work.ts";
import { NotReady } from "./not_ready.ts";
import { noRecord } from "./page.ts";
import { chunksToOpen, openChunks } from "./preparation.ts";
import type { Series } from "./series.ts";

/** Shorter runs are stored a record at a time. */
const RUN_MIN = 4;

export type BatchWriterOptions = {
  readonly collections: Collections;
  readonly chunks: ChunkStore;
  readonly longWork: LongWork;
};

export class BatchWriter {
  readonly #options: BatchWriterOptions;
  /** Reused for every record. */
  readonly #record = noRecord();
  /** By the first record of a run its document, as far as that has been looked up; reused for every batch. */
  readonly #found: (Series | undefined)[] = [];

  constructor(options: BatchWriterOptions) {
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
    let collection: Collection | undefined;
    for (let from = 0; from < batch.count; ) {
      const runEnd = batch.runEnd(from);
      const to = runEnd - from < RUN_MIN ? from + 1 : runEnd;
      collection = this.#storeRun(batch, from, to, collection, journal);
      from = to;
    }
  }

  /** All of a batch mostly goes to one collection, the last run's. Returns which it was. */
  #storeRun(
    batch: InsertBatch,
    from: number,
    to: number,
    last: Collection | undefined,
    journal: Journal | undefined,
  ): Collection {
    const { columns, names } = batch;
    const row = from * COLUMNS;
    const nameStart = columns[row + COLUMN_COLLECTION_START] as number;
    const nameEnd = columns[row + COLUMN_COLLECTION_END] as number;
    const collection = last?.name.equals(names, nameStart, nameEnd)
      ? last
      : this.#options.collections.getOrAdd(names, nameStart, nameEnd);
    const series =
      this.#found[from] ??
      collection.getOrAdd(
        names,
        columns[row + COLUMN_DOCUMENT_START] as number,
        columns[row + COLUMN_DOCUMENT_END] as number,
      );
    const record = this.#record;
    if (to - from > 1) collection.recordCount += series.insertRun(batch, from, to, record);
    else {
      batch.point(record, from);
      collection.recordCount += series.insert(record);
    }
    journal?.nameDocument(from, to, collection.name, series);
    return collection;
  }
}
