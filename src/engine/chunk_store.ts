/**
 * All chunks' memory: unpacks what is read, opens what is changed, packs what rests.
 *
 * Copies that were unpacked to be read are bounded; the oldest are dropped first. Packing happens in small portions
 * from `tidy()`, so that no request waits for more than one of them.
 */
import { UNPACKED_CACHE_BYTES_MAX } from "../protocol/limits.ts";
import type { Chunk } from "./chunk.ts";
import { packPage, unpackPage } from "./chunk_codec.ts";
import type { Page } from "./page.ts";
import { Queue } from "./queue.ts";
import { SlabAllocator } from "./slab.ts";

/** A sealed chunk is packed when nobody has touched it for so long. */
const REST_SECONDS = 30;
/** One call of `tidy` packs at most this many chunks (about 25 µs each) and looks at so many. */
const PACKED_A_CALL = 40;
const LOOKED_AT_A_CALL = 4000;
/** It stops at so many that do not rest yet: what stands behind them is younger. */
const YOUNG_A_CALL = 100;
/** Chunks that were opened or freed since they were read stay in the queue of copies, up to this many. */
const COPIES_MAX = 100_000;

export type ChunkStoreOptions = {
  /** See CHUNK_RECORDS_MAX and CHUNK_TEXT_BYTES_MAX; tests make them small. */
  chunkRecordsMax: number;
  chunkTextBytesMax: number;
  unpackedBytesMax?: number;
  restSeconds?: number;
};

export class ChunkStore {
  readonly slabs = new SlabAllocator();
  readonly chunkRecordsMax: number;
  readonly chunkTextBytesMax: number;
  /** The time of the last `tidy`, which is exact enough to tell what rests. */
  seconds = 0;

  readonly #unpackedBytesMax: number;
  readonly #restSeconds: number;
  /** Chunks that may be packed when they rest, oldest first. */
  readonly #queue = new Queue<Chunk>();
  /** Chunks with a page that is only a copy, oldest first. */
  readonly #copies = new Queue<Chunk>();
  #copiesBytes = 0;

  constructor(options: ChunkStoreOptions) {
    this.chunkRecordsMax = options.chunkRecordsMax;
    this.chunkTextBytesMax = options.chunkTextBytesMax;
    this.#unpackedBytesMax = options.unpackedBytesMax ?? UNPACKED_CACHE_BYTES_MAX;
    this.#restSeconds = options.restSeconds ?? REST_SECONDS;
  }

  /** The chunk's page, to be read and not changed; it holds until the next call of any method. */
  read(chunk: Chunk): Page {
    chunk.touchedAt = this.seconds;
    if (chunk.page !== undefined) return chunk.page;
    const page = this.#unpack(chunk);
    this.#dropOldCopies();
    chunk.isCopy = true;
    this.#copies.push(chunk);
    this.#copiesBytes += page.blockBytes;
    return page;
  }

  /** The chunk's page, to be changed, or to be read often: the packed form is given up. */
  open(chunk: Chunk): Page {
    chunk.touchedAt = this.seconds;
    const page = chunk.page ?? this.#unpack(chunk);
    if (chunk.isCopy) this.#noLongerCopy(chunk);
    if (chunk.packed !== undefined) this.#freePacked(chunk);
    return page;
  }

  /** From now on the chunk is packed when it rests. */
  seal(chunk: Chunk): void {
    chunk.page?.fit(this.slabs);
    if (chunk.isQueued || chunk.isGone || chunk.packed !== undefined) return;
    chunk.isQueued = true;
    this.#queue.push(chunk);
  }

  pack(chunk: Chunk): void {
    if (chunk.page === undefined || chunk.packed !== undefined) return;
    this.adoptPacked(chunk, packPage(chunk.page));
    chunk.page.free(this.slabs);
    chunk.page = undefined;
  }

  /** Gives a chunk its packed form, as a start loads it. */
  adoptPacked(chunk: Chunk, bytes: Uint8Array): void {
    const slab = this.slabs.slabFor(bytes.length);
    const start = slab.take();
    slab.bytes.set(bytes, start);
    chunk.packed = { slab, start, length: bytes.length };
  }

  free(chunk: Chunk): void {
    chunk.isGone = true;
    if (chunk.isCopy) this.#noLongerCopy(chunk);
    chunk.page?.free(this.slabs);
    chunk.page = undefined;
    if (chunk.packed !== undefined) this.#freePacked(chunk);
  }

  /**
   * Packs some of the chunks that rest.
   *
   * @returns whether there may be more to do at once.
   */
  tidy(seconds: number): boolean {
    this.seconds = seconds;
    let packed = 0;
    let young = 0;
    let looked = 0;
    const most = Math.min(this.#queue.length, LOOKED_AT_A_CALL);
    for (; looked < most && packed < PACKED_A_CALL && young < YOUNG_A_CALL; looked++) {
      const chunk = this.#queue.shift() as Chunk;
      chunk.isQueued = false;
      if (chunk.isGone || chunk.packed !== undefined) continue;
      if (seconds - chunk.touchedAt < this.#restSeconds) {
        young++;
        chunk.isQueued = true;
        this.#queue.push(chunk);
      } else {
        packed++;
        this.pack(chunk);
      }
    }
    return packed === PACKED_A_CALL || looked === LOOKED_AT_A_CALL;
  }

  #unpack(chunk: Chunk): Page {
    const { slab, start, length } = chunk.packed as NonNullable<Chunk["packed"]>;
    const page = unpackPage(this.slabs, slab.bytes.subarray(start, start + length), chunk.count);
    chunk.page = page;
    return page;
  }

  #freePacked(chunk: Chunk): void {
    const { slab, start } = chunk.packed as NonNullable<Chunk["packed"]>;
    this.slabs.giveBack(slab, start);
    chunk.packed = undefined;
  }

  #dropOldCopies(): void {
    while (this.#copiesBytes > this.#unpackedBytesMax || this.#copies.length > COPIES_MAX) {
      const oldest = this.#copies.shift();
      if (oldest === undefined) return;
      // Chunks that were opened or freed since are still in the queue.
      if (!oldest.isCopy) continue;
      this.#noLongerCopy(oldest);
      oldest.page?.free(this.slabs);
      oldest.page = undefined;
    }
  }

  #noLongerCopy(chunk: Chunk): void {
    chunk.isCopy = false;
    this.#copiesBytes -= (chunk.page as Page).blockBytes;
  }
}
