/**
 * A run of up to a few hundred records of one document, in one of three forms:
 *
 * - open, as a page: what was changed lately, and the newest chunk of a document that is in use;
 * - packed: what nobody has touched for a while;
 * - cold, on disk only: what a start has found there, and what was let go when memory ran short.
 *
 * A packed or cold chunk that is read has a page besides, which is a copy and may be dropped. Counts and bounds are
 * known in every form. ChunkStore moves chunks between the forms.
 */
import { isBefore, type Timestamp } from "../protocol/timestamp.ts";
import type { Page } from "./page.ts";
import type { Slab } from "./slab.ts";

/** Where the packed bytes are. */
export type PackedBlock = { readonly slab: Slab; readonly start: number; readonly length: number };

/** A document as its chunks see it. */
export interface ChunkOwner {
  /** The number it has on disk. */
  readonly id: number;
  /** Whether it is deleted, and its chunks with it. */
  readonly isGone: boolean;
  /** Whether a chunk is its newest, which is the one that grows. */
  isNewest(chunk: Chunk): boolean;
  /** The packed form of one of its chunks, from disk. @throws DatabaseError `storage_failed` */
  readChunk(id: number): Uint8Array;
}

const TWO_32 = 0x1_0000_0000;

export class Chunk {
  readonly owner: ChunkOwner;
  /** Its number on disk, unique in the collection; 0 for one that was never saved. */
  id = 0;
  count = 0;
  firstHigh = 0;
  firstLow = 0;
  lastHigh = 0;
  lastLow = 0;
  page: Page | undefined = undefined;
  packed: PackedBlock | undefined = undefined;
  /** Changed since it was last handed to a checkpoint. */
  isDirty = false;
  /** The last checkpoint that was committed holds it as it is now. */
  isOnDisk = false;
  /** Was its document's newest when it was last handed to a checkpoint. */
  wasNewest = false;
  /** No longer part of its document: whoever still holds it lets it go. */
  isGone = false;
  /** Its page is only a copy of what is packed, or on disk. */
  isCopy = false;
  /** Waits, full, in the store's queue to be packed. */
  isQueued = false;
  /** Waits, as its document's newest, in the store's other queue to be packed. */
  isWatched = false;
  /** Waits in the store's queue of packed chunks that may be let go. */
  isListed = false;
  /** When it was last read or changed, in the store's seconds. */
  touchedAt = 0;
  /** For how long it has to rest before it is packed, in seconds. */
  restSeconds: number;

  constructor(owner: ChunkOwner, restSeconds: number) {
    this.owner = owner;
    this.restSeconds = restSeconds;
  }

  get isCold(): boolean {
    return this.packed === undefined && (this.page === undefined || this.isCopy);
  }

  /** Takes count and bounds over from the page, after a change of it. */
  measure(page: Page): void {
    this.count = page.count;
    if (page.count === 0) return;
    this.firstHigh = page.tsHigh(0);
    this.firstLow = page.tsLow(0);
    this.lastHigh = page.tsHigh(page.count - 1);
    this.lastLow = page.tsLow(page.count - 1);
  }

  /** Where a time between its first and last record is to be expected if the records are evenly spaced. */
  indexNear(high: number, low: number): number {
    const span = (this.lastHigh - this.firstHigh) * TWO_32 + (this.lastLow >>> 0) - (this.firstLow >>> 0);
    const offset = (high - this.firstHigh) * TWO_32 + (low >>> 0) - (this.firstLow >>> 0);
    return Math.floor((offset / span) * (this.count - 1));
  }

  /** The latest record at or before a time that is not before the first one's; `page` is the chunk's. */
  latestIn(page: Page, high: number, low: number): number {
    if (!this.endsAfter(high, low)) return this.count - 1;
    return page.firstAfterNear(this.indexNear(high, low), high, low) - 1;
  }

  /** Which record that is if the records are evenly spaced. */
  latestNear(high: number, low: number): number {
    return this.endsAfter(high, low) ? this.indexNear(high, low) : this.count - 1;
  }

  /**
   * The first record at or after a time; `count` when all are before it. `page` is the chunk's. Most chunks are wanted
   * from end to end, and a search looks at memory all over the page.
   */
  firstAtOrAfter(page: Page, { high, low }: Timestamp): number {
    return this.startsBefore(high, low) ? page.firstAtOrAfter(high, low) : 0;
  }

  /** The same of the first record after a time. */
  firstAfter(page: Page, { high, low }: Timestamp): number {
    return this.endsAfter(high, low) ? page.firstAfter(high, low) : page.count;
  }

  /** Whether all records are of the times from one to another, both included. */
  isCovered(from: Timestamp, to: Timestamp): boolean {
    return !this.startsBefore(from.high, from.low) && !this.endsAfter(to.high, to.low);
  }

  startsBefore(high: number, low: number): boolean {
    return isBefore(this.firstHigh, this.firstLow, high, low);
  }

  startsAfter(high: number, low: number): boolean {
    return isBefore(high, low, this.firstHigh, this.firstLow);
  }

  endsBefore(high: number, low: number): boolean {
    return isBefore(this.lastHigh, this.lastLow, high, low);
  }

  endsAfter(high: number, low: number): boolean {
    return isBefore(high, low, this.lastHigh, this.lastLow);
  }
}
