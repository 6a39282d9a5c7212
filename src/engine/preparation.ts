/**
 * What is done before a write changes anything, where memory is short: how much it is going to take, and reading back
 * the cold chunks that it changes. Both may refuse it, and then nothing of it was stored.
 */
import type { Timestamp } from "../protocol/timestamp.ts";
import type { Collections } from "./collections.ts";
import {
  COLUMN_COLLECTION_END,
  COLUMN_COLLECTION_START,
  COLUMN_DOCUMENT_END,
  COLUMN_DOCUMENT_START,
  COLUMN_TS_HIGH,
  COLUMN_TS_LOW,
  COLUMNS,
  type InsertBatch,
} from "./insert_batch.ts";
import type { Command } from "./journal_entry.ts";
import type { Series } from "./series.ts";

/** What a new document takes beside its record, and a record beside its text, in a page that grows by doubling. */
const DOCUMENT_BYTES = 1024;
const RECORD_BYTES = 64;

/** What a batch takes in memory if each of its records is a new document's. */
export function bytesAtMost({ count, textLength }: InsertBatch): number {
  return textLength + count * (DOCUMENT_BYTES + RECORD_BYTES);
}

/** About what a batch takes in memory, for which its new documents are counted. */
export function bytesOf(batch: InsertBatch, collections: Collections): number {
  const { count, columns, names } = batch;
  let bytes = batch.textLength + count * RECORD_BYTES;
  let previous = "";
  for (let row = 0; row < count * COLUMNS; row += COLUMNS) {
    if (seriesAt(batch, row, collections) !== undefined) continue;
    const name = names.toString(
      "latin1",
      columns[row + COLUMN_DOCUMENT_START] as number,
      columns[row + COLUMN_DOCUMENT_END] as number,
    );
    if (name !== previous) bytes += DOCUMENT_BYTES;
    previous = name;
  }
  return bytes;
}

/**
 * Puts each record's document into `found`, so that it need not be looked up twice; undefined where there is none yet.
 *
 * @throws DatabaseError `storage_failed`
 */
export function prepareInsert(
  batch: InsertBatch,
  collections: Collections,
  found: (Series | undefined)[],
): void {
  const { count, columns } = batch;
  const at = { high: 0, low: 0 };
  for (let row = 0; row < count * COLUMNS; row += COLUMNS) {
    at.high = columns[row + COLUMN_TS_HIGH] as number;
    at.low = columns[row + COLUMN_TS_LOW] as number;
    const series = seriesAt(batch, row, collections);
    series?.prepareInsert(at);
    found.push(series);
  }
}

/** For what is removed from within a chunk. @throws DatabaseError `storage_failed` */
export function prepareRemovals({ type, request }: Command, collections: Collections): void {
  const prepare = ({ col, doc }: { col: string; doc: string }, from: Timestamp, to: Timestamp): void =>
    collections.get(col)?.documents.get(doc)?.prepareRemoval(from, to);
  if (type === "drrng") prepare(request, request.fromTs, request.toTs);
  else if (type === "dmrec") for (const each of request) prepare(each, each.ts, each.ts);
}

function seriesAt(
  { columns, names }: InsertBatch,
  row: number,
  collections: Collections,
): Series | undefined {
  return collections
    .getByBytes(
      names,
      columns[row + COLUMN_COLLECTION_START] as number,
      columns[row + COLUMN_COLLECTION_END] as number,
    )
    ?.documents.getByBytes(
      names,
      columns[row + COLUMN_DOCUMENT_START] as number,
      columns[row + COLUMN_DOCUMENT_END] as number,
    );
}
