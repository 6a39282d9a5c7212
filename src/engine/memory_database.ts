/**
 * The database in memory, with a storage behind it or without.
 *
 * Memory is changed first and at once; the journal and the checkpoints follow. Every write runs to its end in one turn
 * of the event loop, so there is nothing to lock. What is long and can be divided, reading and giving back memory, goes
 * on in later turns.
 */
import { CLOSE_BRACKET, COMMA, OPEN_BRACKET } from "../protocol/ascii.ts";
import { quoteText } from "../protocol/json.ts";
import { CHUNK_RECORDS_MAX, CHUNK_TEXT_BYTES_MAX, REPLY_BYTES_MAX } from "../protocol/limits.ts";
import type { Request } from "../protocol/messages.ts";
import { readPattern } from "../protocol/pattern.ts";
import { TIMESTAMP_MIN } from "../protocol/timestamp.ts";
import type { Storage } from "../storage/storage.ts";
import { saveCollection } from "./checkpoint.ts";
import { ChunkStore, type ChunkStoreOptions } from "./chunk_store.ts";
import { Collection } from "./collection.ts";
import type { Answer, Database, Written } from "./database.ts";
import {
  COLUMN_COLLECTION_END,
  COLUMN_COLLECTION_START,
  COLUMN_DOCUMENT_END,
  COLUMN_DOCUMENT_START,
  COLUMN_TEXT_END,
  COLUMN_TS_HIGH,
  COLUMN_TS_LOW,
  COLUMNS,
  type InsertBatch,
} from "./insert_batch.ts";
import { Journal } from "./journal.ts";
import type { Command } from "./journal_entry.ts";
import { loadDatabase } from "./loading.ts";
import { LongWork, type LongWorkOptions } from "./long_work.ts";
import { Name, NameTable, readName } from "./name.ts";
import type { Rendered } from "./page.ts";
import { PatternCache } from "./pattern_cache.ts";
import { predicateOf } from "./predicate.ts";
import { type ReadingTools, readHistory, readLatest } from "./reading.ts";
import { DataReader } from "./record_text.ts";
import { ReplyText } from "./reply_text.ts";
import type { Series } from "./series.ts";

export type MemoryDatabaseOptions = {
  /** Where it is saved; without, it is in memory only. */
  storage?: Storage;
  replyBytesMax?: number;
  chunks?: Partial<ChunkStoreOptions>;
  longWork?: Partial<LongWorkOptions>;
};

type IsNewFor = (collection: Collection) => boolean;
export type DatabaseCounts = { collections: number; documents: number; records: number };

const EMPTY_TEXT = '""';
const EMPTY_OBJECT = "{}";
const EMPTY_ARRAY = "[]";

export class MemoryDatabase implements Database {
  readonly #storage: Storage | undefined;
  readonly #chunks: ChunkStore;
  readonly #patterns = new PatternCache();
  readonly #predicateTools = { patterns: this.#patterns, reader: new DataReader() };
  readonly #longWork: LongWork;
  readonly #reply: ReplyText;
  readonly #readingTools: ReadingTools;
  readonly #collections = new NameTable<Collection>();
  /** Deleted collections that still have a file. */
  readonly #dropped = new Set<string>();
  #journal: Journal | undefined;
  /** Reused for every record that is inserted. */
  readonly #rendered: Rendered = { source: Buffer.alloc(0), from: 0, to: 0, high: 0, low: 0 };

