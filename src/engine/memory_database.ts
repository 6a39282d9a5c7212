/**
 * The database in memory, with a storage behind it or without.
 *
 * Memory is changed first and at once; the journal and the checkpoints follow. Every write runs to its end in one turn
 * of the event loop, so there is nothing to lock. What is long and can be divided, reading and giving back memory, goes
 * on in later turns.
 */
import { ADJUSTABLE_LIMITS, type AdjustableLimits } from "../protocol/adjustable_limits.ts";
import { CLOSE_BRACKET, COMMA, OPEN_BRACKET } from "../protocol/ascii.ts";
import {
  CHUNK_RECORDS_MAX,
  CHUNK_TEXT_BYTES_MAX,
  LATEST_TEXT_BYTES_MAX,
  REMOVED_AT_ONCE,
  UNPACKED_CACHE_BYTES_MAX,
} from "../protocol/limits.ts";
import type { Request } from "../protocol/messages.ts";
import type { Snapshot, Storage } from "../storage/storage.ts";
import { BatchWriter } from "./batch_writer.ts";
import { type CheckpointCounts, PORTION_SIZE, type PortionSize } from "./checkpoint.ts";
import { Checkpoints } from "./checkpoints.ts";
import { ChunkStore, type ChunkStoreOptions } from "./chunk_store.ts";
import { Collections } from "./collections.ts";
import type { Answer, AnswerText, Asker, Database, IsVisible, RawRequest, Written } from "./database.ts";
import type { InsertBatch } from "./insert_batch.ts";
import { Journal } from "./journal.ts";
import type { Command } from "./journal_entry.ts";
import { LatestTexts } from "./latest_text.ts";
import { loadDatabase } from "./loading.ts";
import { LongWork, type LongWorkOptions } from "./long_work.ts";
import { MemoryLimit } from "./memory_limit.ts";
import { neverInline } from "./never_inline.ts";
import { bytesAtMost, bytesOf, prepareRemovals } from "./preparation.ts";
import { Queries } from "./queries.ts";
import { RawText } from "./raw_text.ts";
import { removeInPortions } from "./removal.ts";
import { ReplyText } from "./reply_text.ts";
import { SLAB_BYTES_MAX, SLAB_BYTES_MIN } from "./slab.ts";
import { type OnProblem, type Verified, verifyCollections } from "./verification.ts";
import { WriteLimits, type WriteLimitValues } from "./write_limits.ts";

export type MemoryDatabaseOptions = Partial<
  WriteLimitValues & Pick<AdjustableLimits, "patternLengthMax" | "replyBytesMax">
> & {
  /** Where it is saved; without, it is in memory only. */
  storage?: Storage;
  /** What records and caches may take. */
  memoryBytesMax?: number;
  /** What texts for polls may take; tests make it small. */
  latestTextBytesMax?: number;
  chunks?: Partial<ChunkStoreOptions>;
  longWork?: Partial<LongWorkOptions>;
  portionSize?: PortionSize;
};

export type DatabaseCounts = { collections: number; documents: number; records: number; keyValues: number };

const EMPTY_TEXT = '""';
/** How much of the memory limit copies of packed chunks may take, and texts for polls; how many slabs it is at least. */
const UNPACKED_SHARE = 1 / 8;
const LATEST_TEXT_SHARE = 1 / 16;
const SLABS_IN_LIMIT = 1024;

export class MemoryDatabase implements Database {
  readonly #storage: Storage | undefined;
  readonly #chunks: ChunkStore;
  readonly #writeLimits: WriteLimits;
  readonly #longWork: LongWork;
  readonly #reply: ReplyText;
  readonly #queries: Queries;
  readonly #collections: Collections;
  readonly #memory: MemoryLimit;
  readonly #latestTexts: LatestTexts;
  readonly #checkpoints: Checkpoints | undefined;
  #journal: Journal | undefined;
  readonly #writer: BatchWriter;
  /** Where the texts of a request are put that has them as strings. */
  readonly #col = new RawText();
  readonly #key = new RawText();
  readonly #value = new RawText();

