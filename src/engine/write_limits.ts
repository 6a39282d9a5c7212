/**
 * What a write is held to before it changes anything: how many there may be of each, how long and how large.
 *
 * Almost every batch is far from all of them, which a few comparisons of its sums tell; only one that might pass a
 * limit is looked at record by record.
 */
import type { AdjustableLimits } from "../protocol/adjustable_limits.ts";
import { DatabaseError } from "../protocol/errors.ts";
import { NAME_LENGTH_MAX } from "../protocol/limits.ts";
import type { Request } from "../protocol/messages.ts";
import type { Collections } from "./collections.ts";
import {
  COLUMN_COLLECTION_END,
  COLUMN_COLLECTION_START,
  COLUMN_DOCUMENT_END,
  COLUMN_DOCUMENT_START,
  COLUMN_TEXT_END,
  COLUMNS,
  type InsertBatch,
} from "./insert_batch.ts";
import { neverInline } from "./never_inline.ts";
import { type RawText, unescapeText } from "./raw_text.ts";

export type WriteLimitValues = Pick<
  AdjustableLimits,
  "collectionsMax" | "documentsMax" | "frameRecordsMax" | "keyValuesMax" | "nameLengthMax" | "recordBytesMax"
>;

type NewValue = { readonly col: string | RawText; readonly key: RawText; readonly value: RawText };

export class WriteLimits {
  readonly #limits: WriteLimitValues;
  /** Whatever is longer than the longest is refused before it gets here. */
  readonly #isNameLimited: boolean;
  /** The most key-values of a collection when all were looked at last, and how many may have come since. */
  #valuesSeen = 0;
  #valuesSince = Number.POSITIVE_INFINITY;

  constructor(limits: WriteLimitValues) {
    this.#limits = limits;
    neverInline(this.checkInsert, this.checkValue);
    this.#isNameLimited = limits.nameLengthMax < NAME_LENGTH_MAX;
  }

  /** @throws DatabaseError `too_large`, `limit_reached`, `bad_request` */
  checkInsert(batch: InsertBatch, collections: Collections): void {
    const { frameRecordsMax, recordBytesMax, collectionsMax, documentsMax } = this.#limits;
    const { count } = batch;
    if (count > frameRecordsMax) throw tooMany("ins", frameRecordsMax, count);
    if (batch.textLength > recordBytesMax || this.#isNameLimited) this.#checkRecords(batch);
    if (collections.size + count <= collectionsMax && collections.documentCount + count <= documentsMax)
      return;
    this.#checkNew(batch, collections);
  }

  /** @throws DatabaseError `too_large` */
  checkRemovals({ length }: Request<"dmrec">): void {
    if (length > this.#limits.frameRecordsMax) throw tooMany("dmrec", this.#limits.frameRecordsMax, length);
  }

  /** @throws DatabaseError `too_large`, `limit_reached`, `bad_request` */
  checkValue({ col, key, value }: NewValue, collections: Collections): void {
    const { collectionsMax, keyValuesMax } = this.#limits;
    this.#checkName(col, "sval.col");
    this.#checkName(key, "sval.key");
    // Escapes are left out where the value fits with them.
    if (value.length > this.#limits.recordBytesMax) {
      this.#checkSize(Buffer.byteLength(value.toString()), "sval.value");
    }
    if (collections.size >= collectionsMax && collections.get(col) === undefined) {
      throw full("collections", collectionsMax, "--max-collections");
    }
    if (this.#valuesSeen + ++this.#valuesSince <= keyValuesMax) return;
    if (this.#valuesSince > Math.max(keyValuesMax, collections.size)) {
      this.#valuesSeen = collections.all().reduce((most, { values }) => Math.max(most, values.size), 0);
      this.#valuesSince = 1;
    }
    const values = collections.get(col)?.values;
    if (values !== undefined && values.size >= keyValuesMax && !values.has(key)) {
      throw full("key-values in this collection", keyValuesMax, "--max-values");
    }
  }

  /** In the order of the request: of those that can't be used the first one is told. */
  #checkRecords(batch: InsertBatch): void {
    const { columns, count, names, places } = batch;
    const indexes = places && inverseOf(places);
    for (let place = 0; place < count; place++) {
      const index = indexes === undefined ? place : (indexes[place] as number);
      const row = index * COLUMNS;
      this.#checkSize((columns[row + COLUMN_TEXT_END] as number) - batch.textStart(index), `ins[${place}]`);
      for (const [field, start, end] of [
        ["col", columns[row + COLUMN_COLLECTION_START], columns[row + COLUMN_COLLECTION_END]],
        ["doc", columns[row + COLUMN_DOCUMENT_START], columns[row + COLUMN_DOCUMENT_END]],
      ] as const) {
        if ((end as number) - (start as number) <= this.#limits.nameLengthMax) continue;
        this.#checkName(unescapeText(names, start as number, end as number), `ins[${place}].${field}`);
      }
    }
  }

  /** Counts the collections and documents that a batch is going to add. */
  #checkNew({ columns, count, names }: InsertBatch, collections: Collections): void {
    const { collectionsMax, documentsMax } = this.#limits;
    const newDocuments = new Map<string, Set<string>>();
    let newCollectionCount = 0;
    let newDocumentCount = 0;
    for (let row = 0; row < count * COLUMNS; row += COLUMNS) {
      const nameAt = (start: number, end: number): string =>
        unescapeText(names, columns[row + start] as number, columns[row + end] as number);
      const col = nameAt(COLUMN_COLLECTION_START, COLUMN_COLLECTION_END);
      const doc = nameAt(COLUMN_DOCUMENT_START, COLUMN_DOCUMENT_END);
      const collection = collections.get(col);
      if (collection?.documents.get(doc) !== undefined) continue;
      let documents = newDocuments.get(col);
      if (documents === undefined) {
        documents = new Set();
        newDocuments.set(col, documents);
        if (collection === undefined) newCollectionCount++;
      }
      if (!documents.has(doc)) newDocumentCount++;
      documents.add(doc);
    }
    if (newCollectionCount > 0 && collections.size + newCollectionCount > collectionsMax) {
      throw full("collections", collectionsMax, "--max-collections");
    }
    if (newDocumentCount > 0 && collections.documentCount + newDocumentCount > documentsMax) {
      throw full("documents", documentsMax, "--max-documents");
    }
  }

  #checkSize(bytes: number, field: string): void {
    const { recordBytesMax } = this.#limits;
    if (bytes <= recordBytesMax) return;
    throw new DatabaseError(
      "too_large",
      `${field}: expected at most ${recordBytesMax} bytes (--max-record), got ${bytes}`,
    );
  }

  #checkName(name: string | RawText, field: string): void {
    const { nameLengthMax } = this.#limits;
    // Bytes are no fewer than characters.
    if (name.length <= nameLengthMax) return;
    const { length } = name.toString();
    if (length <= nameLengthMax) return;
    const problem = `expected at most ${nameLengthMax} characters, got a string of ${length} characters`;
    throw new DatabaseError("bad_request", `${field}: ${problem}`);
  }
}

/** Of a permutation. */
function inverseOf(places: Int32Array): Int32Array {
  const indexes = new Int32Array(places.length);
  for (let index = 0; index < places.length; index++) indexes[places[index] as number] = index;
  return indexes;
}

function tooMany(type: string, max: number, count: number): DatabaseError {
  return new DatabaseError(
    "too_large",
    `${type}: expected at most ${max} records (--max-records), got ${count}`,
  );
}

function full(what: string, max: number, option: string): DatabaseError {
  return new DatabaseError("limit_reached", `There may be ${max} ${what}, and no more (${option})`);
}