  constructor({
    storage,
    replyBytesMax = REPLY_BYTES_MAX,
    chunks = {},
    longWork = {},
  }: MemoryDatabaseOptions = {}) {
    this.#storage = storage;
    this.#longWork = new LongWork(longWork);
    this.#chunks = new ChunkStore({
      chunkRecordsMax: CHUNK_RECORDS_MAX,
      chunkTextBytesMax: CHUNK_TEXT_BYTES_MAX,
      ...chunks,
    });
    this.#reply = new ReplyText({ bytesMax: replyBytesMax });
    this.#readingTools = { reply: this.#reply, longWork: this.#longWork };
  }

  /**
   * Reads checkpoints and journal, before anything else is called.
   *
   * @throws StorageError that names the damaged file
   */
  async load(): Promise<void> {
    if (this.#storage === undefined) return;
    await loadDatabase(this.#storage, {
      collection: (name) => this.#collections.get(name),
      addCollection: (name) => this.#addCollection(name),
      insert: (collection, document, record) => {
        const series = collection.documents.get(document) ?? collection.addDocument(document);
        collection.recordCount += series.insert(record);
      },
      apply: (command, isNewFor) => this.#apply(command, isNewFor),
    });
    if (this.#storage.hasJournal) this.#journal = new Journal(this.#storage);
  }

  counts(): DatabaseCounts {
    const counts = { collections: this.#collections.size, documents: 0, records: 0 };
    for (const collection of this.#collections.sorted()) {
      counts.documents += collection.documents.size;
      counts.records += collection.recordCount;
    }
    return counts;
  }

  /** Bytes of record blocks in use, and of all slabs that are held for them. */
  memory(): { usedBytes: number; heldBytes: number } {
    const { usedBytes, heldBytes } = this.#chunks.slabs;
    return { usedBytes, heldBytes };
  }

  /** Packs what rests, in a small portion. Returns whether there may be more to do at once. */
  tidy(seconds: number): boolean {
    return this.#chunks.tidy(seconds);
  }

  /**
   * Saves what has changed since the last checkpoint, and cuts the journal. One at a time.
   *
   * @throws StorageError; what was not saved is saved by the next one.
   */
  async checkpoint(): Promise<{ collections: number; chunks: number }> {
    const storage = this.#storage;
    const saved = { collections: 0, chunks: 0 };
    if (storage === undefined) return saved;
    const upTo = this.#journal?.lastClosedGroup;
    for (const name of [...this.#dropped]) {
      await storage.dropCollection(name);
      this.#dropped.delete(name);
    }
    for (const collection of [...this.#collections.sorted()]) {
      if (collection.isGone || collection.changes?.isEmpty) continue;
      const journalPosition = (): number => this.#journal?.lastClosedGroup ?? storage.lastGroup;
      saved.chunks += (await saveCollection(collection, { storage, journalPosition })).chunks;
      saved.collections++;
    }
    await storage.cutJournal(upTo ?? storage.lastGroup);
    return saved;
  }

  /** Ends what takes several turns, commits and saves all there is. The storage stays open. */
  async close(): Promise<void> {
    await this.#longWork.drain();
    await this.#journal?.drain();
    await this.checkpoint();
  }

  insert(batch: InsertBatch): Written {
    const journal = this.#journal;
    journal?.ensureWritable();
    if (batch.count === 0) return undefined;
    const { columns, names } = batch;
    const record = this.#rendered;
    record.source = batch.text;
    record.to = 0;
    let collection: Collection | undefined;
    for (let index = 0; index < batch.count; index++) {
      const row = index * COLUMNS;
      const nameStart = columns[row + COLUMN_COLLECTION_START] as number;
      const nameEnd = columns[row + COLUMN_COLLECTION_END] as number;
      // All of a batch mostly goes to one collection.
      if (collection === undefined || !collection.name.equals(names, nameStart, nameEnd)) {
        collection = this.#collectionForWrite(names, nameStart, nameEnd);
      }
      const series = documentForWrite(
        collection,
        names,
        columns[row + COLUMN_DOCUMENT_START] as number,
        columns[row + COLUMN_DOCUMENT_END] as number,
      );
      record.from = record.to;
      record.to = columns[row + COLUMN_TEXT_END] as number;
      record.high = columns[row + COLUMN_TS_HIGH] as number;
      record.low = columns[row + COLUMN_TS_LOW] as number;
      collection.recordCount += series.insert(record);
      journal?.nameDocument(index, collection.name, series);
    }
    return journal?.insert(batch);
  }

  latest(query: Request<"qry">): Answer {
    const predicate = predicateOf(query, this.#predicateTools);
    const from = query.from.high === 0 && query.from.low === 0 ? TIMESTAMP_MIN : query.from;
    const question = { at: query.ts, from, predicate };
    const collection = this.#collections.get(query.col);
    const documents = this.#documentsFor(collection, query.doc);
    if (collection === undefined) return EMPTY_OBJECT;
    return readLatest({ collection, documents, question }, this.#readingTools);
  }

  history(query: Request<"qdoc">): Answer {
    const predicate = predicateOf(query, this.#predicateTools);
    const collection = this.#collections.get(query.col);
    const series = collection?.documents.get(query.doc);
    if (collection === undefined || series === undefined) return EMPTY_ARRAY;
    return readHistory({ collection, series, range: query, predicate }, this.#readingTools);
  }

  collections(): string {
    const reply = this.#reply;
    reply.clear();
    reply.byte(OPEN_BRACKET);
    for (const { name } of this.#collections.sorted()) {
      if (reply.length > 1) reply.byte(COMMA);
      reply.copy(name.slab.bytes, name.start - 1, name.end + 1);
    }
    reply.byte(CLOSE_BRACKET);
    return reply.take();
  }

  deleteDocument(request: Request<"ddoc">): Written {
    return this.#write({ type: "ddoc", request });
  }

  deleteCollection(request: Request<"dcol">): Written {
    return this.#write({ type: "dcol", request });
  }

  deleteRecords(request: Request<"dmrec">): Written {
    return this.#write({ type: "dmrec", request });
  }

  deleteRange(request: Request<"drrng">): Written {
    return this.#write({ type: "drrng", request });
  }

  setValue(request: Request<"sval">): Written {
    return this.#write({ type: "sval", request });
  }

  removeValue(request: Request<"rval">): Written {
    return this.#write({ type: "rval", request });
  }

  value({ col, key }: Request<"gval">): string {
    return this.#collections.get(col)?.values.get(key) ?? EMPTY_TEXT;
  }

  valuesMatching({ col, key }: Request<"gvalues">): string {
    const pattern = readPattern(key);
    const compiled = pattern === undefined ? undefined : this.#patterns.get(pattern);
    const values = this.#collections.get(col)?.values;
    if (values === undefined) return EMPTY_OBJECT;
    if (compiled === undefined) return `{${JSON.stringify(key)}:${values.get(key) ?? EMPTY_TEXT}}`;
    return values.renderOnly(values.keys().filter((name) => compiled.test(name)));
  }

  values({ col }: Request<"gvals">): string {
    return this.#collections.get(col)?.values.render() ?? EMPTY_OBJECT;
  }

  valueKeys({ col }: Request<"gkeys">): string {
    return JSON.stringify(this.#collections.get(col)?.values.keys() ?? []);
  }

  /** The documents that a query names: all, one, or those that match a pattern; by name. */
  #documentsFor(collection: Collection | undefined, doc: string): readonly Series[] {
    const pattern = readPattern(doc);
    const compiled = pattern === undefined ? undefined : this.#patterns.get(pattern);
    if (collection === undefined) return [];
    if (compiled !== undefined) return collection.documentsMatching(doc, compiled);
    if (doc === "") return collection.documents.sorted();
    const series = collection.documents.get(doc);
    return series === undefined ? [] : [series];
  }

  #write(command: Command): Written {
    this.#journal?.ensureWritable();
    this.#apply(command, () => true);
    return this.#journal?.command(command);
  }

  /** `isNewFor` tells whether a collection has not seen the command yet: a replay may be ahead of it. */
  #apply(command: Command, isNewFor: IsNewFor): void {
    switch (command.type) {
      case "ddoc":
        this.#applyDocumentDeletion(command.request, isNewFor);
        break;
      case "dcol":
        this.#applyCollectionDeletion(command.request, isNewFor);
        break;
      case "dmrec":
        for (const { col, doc, ts } of command.request) {
          this.#applyRangeDeletion({ col, doc, fromTs: ts, toTs: ts }, isNewFor);
        }
        break;
      case "drrng":
        this.#applyRangeDeletion(command.request, isNewFor);
        break;
      case "sval":
        this.#applyValue(command.request, isNewFor);
        break;
      case "rval":
        this.#applyValueRemoval(command.request, isNewFor);
        break;
    }
  }

  #applyCollectionDeletion({ col }: Request<"dcol">, isNewFor: IsNewFor): void {
    const collection = this.#collections.get(col);
    if (collection !== undefined && isNewFor(collection)) this.#dropCollection(collection);
  }

  #applyValue({ col, key, value }: Request<"sval">, isNewFor: IsNewFor): void {
    const collection = this.#collections.get(col) ?? this.#addCollection(col);
    if (isNewFor(collection)) collection.setValue(key, quoteText(value));
  }

  #applyValueRemoval({ col, key }: Request<"rval">, isNewFor: IsNewFor): void {
    const collection = this.#collections.get(col);
    if (collection === undefined || !isNewFor(collection)) return;
    collection.removeValue(key);
    this.#dropIfEmpty(collection);
  }

  #applyDocumentDeletion({ doc, col }: Request<"ddoc">, isNewFor: IsNewFor): void {
    const one = this.#collections.get(col);
    const collections = col === "" ? [...this.#collections.sorted()] : one === undefined ? [] : [one];
    for (const collection of collections) {
      const series = collection.documents.get(doc);
      if (series === undefined || !isNewFor(collection)) continue;
      collection.removeDocument(series);
      this.#dropIfEmpty(collection);
    }
  }

  #applyRangeDeletion({ col, doc, fromTs, toTs }: Request<"drrng">, isNewFor: IsNewFor): void {
    const collection = this.#collections.get(col);
    const series = collection?.documents.get(doc);
    if (collection === undefined || series === undefined || !isNewFor(collection)) return;
    collection.recordCount -= series.remove(fromTs, toTs);
    if (series.recordCount > 0) return;
    collection.removeDocument(series);
    this.#dropIfEmpty(collection);
  }

  #collectionForWrite(names: Buffer, start: number, end: number): Collection {
    return (
      this.#collections.getByBytes(names, start, end) ?? this.#addCollection(readName(names, start, end))
    );
  }

  #addCollection(name: string): Collection {
    const collection = new Collection({
      name: new Name(name, this.#chunks.slabs),
      chunks: this.#chunks,
      longWork: this.#longWork,
      isTracked: this.#storage !== undefined,
    });
    this.#collections.add(collection);
    return collection;
  }

  #dropIfEmpty(collection: Collection): void {
    if (collection.isEmpty) this.#dropCollection(collection);
  }

  #dropCollection(collection: Collection): void {
    this.#collections.delete(collection);
    if (collection.isSaved) this.#dropped.add(collection.name.text);
    collection.end();
  }
}

function documentForWrite(collection: Collection, names: Buffer, start: number, end: number): Series {
  const { documents } = collection;
  return documents.getByBytes(names, start, end) ?? collection.addDocument(readName(names, start, end));
}
