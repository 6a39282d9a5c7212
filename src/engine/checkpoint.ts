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
  type ChunkRows,
  type CollectionCounts,
  type DocumentRows,
  type Storage,
} from "../storage/storage.ts";
import { TextWriter } from "../storage/text_list.ts";
import type { Chunk } from "./chunk.ts";
import { plainBytesMax, writePlain } from "./chunk_codec.ts";
import type { Collection } from "./collection.ts";
import type { Collections } from "./collections.ts";
import type { TakenValues } from "./key_values.ts";
import { nextTurn } from "./next_turn.ts";
import type { Queue } from "./queue.ts";
import type { Series } from "./series.ts";
import type { SlabAllocator } from "./slab.ts";

/** How much is taken in one turn of the event loop; tests make it little. */
export type PortionSize = {
  readonly bytes: number;
  /** The last portion is taken when no more changes are left than this, or when they come as fast as they are taken. */
  readonly lastCount: number;
};
export const PORTION_SIZE: PortionSize = { bytes: CHECKPOINT_PORTION_BYTES, lastCount: 64 };
const PASSES_MAX = 3;
/** So many chunks take a millisecond to be looked at. */
const NOTED_A_TURN = 20_000;
/** What a row costs whoever saves it, beside its text: so a portion has no more of them than it should. */
const CHUNK_ROW_BYTES = 256;
const DOCUMENT_ROW_BYTES = 64;
const NUMBER_BYTES = 64;

export type CheckpointCounts = { collections: number; chunks: number };
export type SaveOptions = {
  readonly storage: Storage;
  readonly portionSize: PortionSize;
  /** The newest closed group of the journal, asked for in the turn of a collection's last portion. */
  readonly journalPosition: () => number;
  /** Resolves when the journal has all that memory holds in that turn on the disk. */
  readonly journalSynced: () => Promise<void>;
};

/** When so many collections in a row cannot be saved, it is the disk, and the others are not tried. */
const FAILURES_MAX = 10;

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
  for (const collection of collections.all()) {
    if (failures.inARow >= FAILURES_MAX) break;
    if (collection.isGone || collection.changeCount === 0) continue;
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
  { storage, portionSize, journalPosition, journalSynced }: SaveOptions,
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
    let left = collection.changeCount * PASSES_MAX;
    while (collection.changeCount > portionSize.lastCount && left > 0 && !collection.isGone) {
      const waiting = collection.changeCount;
      const portion = taken.take(portionSize.bytes);
      left -= waiting - collection.changeCount;
      await storage.savePortion(portion);
    }
    if (collection.isGone) {
      await storage.rollbackCheckpoint();
      return 0;
    }
    const last = taken.take(Number.POSITIVE_INFINITY);
    collection.forgetChanges();
    const state = { journalPosition: journalPosition(), counts: countCollection(collection) };
    await journalSynced();
    await storage.commitCheckpoint(last, state);
    await noteSaved(taken.chunks);
    return taken.chunks.length;
  } catch (error) {
    taken.giveBack({ isNew });
    // The first error is the one that tells what happened.
    await storage.rollbackCheckpoint().catch(() => {});
    throw error;
  }
}

/** Until it is noted, a chunk is just not let go. */
async function noteSaved(chunks: readonly Chunk[]): Promise<void> {
  for (let from = 0; from < chunks.length; from += NOTED_A_TURN) {
    for (const chunk of chunks.slice(from, from + NOTED_A_TURN)) chunk.isOnDisk = !chunk.isDirty;
    if (from + NOTED_A_TURN < chunks.length) await nextTurn();
  }
}

/** What one checkpoint has taken of a collection's changes, so that it can be given back. */
class Taken {
  readonly chunks: Chunk[] = [];

  readonly #collection: Collection;
  readonly #newDocuments: Series[] = [];
  readonly #removedDocuments: number[] = [];
  readonly #removedChunks: number[] = [];
  readonly #values: TakenValues[] = [];
  /** Where a portion's texts are put together. */
  readonly #rows = new TextWriter();

  constructor(collection: Collection) {
    this.#collection = collection;
  }