  constructor({
    storage,
    memoryBytesMax = Number.POSITIVE_INFINITY,
    latestTextBytesMax = LATEST_TEXT_BYTES_MAX,
    chunks = {},
    longWork = {},
    portionSize = PORTION_SIZE,
    ...given
  }: MemoryDatabaseOptions = {}) {
    const limits = { ...ADJUSTABLE_LIMITS, ...given };
    neverInline(this.insert, this.latest, this.history, this.setValue, this.value);
    this.#storage = storage;
    this.#writeLimits = new WriteLimits(limits);
    this.#longWork = new LongWork(longWork);
    this.#chunks = new ChunkStore({
      chunkRecordsMax: CHUNK_RECORDS_MAX,
      chunkTextBytesMax: CHUNK_TEXT_BYTES_MAX,
      unpackedBytesMax: Math.min(UNPACKED_CACHE_BYTES_MAX, memoryBytesMax * UNPACKED_SHARE),
      slabBytes: Math.min(SLAB_BYTES_MAX, Math.max(SLAB_BYTES_MIN, memoryBytesMax / SLABS_IN_LIMIT)),
      isSaved: storage !== undefined,
      ...chunks,
    });
    this.#latestTexts = new LatestTexts(this.#chunks, {
      bytesMax: Math.min(latestTextBytesMax, memoryBytesMax * LATEST_TEXT_SHARE),
    });
    this.#collections = new Collections({
      chunks: this.#chunks,
      longWork: this.#longWork,
      latestTexts: this.#latestTexts,
      storage,
    });
    this.#writer = new BatchWriter({
      collections: this.#collections,
      chunks: this.#chunks,
      longWork: this.#longWork,
    });
    const checkpoints = storage && new Checkpoints({ storage, collections: this.#collections, portionSize });
    this.#checkpoints = checkpoints;
    this.#memory = new MemoryLimit({
      chunks: this.#chunks,
      limitBytes: memoryBytesMax,
      save: checkpoints && (() => checkpoints.run()),
    });
    this.#reply = new ReplyText({ bytesMax: limits.replyBytesMax });
    this.#queries = new Queries({
      reply: this.#reply,
      longWork: this.#longWork,
      patternLengthMax: limits.patternLengthMax,
      replyBytesMax: limits.replyBytesMax,
    });
  }

  /**
   * Reads checkpoints and journal, before anything else is called.
   *
   * @throws StorageError that names the damaged file
   */
  async load(): Promise<void> {
    const [storage, checkpoints] = [this.#storage, this.#checkpoints];
    if (storage === undefined || checkpoints === undefined) return;
    await loadDatabase(storage, {
      collection: (name) => this.#collections.get(name),
      addCollection: (name) => this.#collections.add(name),
      apply: (command, isNewFor) => this.#collections.apply(command, isNewFor),
      replayed: async (group) => {
        this.#memory.relieveNow();
        if (this.#memory.isShort) await checkpoints.saveCollections(() => group);
      },
    });
    if (!storage.hasJournal) return;
    this.#journal = new Journal(storage);
    checkpoints.journal = this.#journal;
  }

  /** Looks at all there is; see verification.ts. Nothing may be written meanwhile. */
  verify(onProblem: OnProblem): Generator<Verified, Verified> {
    return verifyCollections(this.#collections.sorted(), onProblem);
  }

  /** Why writes are refused now: what the disk says. */
  get failure(): string | undefined {
    return this.#journal?.failure?.message;
  }

  /** Of all collections, or of those that are visible. */
  counts(isVisible?: IsVisible): DatabaseCounts {
    const counts = { collections: 0, documents: 0, records: 0, keyValues: 0 };
    for (const collection of this.#collections.all()) {
      if (isVisible?.(collection.name.text) === false) continue;
      counts.collections++;
      counts.documents += collection.documents.size;
      counts.records += collection.recordCount;
      counts.keyValues += collection.values.size;
    }
    return counts;
  }

  /** See Checkpoints; undefined when data is in memory only. */
  writes(): { acknowledged: number; durable: number } | undefined {
    return this.#checkpoints?.writes();
  }

  /** Bytes of blocks in use; the same with all objects; with free blocks, too. How many chunks are on disk only. */
  memory(): { blockBytes: number; usedBytes: number; heldBytes: number; coldChunks: number } {
    const { slabs, usedBytes, heldBytes, coldCount } = this.#chunks;
    return { blockBytes: slabs.usedBytes, usedBytes, heldBytes, coldChunks: coldCount };
  }

  /** Packs what rests, in a small portion. Returns whether there may be more to do at once. */
  tidy(seconds: number): boolean {
    this.#latestTexts.tidy(seconds);
    return this.#chunks.tidy(seconds);
  }

  /** Packs what is open and lets go what is on disk, in a small portion. Returns false when there is no more. */
  reclaim(): boolean {
    return this.#chunks.reclaim();
  }

  /**
   * Saves what has changed since the last checkpoint, and cuts the journal. One that is under way is joined.
   *
   * @throws StorageError; what was not saved is saved by the next one.
   */
  async checkpoint(): Promise<CheckpointCounts> {
    return this.#checkpoints?.run() ?? { collections: 0, chunks: 0 };
  }

  /**
   * A copy of all that is on the disk, as of one moment; undefined when data is in memory only. Writes and checkpoints go
   * on; the journal is cut when it is over.
   *
   * @throws StorageError
   */
  async snapshot(): Promise<Snapshot | undefined> {
    return this.#checkpoints?.snapshot();
  }

  /** Ends what takes several turns, commits and saves all there is. The storage stays open. */
  async close(): Promise<void> {
    await this.#longWork.drain();
    await this.#queries.close();
    await this.#checkpoints?.close();
  }

  insert(batch: InsertBatch, isPrepared = false): Written {
    const journal = this.#journal;
    journal?.ensureWritable();
    if (batch.count === 0) return undefined;
    this.#writeLimits.checkInsert(batch, this.#collections);
    if (!this.#memory.hasRoomFor(bytesAtMost(batch))) {
      const measure = (): number => bytesOf(batch, this.#collections, this.#chunks);
      this.#memory.ensureRoom(measure(), measure);
    }
    this.#writer.begin(batch, isPrepared);
    this.#writer.store(batch, journal);
    return both(journal?.insert(batch), this.#memory.relieve());
  }

  latest(query: RawRequest<"qry">, asker?: Asker): Answer {
    const answer = this.#queries.latest(this.#collections.get(query.col), query, asker);
    // What was packed or cold may have been opened for the next poll.
    void this.#memory.relieve();
    return answer;
  }

  history(query: RawRequest<"qdoc">, asker?: Asker): Answer {
    return this.#queries.history(this.#collections.get(query.col), query, asker);
  }

  collections(isVisible?: IsVisible): Answer {
    const prepared = this.#collections.prepareSorted(this.#longWork);
    if (prepared !== undefined) return prepared.then(() => this.#renderCollections(isVisible));
    return this.#renderCollections(isVisible);
  }

  #renderCollections(isVisible: IsVisible | undefined): string {
    const reply = this.#reply;
    reply.clear();
    reply.byte(OPEN_BRACKET);
    for (const { name } of this.#collections.sorted()) {
      if (isVisible?.(name.text) === false) continue;
      if (reply.length > 1) reply.byte(COMMA);
      reply.copyShort(name.slab, name.start - 1, name.end + 1);
    }
    reply.byte(CLOSE_BRACKET);
    return reply.take();
  }

  deleteDocument(request: Request<"ddoc">, isVisible?: IsVisible): Written {
    if (request.col !== "" || isVisible === undefined) return this.#write({ type: "ddoc", request });
    // A command each, so that a start repeats it without the key. All of a turn is one commit: the last one's promise.
    let written: Written;
    for (const { name, documents } of this.#collections.all()) {
      if (!isVisible(name.text) || documents.get(request.doc) === undefined) continue;
      written = this.#write({ type: "ddoc", request: { doc: request.doc, col: name.text } });
    }
    return written;
  }

  deleteCollection(request: Request<"dcol">): Written {
    return this.#write({ type: "dcol", request });
  }

  deleteRecords(request: Request<"dmrec">): Written {
    this.#writeLimits.checkRemovals(request);
    if (request.length <= REMOVED_AT_ONCE) return this.#write({ type: "dmrec", request });
    return removeInPortions(request, {
      longWork: this.#longWork,
      write: (portion) => this.#write({ type: "dmrec", request: portion }),
      relieve: () => this.#memory.relieve(),
    });
  }

  deleteRange(request: Request<"drrng">): Written {
    return this.#write({ type: "drrng", request });
  }

  setValue(request: RawRequest<"sval">): Written {
    const journal = this.#journal;
    const key = rawOf(request.key, this.#key);
    const value = rawOf(request.value, this.#value);
    this.#writeLimits.checkValue({ col: request.col, key, value }, this.#collections);
    this.#memory.ensureRoom(key.length + value.length);
    journal?.ensureWritable();
    const col = rawOf(request.col, this.#col);
    this.#collections.setValue(col, key, value);
    return both(journal?.value(col, key, value), this.#memory.relieve());
  }

  removeValue(request: Request<"rval">): Written {
    return this.#write({ type: "rval", request });
  }

  value({ col, key }: RawRequest<"gval">): AnswerText {
    const reply = this.#reply;
    reply.clear();
    return this.#collections.get(col)?.values.write(rawOf(key, this.#key), reply) === true
      ? reply
      : EMPTY_TEXT;
  }

  valuesMatching(query: Request<"gvalues">): Answer {
    return this.#queries.valuesMatching(this.#collections.get(query.col), query);
  }

  values({ col }: RawRequest<"gvals">): Answer {
    return this.#queries.values(this.#collections.get(col));
  }

  valueKeys({ col }: Request<"gkeys">): Answer {
    return this.#queries.valueKeys(this.#collections.get(col));
  }

  #write(command: Command): Written {
    this.#journal?.ensureWritable();
    if (this.#chunks.coldCount > 0) prepareRemovals(command, this.#collections);
    this.#collections.apply(command, () => true);
    return this.#journal?.command(command);
  }
}

/** A text as it is, or a string's, put somewhere. */
const rawOf = (text: string | RawText, place: RawText): RawText =>
  typeof text === "string" ? place.take(text) : text;

/** When both are done; nothing to wait for where there is no second. */
function both(written: Written, relief: Promise<void> | undefined): Written {
  return relief === undefined ? written : Promise.all([written, relief]).then(() => undefined);
}
