/**
 * A collection: its documents, its key-values, and the account of what the next checkpoint has to save.
 */
import { DatabaseError } from "../protocol/errors.ts";
import { type Storage, StorageError } from "../storage/storage.ts";
import type { Chunk } from "./chunk.ts";
import type { ChunkStore } from "./chunk_store.ts";
import { KeyValues } from "./key_values.ts";
import { LatestText, type LatestTexts } from "./latest_text.ts";
import type { LongWork, Task } from "./long_work.ts";
import type { Name } from "./name.ts";
import { NameMatches } from "./name_matches.ts";
import { NameTable } from "./name_table.ts";
import { Queue } from "./queue.ts";
import { type RawText, unescapeText } from "./raw_text.ts";
import { Series } from "./series.ts";
import type { SeriesHost } from "./series_host.ts";

/** What has changed since the last checkpoint, beside key-values: what is gone by its number. */
export class Changes {
  readonly removedDocuments = new Queue<number>();
  readonly removedChunks = new Queue<number>();
  readonly newDocuments = new Queue<Series>();
  readonly chunks = new Queue<Chunk>();

  /** How many there are. */
  get count(): number {
    const { removedDocuments, removedChunks, newDocuments, chunks } = this;
    return removedDocuments.length + removedChunks.length + newDocuments.length + chunks.length;
  }
}

/** A document's objects and its place in tables: what a process of a million of them takes beside blocks and chunks. */
const DOCUMENT_BYTES = 256;
/** The same of a collection. */
const COLLECTION_BYTES = 1024;

type CollectionStorage = Pick<Storage, "readChunk">;

export type Totals = { documents: number };

export type CollectionOptions = {
  readonly name: Name;
  readonly chunks: ChunkStore;
  readonly longWork: LongWork;
  readonly latestTexts: LatestTexts;
  /** Counted over all collections. */
  readonly totals: Totals;
  /** Where cold chunks are; without, nothing is saved and there are none. */
  readonly storage: CollectionStorage | undefined;
};

/** What freeing a chunk costs, in LongWork's units. */
const FREED_CHUNK_UNITS = 4;

export class Collection implements SeriesHost {
  readonly name: Name;
  readonly chunks: ChunkStore;
  readonly documents = new NameTable<Series>();
  readonly values: KeyValues;
  readonly latestText: LatestText;
  recordCount = 0;
  chunkCount = 0;
  /** Whether it has a file on disk. */
  isSaved = false;
  /** No longer in the database; a checkpoint that is under way lets it go. */
  isGone = false;
  /** Up to which group of the journal the loaded checkpoint reaches. */
  journalPosition = 0;
  lastDocumentId = 0;
  lastChunkId = 0;

  readonly #longWork: LongWork;
  readonly #totals: Totals;

  readonly #storage: CollectionStorage | undefined;
  /** Most collections of many have none. */
  #changes: Changes | undefined;
  #matches: NameMatches | undefined;

  constructor({ name, chunks, longWork, latestTexts, totals, storage }: CollectionOptions) {
    this.name = name;
    this.chunks = chunks;
    this.values = new KeyValues(chunks, { isSaved: storage !== undefined });
    this.#longWork = longWork;
    this.latestText = new LatestText(latestTexts, this.documents);
    this.#totals = totals;
    this.#storage = storage;
    chunks.objectBytes += COLLECTION_BYTES;
  }

  /** Which documents patterns match. */
  get matches(): NameMatches {
    this.#matches ??= new NameMatches({ table: this.documents, memory: this.chunks });
    return this.#matches;
  }

