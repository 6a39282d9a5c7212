/**
 * What is done before a write changes anything: how much it is going to take, where memory is short, and which chunks it
 * has to open. Reading back cold ones may fail, and opening many takes long; then nothing of it was stored.
 */
import { DatabaseError } from "../protocol/errors.ts";
import type { Timestamp } from "../protocol/timestamp.ts";
import type { Chunk } from "./chunk.ts";
import { addToShares, growthAtMost, type Share } from "./chunk_growth.ts";
import type { ChunkStore } from "./chunk_store.ts";
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
import type { Command } from "./journal_entry.ts";
import type { LongWork, Task } from "./long_work.ts";
import { ENTRY_BYTES } from "./page_index.ts";
import { NEW_PAGE_FACTOR } from "./page_size.ts";
import type { Series } from "./series.ts";

/** What a new document takes beside its record, with a collection that may be as new. */
const DOCUMENT_BYTES = 2048;
/** What a record may take beside its text: a page that it makes grow, or a chunk that it opens. */
const RECORD_BYTES_MAX = 48 * 1024;

/** What opening a packed chunk costs, in LongWork's units. */
const OPENED_CHUNK_UNITS = 400;

/** More than a batch takes in memory, whatever there is: told without looking at its documents. */
export function bytesAtMost({ count, textLength }: InsertBatch): number {
  return textLength + count * (DOCUMENT_BYTES + RECORD_BYTES_MAX);
}

/** What a batch takes in memory at most, for which its documents are looked up. */
export function bytesOf(batch: InsertBatch, collections: Collections, chunks: ChunkStore): number {
  const { count, columns } = batch;
  const shares = new Map<Chunk, Share>();
  const newNames = new Set<string>();
  const at = { high: 0, low: 0 };
  let bytes = 0;
  let textStart = 0;
  for (let row = 0; row < count * COLUMNS; row += COLUMNS) {
    const textEnd = columns[row + COLUMN_TEXT_END] as number;
    const ownBytes = textEnd - textStart + ENTRY_BYTES;
    textStart = textEnd;
    const series = seriesAt(batch, row, collections);
    if (series === undefined) {
      bytes += NEW_PAGE_FACTOR * ownBytes;
      newNames.add(nameAt(batch, row));
      continue;
    }
    at.high = columns[row + COLUMN_TS_HIGH] as number;
    at.low = columns[row + COLUMN_TS_LOW] as number;
    addToShares(shares, series.chunks, at, ownBytes);
  }
  for (const [chunk, share] of shares) bytes += growthAtMost(chunk, chunks, share);
  return bytes + newNames.size * DOCUMENT_BYTES;
}

/** Of the document with its collection. */
function nameAt({ columns, names }: InsertBatch, row: number): string {
  const text = (start: number, end: number): string =>
    names.toString("latin1", columns[row + start] as number, columns[row + end] as number);
  return `${text(COLUMN_COLLECTION_START, COLUMN_COLLECTION_END)}"${text(COLUMN_DOCUMENT_START, COLUMN_DOCUMENT_END)}`;
}

/**
 * The chunks that a batch has to open. Puts each record's document into `found`, so that it need not be looked up twice;
 * undefined where there is none yet.
 */
export function chunksToOpen(
  batch: InsertBatch,
  collections: Collections,
  found: (Series | undefined)[],
): Set<Chunk> {
  const { count, columns } = batch;
  const at = { high: 0, low: 0 };
  const toOpen = new Set<Chunk>();
  for (let first = 0; first < count; ) {
    const end = batch.runEnd(first);
    const series = seriesAt(batch, first * COLUMNS, collections);
    // One for each record: an array with holes is another kind to compiled code, for good.
    for (let index = first; index < end; index++) found.push(series);
    for (let index = first; series !== undefined && index < end; index++) {
      at.high = columns[index * COLUMNS + COLUMN_TS_HIGH] as number;
      at.low = columns[index * COLUMNS + COLUMN_TS_LOW] as number;
      // What comes behind the newest chunk's end opens none but that, and is followed by later ones.
      if (series.addToOpen(at, toOpen)) break;
    }
    first = end;
  }
  return toOpen;
}

/** Opens chunks in portions. What cannot be read is left: the write that needs it says so. */
export function* openChunks(toOpen: Iterable<Chunk>, chunks: ChunkStore, longWork: LongWork): Task {
  for (const chunk of toOpen) {
    try {
      chunks.openAhead(chunk);
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      return;
    }
    if (longWork.isTurnOver(OPENED_CHUNK_UNITS)) yield;
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
      columns[row + COLUMN_DOCUMENT_HASH] as number,
    );
}
