/**
 * Saves collections, one after another: what has changed since the last checkpoint goes to the storage in portions.
 *
 * Portions are taken between requests, so the collection goes on changing meanwhile; what changes again is taken
 * again. The last portion takes all that is left in one turn of the event loop and is committed together with the
 * others, so what is on disk afterwards is the collection as of that turn, whole. Commands that the journal still
 * gathers then are replayed on top of it, which changes nothing: each sets or deletes by key.
 *
 * It is committed when the journal has all of it on the disk. A collection ahead of the journal would hold its part of
 * a batch whose other part is lost, and groups that get the lost ones' numbers would be taken for those it has seen.
 */
import { CHECKPOINT_PORTION_BYTES } from "../protocol/limits.ts";
import {
  CHUNK_BODY_BYTES,
  CHUNK_COLUMNS,
  CHUNK_COUNT,
  CHUNK_DOCUMENT,
  CHUNK_FIRST_HIGH,
  CHUNK_FIRST_LOW,
  CHUNK_ID,
  CHUNK_IS_NEWEST,
  CHUNK_IS_PACKED,
  CHUNK_LAST_HIGH,
  CHUNK_LAST_LOW,
  type CheckpointPortion,
  type CollectionCounts,
  type Storage,
  type ValueRow,
} from "../storage/storage.ts";
import type { Chunk } from "./chunk.ts";
import { plainBytesMax, writePlain } from "./chunk_codec.ts";
import type { Collection } from "./collection.ts";
import type { Collections } from "./collections.ts";
import { RawText } from "./raw_text.ts";
import type { Series } from "./series.ts";

/** The last portion is taken when no more chunks are left than this, or when they come as fast as they are taken. */
const LAST_PORTION_CHUNKS = 64;
const PASSES_MAX = 3;

export type CheckpointCounts = { collections: number; chunks: number };
export type SaveOptions = {
  readonly storage: Storage;
  /** The newest closed group of the journal, asked for in the turn of a collection's last portion. */
  readonly journalPosition: () => number;
  /** Resolves when the journal has all that memory holds in that turn on the disk. */
  readonly journalSynced: () => Promise<void>;
};

/** When so many collections in a row cannot be saved, it is the disk, and the others are not tried. */
const FAILURES_MAX = 10;
/** Where a key that is saved is put to look it up. */
const SAVED = new RawText();

/**
 * Saves all that has changed, and removes what was deleted: what can be, when something cannot.
 *
 * @throws what the storage throws first; what was not saved is then to be saved by the next checkpoint.
 */
export async function saveCollections(
  collections: Collections,
  options: SaveOptions,
): Promise<CheckpointCounts> {
  const saved = { collections: 0, chunks: 0 };
  const failures = new Failures();
  await failures.note(() => dropFiles(collections, options));
  for (const collection of [...collections.sorted()]) {
    if (failures.inARow >= FAILURES_MAX) break;
    if (collection.isGone || !collection.hasChanges) continue;
    await failures.note(async () => {
      saved.chunks += await saveCollection(collection, collections, options);
      saved.collections++;
    });
  }
  // What was deleted meanwhile was not saved, and its file is older than what the journal is cut to.
  await failures.note(() => dropFiles(collections, options));
  if (failures.first !== undefined) throw failures.first;
  return saved;
}

class Failures {
  first: unknown;
  inARow = 0;

  async note(work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.inARow = 0;
    } catch (error) {
      this.first ??= error;
      this.inARow++;
    }
  }
}

async function dropFiles({ dropped }: Collections, { storage, journalSynced }: SaveOptions): Promise<void> {
  const names = [...dropped];
  // A file that went before the deletion is in the journal would come back in part: as what the journal has of it.
  if (names.length > 0) await journalSynced();
  for (const name of names) {
    await storage.dropCollection(name);
    dropped.delete(name);
  }
}

/**
 * Saves a collection, unless it is deleted meanwhile.
 *
 * @returns how many chunks it has saved
 */
async function saveCollection(
  collection: Collection,
  { dropped }: Collections,
  { storage, journalPosition, journalSynced }: SaveOptions,
): Promise<number> {
  const taken = new Taken(collection);
  const isNew = !collection.isSaved;
  // From here on a file may exist, and whoever deletes the collection has to know.
  collection.isSaved = true;
  try {
    if (isNew) {
      // There may be a file of a collection of that name that was deleted: this one takes its place.
      await journalSynced();
      if (!collection.isGone) dropped.delete(collection.name.text);
    }
    await storage.beginCheckpoint(collection.name.text, { isNew });
    let chunksLeft = taken.waitingChunks * PASSES_MAX;
    while (taken.waitingChunks > LAST_PORTION_CHUNKS && chunksLeft > 0 && !collection.isGone) {
      const before = taken.chunks.length;
      await storage.savePortion(taken.takeChunks());
      chunksLeft -= taken.chunks.length - before;
    }
    if (collection.isGone) {
      await storage.rollbackCheckpoint();
      return 0;
    }
    const last = taken.takeRest();
    const state = { journalPosition: journalPosition(), counts: taken.counts };
    await journalSynced();
    await storage.commitCheckpoint(last, state);
    for (const chunk of taken.chunks) chunk.isOnDisk = !chunk.isDirty;
    return taken.chunks.length;
  } catch (error) {
    taken.giveBack({ isNew });
    // The first error is the one that tells what happened.
    await storage.rollbackCheckpoint().catch(() => {});
    throw error;
  }
}

/** What one checkpoint has taken of a collection's changes, so that it can be given back. */
class Taken {
  readonly chunks: Chunk[] = [];
  counts: CollectionCounts = { documents: 0, chunks: 0, records: 0, values: 0 };