  /** How many changes wait to be saved. */
  get changeCount(): number {
    return (this.#changes?.count ?? 0) + this.values.changeCount;
  }

  /** Kept only where there is a storage to save to. */
  get changes(): Changes | undefined {
    if (this.#storage !== undefined) this.#changes ??= new Changes();
    return this.#changes;
  }

  /** All of them were taken: there may be nothing to note for long. */
  forgetChanges(): void {
    this.#changes = undefined;
  }

  get isEmpty(): boolean {
    return this.documents.size === 0 && this.values.size === 0;
  }

  /** The document of a name, which is the inside of a JSON string; its hash may be known. */
  getOrAdd(names: Buffer, start: number, end: number, hash: number): Series {
    return (
      this.documents.getByBytes(names, start, end, hash) ?? this.addDocument(unescapeText(names, start, end))
    );
  }

  addDocument(name: string): Series {
    const series = this.loadDocument(name, this.lastDocumentId + 1);
    this.changes?.newDocuments.push(series);
    return series;
  }

  /** Adds a document that has a number already. */
  loadDocument(name: string, id: number): Series {
    const series = new Series(this, { name, id });
    this.chunks.objectBytes += DOCUMENT_BYTES;
    this.lastDocumentId = Math.max(this.lastDocumentId, id);
    this.documents.add(series);
    this.#matches?.changed(series);
    this.#totals.documents++;
    return series;
  }

  /** Removes a document with all its records, or one whose last record went. Much memory is freed in later turns. */
  removeDocument(series: Series): void {
    this.recordCount -= series.recordCount;
    this.documents.delete(series);
    this.#matches?.changed(series);
    this.#totals.documents--;
    // Also one that was never saved: a checkpoint under way may have taken some of its chunks.
    this.changes?.removedDocuments.push(series.id);
    for (const chunk of series.chunks) this.chunkRemoved(chunk);
    this.chunks.objectBytes -= DOCUMENT_BYTES;
    this.free(series.dismiss());
  }

  setValue(key: RawText, value: RawText): void {
    this.values.set(key, value);
  }

  removeValue(key: RawText): void {
    this.values.delete(key);
  }

  /** Ends the collection's life. Its documents are not marked as gone before their memory is freed, which may be later. */
  end(): void {
    this.isGone = true;
    this.latestText.forget();
    this.#matches?.clear();
    this.#totals.documents -= this.documents.size;
    this.values.end();
    this.chunks.objectBytes -= COLLECTION_BYTES;
    this.name.free(this.chunks.slabs);
    void this.#longWork.begin(this.#freeDocuments());
  }

  free(chunks: readonly Chunk[]): void {
    void this.#longWork.begin(this.#freeChunks(chunks));
  }

  chunkAdded(): void {
    this.chunkCount++;
  }

  chunkChanged(chunk: Chunk): void {
    if (chunk.isDirty) return;
    const { changes } = this;
    if (changes === undefined) return;
    chunk.isDirty = true;
    chunk.isOnDisk = false;
    changes.chunks.push(chunk);
  }

  chunkRemoved(chunk: Chunk): void {
    this.chunkCount--;
    if (chunk.id !== 0) this.changes?.removedChunks.push(chunk.id);
  }

  latestChanged(place: number): void {
    this.latestText.changed(place);
  }

  readChunk(id: number): Uint8Array {
    try {
      return (this.#storage as CollectionStorage).readChunk(this.name.text, id);
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      throw new DatabaseError("storage_failed", error.message, { cause: error });
    }
  }

  /** A turn that is over is left before more is done, not behind the last: of many small tasks none is to wait for nothing. */
  *#freeDocuments(): Task {
    let isFirst = true;
    for (const series of this.documents.all()) {
      if (!isFirst && this.#longWork.isTurnOver(FREED_CHUNK_UNITS)) yield;
      isFirst = false;
      this.chunks.objectBytes -= DOCUMENT_BYTES;
      yield* this.#freeChunks(series.dismiss());
    }
  }

  *#freeChunks(chunks: readonly Chunk[]): Task {
    for (let at = 0; at < chunks.length; at++) {
      if (at > 0 && this.#longWork.isTurnOver(FREED_CHUNK_UNITS)) yield;
      this.chunks.free(chunks[at] as Chunk);
    }
  }
}
