/**
 * All chunks' memory: unpacks what is read, opens what is changed, packs what rests, and lets go what is on disk when
 * memory runs short.
 *
 * Copies that were unpacked to be read are bounded; the oldest are dropped first. Packing and letting go happen in small
 * portions, so that no request waits for more than one of them.
 */
import { UNPACKED_CACHE_BYTES_MAX } from "../protocol/limits.ts";
import { Chunk, type ChunkOwner } from "./chunk.ts";
import { packPage, unpackPage } from "./chunk_codec.ts";
import type { Page } from "./page.ts";
import { Queue } from "./queue.ts";
import { SlabAllocator } from "./slab.ts";

/** A chunk's object and what refers to it, counted on a heap of a million of them. */
const CHUNK_BYTES = 88;
/** A chunk is packed when nobody has touched it for so long. */
const REST_SECONDS = 30;
/** A chunk that was packed too early, and grew on, rests twice as long the next time, up to about an hour. */
const REST_DOUBLINGS_MAX = 7;
/** One call of `tidy` packs at most this many chunks (about 25 µs each) and looks at so many. */
const PACKED_A_CALL = 40;
const LOOKED_AT_A_CALL = 4000;
/** It stops at so many full chunks that do not rest yet: what stands behind them is younger. */
const YOUNG_A_CALL = 100;
/** One call of `reclaim` packs so many chunks, or looks at so many that might be let go: about a millisecond. */
const RECLAIM_PACKED_A_CALL = 32;
const RECLAIM_LOOKED_AT_A_CALL = 1000;
/** What was asked for so lately is let go last. */
const LATELY_SECONDS = 5;
/** Chunks that were opened or freed since they were read stay in the queue of copies, up to this many. */
const COPIES_MAX = 100_000;

export type ChunkStoreOptions = {
  /** See CHUNK_RECORDS_MAX and CHUNK_TEXT_BYTES_MAX; tests make them small. */
  chunkRecordsMax: number;
  chunkTextBytesMax: number;
  unpackedBytesMax?: number;
  restSeconds?: number;
  slabBytes?: number | undefined;
  /** Whether chunks are saved somewhere, and may be let go. */
  isSaved?: boolean;
};

export class ChunkStore {
  readonly slabs: SlabAllocator;
  readonly chunkRecordsMax: number;
  readonly chunkTextBytesMax: number;
  /** The time of the last `tidy`, which is exact enough to tell what rests. */
  seconds = 0;

  /** How many chunks are on disk only. */
  coldCount = 0;
  /** How large the packed forms are that are in memory. */
  packedBytes = 0;
  /** What all the small objects take: chunks, and what documents and key-values add to it. An estimate. */
  objectBytes = 0;
  /** Memory is short: nothing is to be opened that need not be. */
  isShort = false;

  readonly #unpackedBytesMax: number;
  readonly #restSeconds: number;
  readonly #isSaved: boolean;
  /** Chunks that may be packed when they rest, oldest first. */
  readonly #full = new Queue<Chunk>();
  /** The same of those that may still grow, in turn: which of them rests, their order does not tell. */
  readonly #growing = new Queue<Chunk>();
  /** Packed chunks that may be let go when they are on disk, oldest first. */
  readonly #packed = new Queue<Chunk>();
  /** How many of them are gone. */
  #goneListed = 0;
  /** Chunks with a page that is only a copy, oldest first. */
  readonly #copies = new Queue<Chunk>();
  #copiesBytes = 0;

  constructor(options: ChunkStoreOptions) {
    this.chunkRecordsMax = options.chunkRecordsMax;
    this.chunkTextBytesMax = options.chunkTextBytesMax;
    this.#unpackedBytesMax = options.unpackedBytesMax ?? UNPACKED_CACHE_BYTES_MAX;
    this.#restSeconds = options.restSeconds ?? REST_SECONDS;
    this.#isSaved = options.isSaved ?? false;
    this.slabs = new SlabAllocator(options.slabBytes);
  }

  /** All that records, caches and names take. */
  get usedBytes(): number {
    return this.slabs.usedBytes + this.objectBytes;
  }

  /** The same with what is free between them, and cannot be given back to the system yet. */
  get heldBytes(): number {
    return this.slabs.touchedBytes + this.objectBytes;
  }

  /** How many places of queues there are, those of chunks that are gone with them. */
  get waitingCount(): number {
    return this.#full.length + this.#growing.length + this.#packed.length;
  }

  /** A chunk that is about to get a page; `previous` is the one before it in its document. */
  create(owner: ChunkOwner, previous: Chunk | undefined): Chunk {
    // A document that is written to now and then is so for good.
    this.objectBytes += CHUNK_BYTES;
    const chunk = new Chunk(owner);
    chunk.touch(this.seconds);
    if (previous !== undefined) chunk.restDoublings = previous.restDoublings;
    return chunk;
  }