  readonly #collection: Collection;
  #next = 0;
  #removedDocuments: number[] = [];
  #removedChunks: number[] = [];
  #newDocuments: Series[] = [];
  #keys: string[] = [];

  constructor(collection: Collection) {
    this.#collection = collection;
  }

  get waitingChunks(): number {
    return this.#changes.chunks.length - this.#next;
  }

  /** About CHECKPOINT_PORTION_BYTES of chunks. */
  takeChunks(): CheckpointPortion {
    return {
      removedDocuments: [],
      removedChunks: [],
      newDocuments: [],
      chunks: this.#takeChunks(CHECKPOINT_PORTION_BYTES),
      values: [],
    };
  }

  takeRest(): CheckpointPortion {
    const changes = this.#changes;
    const { values } = this.#collection;
    this.#removedDocuments = changes.removedDocuments;
    this.#removedChunks = changes.removedChunks;
    this.#newDocuments = changes.newDocuments.filter((series) => !series.isGone);
    this.#keys = [...new Set(changes.keys)];
    const chunks = this.#takeChunks(Number.POSITIVE_INFINITY);
    this.#collection.forgetChanges();
    this.#next = 0;
    for (const series of this.#newDocuments) series.isSaved = true;
    this.counts = countCollection(this.#collection);
    return {
      removedDocuments: this.#removedDocuments,
      removedChunks: this.#removedChunks,
      newDocuments: this.#newDocuments.map(({ id, name }) => ({ id, name: name.text })),
      chunks,
      values: this.#keys.map((key): ValueRow => ({ key, value: values.takeChange(SAVED.take(key)) ?? null })),
    };
  }

  giveBack({ isNew }: { isNew: boolean }): void {
    const collection = this.#collection;
    if (isNew) collection.isSaved = false;
    if (collection.isGone) return;
    const changes = this.#changes;
    // These can be millions, which is more than a call may have parameters.
    changes.removedDocuments = changes.removedDocuments.concat(this.#removedDocuments);
    changes.removedChunks = changes.removedChunks.concat(this.#removedChunks);
    changes.keys = changes.keys.concat(this.#keys);
    for (const series of this.#newDocuments) {
      series.isSaved = false;
      if (!series.isGone) changes.newDocuments.push(series);
    }
    changes.chunks = changes.chunks.slice(this.#next);
    for (const chunk of this.chunks) {
      if (!chunk.isGone && !chunk.owner.isGone) collection.chunkChanged(chunk);
    }
  }

  get #changes(): NonNullable<Collection["changes"]> {
    return this.#collection.changes as NonNullable<Collection["changes"]>;
  }

  #takeChunks(bytesMax: number): CheckpointPortion["chunks"] {
    const waiting = this.#changes.chunks;
    const first = this.chunks.length;
    let bytes = 0;
    while (this.#next < waiting.length && bytes < bytesMax) {
      const chunk = waiting[this.#next++] as Chunk;
      if (chunk.isGone || chunk.owner.isGone) continue;
      chunk.isDirty = false;
      this.#giveNumber(chunk);
      bytes += bodyBytesMax(chunk);
      this.chunks.push(chunk);
    }
    return writeRows(this.chunks.slice(first), bytes);
  }

  /** A chunk that has stopped growing gets another number: what is stored for good is stored in a row. */
  #giveNumber(chunk: Chunk): void {
    const isNewest = chunk.owner.isNewest(chunk);
    const hasNumber = chunk.id !== 0 && chunk.wasNewest === isNewest;
    chunk.wasNewest = isNewest;
    if (hasNumber) return;
    if (chunk.id !== 0) this.#changes.removedChunks.push(chunk.id);
    chunk.id = ++this.#collection.lastChunkId;
  }
}

const bodyBytesMax = (chunk: Chunk): number =>
  chunk.isPacked ? chunk.packed.length : plainBytesMax(chunk.page as NonNullable<Chunk["page"]>);

function writeRows(chunks: readonly Chunk[], bytesMax: number): CheckpointPortion["chunks"] {
  const columns = new Float64Array(chunks.length * CHUNK_COLUMNS);
  const bodies = Buffer.allocUnsafeSlow(bytesMax);
  let at = 0;
  chunks.forEach((chunk, index) => {
    const start = at;
    if (chunk.isPacked) at += chunk.packed.copy(bodies, at);
    else at = writePlain(chunk.page as NonNullable<Chunk["page"]>, bodies, at);
    const row = index * CHUNK_COLUMNS;
    columns[row + CHUNK_ID] = chunk.id;
    columns[row + CHUNK_DOCUMENT] = chunk.owner.id;
    columns[row + CHUNK_COUNT] = chunk.count;
    columns[row + CHUNK_FIRST_HIGH] = chunk.firstHigh;
    columns[row + CHUNK_FIRST_LOW] = chunk.firstLow;
    columns[row + CHUNK_LAST_HIGH] = chunk.lastHigh;
    columns[row + CHUNK_LAST_LOW] = chunk.lastLow;
    columns[row + CHUNK_BODY_BYTES] = at - start;
    columns[row + CHUNK_IS_PACKED] = chunk.isPacked ? 1 : 0;
    columns[row + CHUNK_IS_NEWEST] = chunk.wasNewest ? 1 : 0;
  });
  return { columns, bodies: bodies.subarray(0, at) };
}

function countCollection(collection: Collection): CollectionCounts {
  return {
    documents: collection.documents.size,
    chunks: collection.chunkCount,
    records: collection.recordCount,
    values: collection.values.size,
  };
}
