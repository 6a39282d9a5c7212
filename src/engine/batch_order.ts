/**
 * Puts the records of a large batch in the order of their documents and of time, where the client sent them mixed.
 *
 * A run of one document's records is stored in a fifth of the time, in which everybody waits. What that saves is spent
 * on gathering their texts from all over the batch, so it is for another thread.
 */
import { BACKSLASH } from "../protocol/ascii.ts";
import {
  COLUMN_COLLECTION_START,
  COLUMN_DOCUMENT_HASH,
  COLUMN_DOCUMENT_START,
  COLUMN_TEXT_END,
  COLUMN_TS_HIGH,
  COLUMN_TS_LOW,
  COLUMNS,
  InsertBatch,
  isSameName,
} from "./insert_batch.ts";
import { hashBytes } from "./name.ts";
import { COPIED_HERE_BYTES_MAX, copyText } from "./text_copy.ts";

/** Runs that are as long already are left as they are, and documents that have fewer records each. */
const RECORDS_A_DOCUMENT_MIN = 4;
/** Beyond so many looks for a name in a table that is mostly empty, somebody has chosen names that collide. */
const PROBES_MAX = 32;
const NONE = -1;

/**
 * The same records with those of a document next to each other, in the order of time. Of the same time they stay as they
 * came: the last one counts. The batch itself where that is not worth it; otherwise it is void from then on.
 */
export function inDocumentOrder(batch: InsertBatch): InsertBatch {
  const { count } = batch;
  const documents = new Int32Array(count);
  const counts = countByDocument(batch, documents);
  if (counts === undefined) return batch;
  // Where each document's records end; then, from the last record to the first, where they begin.
  const ends = new Int32Array(counts.length);
  let end = 0;
  for (let document = 0; document < counts.length; document++) {
    end += counts[document] as number;
    ends[document] = end;
  }
  const places = new Int32Array(count);
  for (let index = count - 1; index >= 0; index--) {
    const document = documents[index] as number;
    const position = (ends[document] as number) - 1;
    ends[document] = position;
    places[position] = index;
  }
  // The ends have become starts.
  for (let document = 0; document < counts.length; document++) {
    const start = ends[document] as number;
    sortByTime(batch, places, start, start + (counts[document] as number));
  }
  return gathered(batch, places, documents);
}

/** Numbers the records' documents, and counts the records of each; undefined where the order is to stay. */
function countByDocument(batch: InsertBatch, documents: Int32Array): number[] | undefined {
  const { count } = batch;
  const mask = 2 ** (33 - Math.clz32(count)) - 1;
  /** By hash, the first record of a document. */
  const slots = new Int32Array(mask + 1).fill(NONE);
  const counts: number[] = [];
  let runs = 0;
  for (let first = 0; first < count; runs++) {
    const slot = slotOf(batch, first, slots, mask);
    if (slot === NONE) return undefined;
    if (slots[slot] === NONE) {
      if (hasEscapes(batch, first)) return undefined;
      slots[slot] = first;
      documents[first] = counts.length;
      counts.push(0);
    }
    const document = documents[slots[slot] as number] as number;
    const end = batch.runEnd(first);
    documents.fill(document, first, end);
    counts[document] = (counts[document] as number) + end - first;
    first = end;
  }
  const isWorthIt = count >= counts.length * RECORDS_A_DOCUMENT_MIN && count < runs * RECORDS_A_DOCUMENT_MIN;
  return isWorthIt ? counts : undefined;
}