  /** A chunk that a start has found on disk. */
  createCold(owner: ChunkOwner): Chunk {
    const chunk = this.create(owner, undefined);
    chunk.isOnDisk = true;
    this.coldCount++;
    return chunk;
  }

  /** The chunk's page, to be read and not changed; it holds until the next call of any method. */
  read(chunk: Chunk): Page {
    chunk.touch(this.seconds);
    return chunk.page ?? this.#addCopy(chunk);
  }

  /** The chunk's page, to be changed: the packed form is given up. */
  open(chunk: Chunk): Page {
    chunk.touch(this.seconds);
    const page = chunk.page ?? this.#unpack(chunk);
    if (chunk.isOpen) return page;
    if (chunk.isPacked) this.#dropPacked(chunk);
    else this.coldCount--;
    if (chunk.isCopy) this.#noLongerCopy(chunk);
    chunk.page = page;
    return page;
  }

  /** The same for a document's newest chunk: one that was packed, and is asked for again, rests longer next time. */
  openNewest(chunk: Chunk): Page {
    chunk.touch(this.seconds);
    const { page } = chunk;
    if (page !== undefined && !chunk.isCopy) return page;
    chunk.restDoublings = Math.min(chunk.restDoublings + 1, REST_DOUBLINGS_MAX);
    this.watch(chunk);
    return this.open(chunk);
  }

  /** Opens a chunk that is going to be changed; if it is not after all, it is packed again in time. */
  openAhead(chunk: Chunk): void {
    if (chunk.isGone || chunk.owner.isGone) return;
    if (chunk.owner.isNewest(chunk)) this.openNewest(chunk);
    else {
      this.open(chunk);
      this.release(chunk);
    }
  }

  /** A document's newest chunk, to be read: it stays open for the next poll, unless memory is short. */
  readNewest(chunk: Chunk): Page {
    const { page } = chunk;
    if (page !== undefined) {
      chunk.touch(this.seconds);
      return page;
    }
    return this.isShort ? this.read(chunk) : this.openNewest(chunk);
  }

  /** Reads a cold chunk back, so that opening it cannot fail. @throws DatabaseError `storage_failed` */
  fetch(chunk: Chunk): void {
    if (!chunk.isCold) return;
    this.#adoptPacked(chunk, chunk.owner.readChunk(chunk.id));
    this.coldCount--;
  }

  /** From now on the chunk, which is full, is packed when it rests. */
  seal(chunk: Chunk): void {
    if (chunk.page === undefined || chunk.isCopy) return;
    chunk.page.fit(this.slabs);
    this.release(chunk);
  }

  /** The same for one that is not its document's newest, and may be filled up from the past: it keeps its room. */
  release(chunk: Chunk): void {
    if (chunk.isQueued) return;
    chunk.isQueued = true;
    this.#full.push(chunk);
  }

  /** The same for a document's newest chunk, which may still grow. */
  watch(chunk: Chunk): void {
    if (chunk.isWatched) return;
    chunk.isWatched = true;
    this.#growing.push(chunk);
  }

  free(chunk: Chunk): void {
    this.objectBytes -= CHUNK_BYTES;
    if (chunk.isCold) this.coldCount--;
    if (chunk.isCopy) this.#noLongerCopy(chunk);
    chunk.isGone = true;
    if (chunk.isListed) this.#goneListed++;
    chunk.page?.free(this.slabs);
    chunk.page = undefined;
    if (chunk.isPacked) this.#dropPacked(chunk);
  }

  /**
   * Packs some of the chunks that rest, and forgets some that are gone: as long as they stand in a queue, their documents
   * and collections are in memory.
   *
   * @returns whether there may be more to do at once.
   */
  tidy(seconds: number): boolean {
    this.seconds = seconds;
    const full = this.#packResting(this.#full, YOUNG_A_CALL);
    const growing = this.#packResting(this.#growing, LOOKED_AT_A_CALL);
    const packed = this.#forgetGone();
    if (full || growing || packed) return true;
    this.slabs.trim();
    return false;
  }

  /**
   * Makes memory free, in a small portion: lets go what is on disk and has not been asked for lately, packs what is
   * open, full chunks first, and at last lets go whatever is on disk.
   *
   * @returns false when there is nothing more to be had.
   */
  reclaim(): boolean {
    return this.reclaimUnused() || this.#packAny(this.#growing) || this.#letGo({ isUrgent: true });
  }

  /** The same without what is likely to be opened or read back at once. */
  reclaimUnused(): boolean {
    return this.#letGo({ isUrgent: false }) || this.#packAny(this.#full);
  }