  /** About so many bytes of each kind of changes, or all of them. */
  take(bytesMax: number): CheckpointPortion {
    const changes = this.#changes;
    const chunks = this.#takeChunks(changes.chunks, bytesMax);
    const newDocuments = this.#takeDocuments(changes.newDocuments, bytesMax);
    const numbersMax = bytesMax / NUMBER_BYTES;
    // Behind the chunks, of which some have got other numbers just now.
    const removedChunks = takeNumbers(changes.removedChunks, this.#removedChunks, numbersMax);
    const removedDocuments = takeNumbers(changes.removedDocuments, this.#removedDocuments, numbersMax);
    this.#values.push(this.#collection.values.takeChanges(this.#rows, bytesMax));
    return { removedDocuments, removedChunks, newDocuments, chunks, values: this.#rows.take() };
  }

  giveBack({ isNew }: { isNew: boolean }): void {
    const collection = this.#collection;
    if (isNew) collection.isSaved = false;
    if (collection.isGone) return;
    const changes = this.#changes;
    for (const id of this.#removedDocuments) changes.removedDocuments.push(id);
    for (const id of this.#removedChunks) changes.removedChunks.push(id);
    for (const series of this.#newDocuments) if (!series.isGone) changes.newDocuments.push(series);
    for (const values of this.#values) collection.values.giveBackChanges(values);
    for (const chunk of this.chunks) {
      if (!chunk.isGone && !chunk.owner.isGone) collection.chunkChanged(chunk);
    }
  }

  get #changes(): NonNullable<Collection["changes"]> {
    return this.#collection.changes as NonNullable<Collection["changes"]>;
  }

  #takeDocuments(waiting: Queue<Series>, bytesMax: number): DocumentRows {
    const rows = this.#rows;
    const ids: number[] = [];
    // Also those that are passed over take their time.
    for (let looked = 0; waiting.length > 0; looked++) {
      if (rows.byteLength + looked * DOCUMENT_ROW_BYTES >= bytesMax) break;
      const series = waiting.shift() as Series;
      if (series.isGone) continue;
      const { slab, start, end } = series.name;
      ids.push(series.id);
      rows.add(slab.bytes, start, end);
      this.#newDocuments.push(series);
    }
    return { ids: Float64Array.from(ids), names: rows.take() };
  }

  #takeChunks(waiting: Queue<Chunk>, bytesMax: number): ChunkRows {
    const first = this.chunks.length;
    let bytes = 0;
    for (let looked = 0; waiting.length > 0; looked++) {
      if (bytes + looked * CHUNK_ROW_BYTES >= bytesMax) break;
      const chunk = waiting.shift() as Chunk;
      if (chunk.isGone || chunk.owner.isGone) continue;
      chunk.isDirty = false;
      this.#giveNumber(chunk);
      bytes += bodyBytesMax(chunk, this.#collection.chunks.slabs);
      this.chunks.push(chunk);
    }
    return writeRows(this.chunks.slice(first), bytes, this.#collection.chunks.slabs);
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

/** Some of what waits, which is noted as taken. */
function takeNumbers(waiting: Queue<number>, taken: number[], most: number): Float64Array {
  const numbers = new Float64Array(Math.min(waiting.length, most));
  for (let at = 0; at < numbers.length; at++) {
    const number = waiting.shift() as number;
    numbers[at] = number;
    taken.push(number);
  }
  return numbers;
}

const bodyBytesMax = (chunk: Chunk, slabs: SlabAllocator): number =>
  chunk.isPacked ? chunk.packedLength(slabs) : plainBytesMax(chunk.page as NonNullable<Chunk["page"]>);

function writeRows(chunks: readonly Chunk[], bytesMax: number, slabs: SlabAllocator): ChunkRows {
  const columns = new Float64Array(chunks.length * CHUNK_COLUMNS);
  const bodies = Buffer.allocUnsafeSlow(bytesMax);
  let at = 0;
  chunks.forEach((chunk, index) => {
    const start = at;
    if (chunk.isPacked) at += chunk.packed(slabs).copy(bodies, at);
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
