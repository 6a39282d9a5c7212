/**
 * Keeps records and caches within `--memory-limit`.
 *
 * What counts for the limit is blocks in use; what counts for relief is what the system has given, with the free blocks
 * between them, so that these stay few.
 *
 * Up to four fifths of it nothing is done. Beyond, chunks are packed, and what is on disk is let go, in small portions
 * between requests; what is not on disk yet is saved by a checkpoint out of turn. Writes that come meanwhile are taken
 * and answered when there is room again, so whoever waits for answers is held back and nobody is turned away. What
 * would come near the limit itself is refused with `memory_full`, and with when to try again: dispatch.ts does.
 */
import { DatabaseError } from "../protocol/errors.ts";
import type { ChunkStore } from "./chunk_store.ts";
import { neverInline } from "./never_inline.ts";
import { nextTurn } from "./next_turn.ts";

/** Shares of the limit: where writes are refused (the rest is for pages that grow), where relief begins, and ends. */
const FULL_SHARE = 0.95;
const SHORT_SHARE = 0.8;
const EASED_SHARE = 0.75;
/** No more is made free for what is still to come. */
const NEEDED_SHARE_MAX = 0.5;
/** How much of memory may be made free within a request that would be refused otherwise: a few milliseconds. */
const URGENT_PORTIONS_MAX = 8;
/** So much of the limit may be packed and not on disk before it is saved out of turn. */
const UNSAVED_SHARE_MAX = 0.1;
/** When nothing could be made free, it is not tried again for so long. */
const HOPELESS_MS = 250;

export type MemoryLimitOptions = {
  readonly chunks: ChunkStore;
  readonly limitBytes: number;
  /** Saves what is not on disk yet; without, there is no disk. */
  readonly save: (() => Promise<unknown>) | undefined;
};

export class MemoryFull extends DatabaseError {
  /** When there may be room; undefined where nothing more can be made free. */
  readonly relief: Promise<void> | undefined;

  constructor(message: string, relief: Promise<void> | undefined) {
    super("memory_full", message);
    this.relief = relief;
  }
}

export class MemoryLimit {
  readonly #options: MemoryLimitOptions;
  readonly #fullBytes: number;
  readonly #shortBytes: number;
  readonly #easedBytes: number;
  #relief: Promise<void> | undefined;
  #hopelessUntilMs = 0;
  /** What was asked for last: relief makes room for another one like it, which would be refused otherwise. */
  #neededBytes = 0;

  constructor(options: MemoryLimitOptions) {
    this.#options = options;
    neverInline(this.relieve);
    this.#fullBytes = options.limitBytes * FULL_SHARE;
    this.#shortBytes = options.limitBytes * SHORT_SHARE;
    this.#easedBytes = options.limitBytes * EASED_SHARE;
  }

  hasRoomFor(bytes: number): boolean {
    return this.#options.chunks.usedBytes + bytes <= this.#fullBytes;
  }

  /**
   * Call before something is added, with about as many bytes as it takes.
   *
   * @param measure tells so anew: where memory is short, less is opened for it; and to make room, what it is added to
   *   may have been packed.
   * @throws MemoryFull
   */
  ensureRoom(bytes: number, measure?: () => number): void {
    const { chunks, limitBytes } = this.#options;
    this.#neededBytes = Math.min(bytes, limitBytes * NEEDED_SHARE_MAX);
    if (this.hasRoomFor(bytes)) return;
    chunks.isShort = true;
    let needed = measure?.() ?? bytes;
    for (let portion = 0; portion < URGENT_PORTIONS_MAX; portion++) {
      if (this.hasRoomFor(needed)) return;
      if (!chunks.reclaim()) break;
      needed = measure?.() ?? bytes;
    }
    if (this.hasRoomFor(needed)) return;
    throw new MemoryFull(this.#explain(needed), this.relieve());
  }

  /** Call after something was added: when there is room again; undefined where there is. */
  relieve(): Promise<void> | undefined {
    const { chunks } = this.#options;
    if (!this.isShort) {
      if (this.#relief === undefined) chunks.isShort = false;
      return undefined;
    }
    if (this.#relief === undefined) {
      if (performance.now() < this.#hopelessUntilMs) return undefined;
      this.#relief = this.#run().finally(() => {
        this.#relief = undefined;
      });
    }
    return this.#relief;
  }

  /** Whether there is more in memory than there should be. */
  get isShort(): boolean {
    const { heldBytes, usedBytes } = this.#options.chunks;
    return heldBytes > this.#shortBytes || usedBytes > this.#fullBytes - this.#neededBytes;
  }

  /** Makes free what can be at once, where nobody is kept waiting. */
  relieveNow(): void {
    const { chunks } = this.#options;
    while (chunks.heldBytes > this.#easedBytes && chunks.reclaim()) {}
  }

  async #run(): Promise<void> {
    const { chunks } = this.#options;
    chunks.isShort = true;
    let isSaved = false;
    // Since then: what was packed can be let go once it is saved, too.
    let isChanged = false;
    while (chunks.heldBytes > this.#easedBytes || this.isShort) {
      if (chunks.reclaimUnused() || ((isSaved || !this.#isWorthSaving) && chunks.reclaim())) isChanged = true;
      else if (!isSaved || isChanged) {
        await this.#save();
        isSaved = true;
        isChanged = false;
      } else {
        this.#hopelessUntilMs = performance.now() + HOPELESS_MS;
        // It is not to be had: whoever is refused is not to keep others from what they remember.
        this.#neededBytes = 0;
        break;
      }
      await nextTurn();
    }
    chunks.isShort = this.isShort;
  }

  async #save(): Promise<void> {
    // The checkpoint that comes in its turn says in the log what is wrong with the disk.
    await this.#options.save?.().catch(() => {});
  }

  /**
   * Whether much of the memory is packed and, since it was not let go, not on disk. Then it is saved before more is packed,
   * which would be what is about to be added to: to pack and open that in turn takes all the time there is.
   */
  get #isWorthSaving(): boolean {
    const { chunks, limitBytes, save } = this.#options;
    return save !== undefined && chunks.packedBytes > limitBytes * UNSAVED_SHARE_MAX;
  }

  #explain(bytes: number): string {
    const { chunks, limitBytes, save } = this.#options;
    const mebibytes = (count: number): string => `${(count / 2 ** 20).toFixed(1)} MiB`;
    const advice =
      save === undefined
        ? "Delete something, raise --memory-limit, or let the server keep data on disk with --data"
        : "Try again, send less at once, or raise --memory-limit";
    return (
      `Memory is full: ${mebibytes(chunks.usedBytes)} of ${mebibytes(limitBytes)} are in use, ` +
      `and this needs ${mebibytes(bytes)}. ${advice}`
    );
  }
}