  /** Chunks of a queue that are not to be packed any more leave it, and those that do not rest yet go to its end. */
  #packResting(queue: Queue<Chunk>, youngMax: number): boolean {
    let packed = 0;
    let young = 0;
    let looked = 0;
    let left = 0;
    const most = Math.min(queue.length, LOOKED_AT_A_CALL);
    for (; looked < most && packed < PACKED_A_CALL && young < youngMax; looked++) {
      const chunk = queue.shift() as Chunk;
      if (!this.#leave(queue, chunk)) {
        left++;
        continue;
      }
      if (chunk.secondsUntouched(this.seconds) < this.#restSeconds << chunk.restDoublings) {
        young++;
        this.#enter(queue, chunk);
      } else {
        packed++;
        this.#pack(chunk);
      }
    }
    return packed === PACKED_A_CALL || left > LOOKED_AT_A_CALL / 2;
  }

  /** Looks for packed chunks that are gone, where they are most of all. */
  #forgetGone(): boolean {
    if (this.#goneListed * 2 <= this.#packed.length) return false;
    const most = Math.min(this.#packed.length, LOOKED_AT_A_CALL);
    for (let looked = 0; looked < most; looked++) {
      const chunk = this.#packed.shift() as Chunk;
      if (chunk.isGone) this.#goneListed--;
      else this.#packed.push(chunk);
    }
    return this.#goneListed * 2 > this.#packed.length;
  }

  #packAny(queue: Queue<Chunk>): boolean {
    let packed = 0;
    while (packed < RECLAIM_PACKED_A_CALL && queue.length > 0) {
      const chunk = queue.shift() as Chunk;
      if (!this.#leave(queue, chunk)) continue;
      this.#pack(chunk);
      packed++;
    }
    return packed > 0;
  }

  /** Whether a chunk that has been taken out of a queue is still to be packed. */
  #leave(queue: Queue<Chunk>, chunk: Chunk): boolean {
    if (queue === this.#full) chunk.isQueued = false;
    else {
      chunk.isWatched = false;
      // It has filled up meanwhile, and stands in the other queue too.
      if (chunk.isQueued) return false;
    }
    return !chunk.isGone && chunk.page !== undefined && !chunk.isCopy;
  }

  #enter(queue: Queue<Chunk>, chunk: Chunk): void {
    if (queue === this.#full) chunk.isQueued = true;
    else chunk.isWatched = true;
    queue.push(chunk);
  }

  #letGo({ isUrgent }: { isUrgent: boolean }): boolean {
    let gone = 0;
    const most = Math.min(this.#packed.length, RECLAIM_LOOKED_AT_A_CALL);
    for (let looked = 0; looked < most; looked++) {
      const chunk = this.#packed.shift() as Chunk;
      chunk.isListed = false;
      if (chunk.isGone) this.#goneListed--;
      if (chunk.isGone || !chunk.isPacked) continue;
      if (chunk.isOnDisk && (isUrgent || chunk.secondsUntouched(this.seconds) > LATELY_SECONDS)) {
        this.#cool(chunk);
        gone++;
      } else this.#list(chunk);
    }
    return gone > 0;
  }

  #cool(chunk: Chunk): void {
    this.#dropPacked(chunk);
    this.coldCount++;
  }

  #list(chunk: Chunk): void {
    if (!this.#isSaved || chunk.isListed) return;
    chunk.isListed = true;
    this.#packed.push(chunk);
  }

  #pack(chunk: Chunk): void {
    const page = chunk.page as Page;
    const packed = packPage(page);
    page.free(this.slabs);
    chunk.page = undefined;
    this.#adoptPacked(chunk, packed);
  }

  #adoptPacked(chunk: Chunk, bytes: Uint8Array): void {
    chunk.keepPacked(this.slabs, bytes);
    this.packedBytes += bytes.length;
    this.#list(chunk);
  }

  #dropPacked(chunk: Chunk): void {
    this.packedBytes -= chunk.packedLength(this.slabs);
    chunk.dropPacked(this.slabs);
  }

  #unpack(chunk: Chunk): Page {
    const packed = chunk.isPacked ? chunk.packed(this.slabs) : chunk.owner.readChunk(chunk.id);
    return unpackPage(this.slabs, packed, chunk);
  }

  #addCopy(chunk: Chunk): Page {
    const page = this.#unpack(chunk);
    this.#dropOldCopies(this.#unpackedBytesMax - page.blockBytes);
    chunk.isCopy = true;
    chunk.page = page;
    this.#copies.push(chunk);
    this.#copiesBytes += page.blockBytes;
    return page;
  }

  #dropOldCopies(bytesMax: number): void {
    while (this.#copiesBytes > bytesMax || this.#copies.length > COPIES_MAX) {
      const oldest = this.#copies.shift();
      if (oldest === undefined) return;
      // Chunks that were opened or freed since are still in the queue.
      if (oldest.isCopy) this.#dropCopy(oldest);
    }
  }

  #dropCopy(chunk: Chunk): void {
    this.#noLongerCopy(chunk);
    chunk.page?.free(this.slabs);
    chunk.page = undefined;
  }

  #noLongerCopy(chunk: Chunk): void {
    chunk.isCopy = false;
    this.#copiesBytes -= (chunk.page as Page).blockBytes;
  }
}