/** The slot of a record's document, or the one where it goes; -1 where it cannot be told from others soon. */
function slotOf({ columns, names }: InsertBatch, index: number, slots: Int32Array, mask: number): number {
  const row = index * COLUMNS;
  const document = row + COLUMN_DOCUMENT_START;
  const collection = row + COLUMN_COLLECTION_START;
  const hashOf = (name: number): number =>
    hashBytes(names, columns[name] as number, columns[name + 1] as number);
  let slot = (hashOf(document) ^ Math.imul(hashOf(collection), 31)) & mask;
  for (let probes = 0; probes < PROBES_MAX; probes++) {
    const first = slots[slot] as number;
    if (first === NONE) return slot;
    const firstRow = first * COLUMNS;
    const isSame =
      isSameName(columns, names, firstRow + COLUMN_DOCUMENT_START, document) &&
      isSameName(columns, names, firstRow + COLUMN_COLLECTION_START, collection);
    if (isSame) return slot;
    slot = (slot + 1) & mask;
  }
  return NONE;
}

/** Names have more than one form where they have escapes, and are told apart by their bytes. */
function hasEscapes({ columns, names }: InsertBatch, index: number): boolean {
  const row = index * COLUMNS;
  return [row + COLUMN_DOCUMENT_START, row + COLUMN_COLLECTION_START].some((name) =>
    names.subarray(columns[name] as number, columns[name + 1] as number).includes(BACKSLASH),
  );
}

/** Sorts the places `[start, end)`, which are those of one document's records. Mostly they are in order. */
function sortByTime({ columns }: InsertBatch, places: Int32Array, start: number, end: number): void {
  const timeOf = (place: number): number => place * COLUMNS + COLUMN_TS_HIGH;
  let isSorted = true;
  for (let at = start + 1; at < end && isSorted; at++) {
    isSorted = compareTimes(columns, timeOf(places[at - 1] as number), timeOf(places[at] as number)) <= 0;
  }
  if (isSorted) return;
  places
    .subarray(start, end)
    .sort((one, other) => compareTimes(columns, timeOf(one), timeOf(other)) || one - other);
}

/** Of the halves at two places of the columns. */
function compareTimes(columns: Int32Array, one: number, other: number): number {
  const high = (columns[one] as number) - (columns[other] as number);
  return high !== 0 ? high : ((columns[one + 1] as number) >>> 0) - ((columns[other + 1] as number) >>> 0);
}

/** The records as they stand at these places. Those of a document share their names' bytes, which are in a cache then. */
function gathered(batch: InsertBatch, places: Int32Array, documents: Int32Array): InsertBatch {
  const { columns: source, text, textView } = batch;
  const target = new InsertBatch();
  target.reserveText(batch.textLength);
  target.names = batch.names;
  target.places = places;
  target.count = places.length;
  const columns = new Int32Array(places.length * COLUMNS);
  let end = 0;
  let document = NONE;
  let namesRow = 0;
  for (let index = 0; index < places.length; index++) {
    const place = places[index] as number;
    const row = index * COLUMNS;
    const sourceRow = place * COLUMNS;
    if (documents[place] !== document) {
      document = documents[place] as number;
      namesRow = sourceRow;
    }
    for (let column = 0; column < COLUMN_TS_HIGH; column++) {
      columns[row + column] = source[namesRow + column] as number;
    }
    columns[row + COLUMN_DOCUMENT_HASH] = source[namesRow + COLUMN_DOCUMENT_HASH] as number;
    columns[row + COLUMN_TS_HIGH] = source[sourceRow + COLUMN_TS_HIGH] as number;
    columns[row + COLUMN_TS_LOW] = source[sourceRow + COLUMN_TS_LOW] as number;
    const textStart = batch.textStart(place);
    const size = (source[sourceRow + COLUMN_TEXT_END] as number) - textStart;
    if (size > COPIED_HERE_BYTES_MAX) text.copy(target.text, end, textStart, textStart + size);
    else copyText(textView, textStart, target.textView, end, size);
    end += size;
    columns[row + COLUMN_TEXT_END] = end;
  }
  target.columns = columns;
  target.textLength = end;
  // At once: it may be as large as the frame, and nobody else has its text.
  batch.names = Buffer.alloc(0);
  batch.free();
  return target;
}
