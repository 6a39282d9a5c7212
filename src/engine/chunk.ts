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
import type { Slab, SlabAllocator } from "./slab.ts";

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

/** What is true of a chunk is a bit each: as properties of their own they would take as much as all the rest of it. */
const DIRTY = 1 << 0;
const ON_DISK = 1 << 1;
const WAS_NEWEST = 1 << 2;
const GONE = 1 << 3;
const COPY = 1 << 4;
const QUEUED = 1 << 5;
const WATCHED = 1 << 6;
const LISTED = 1 << 7;
/** Above these bits stands how often its rest was doubled. */
const REST_SHIFT = 8;

/** Before the packed bytes stands how many there are. */
const LENGTH_BYTES = 4;

/** There can be millions, so it has twelve properties and no more: with a thirteenth it takes half as much again. */
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
  /** When it was last read or changed, in the store's seconds. */
  touchedAt = 0;
  #flags = 0;
  #packedSlab: Slab | undefined = undefined;
  #packedStart = 0;

  constructor(owner: ChunkOwner) {
    this.owner = owner;
  }

  /** Changed since it was last handed to a checkpoint. */
  get isDirty(): boolean {
    return (this.#flags & DIRTY) !== 0;
  }

  set isDirty(value: boolean) {
    this.#flags = value ? this.#flags | DIRTY : this.#flags & ~DIRTY;
  }

  /** The last checkpoint that was committed holds it as it is now. */
  get isOnDisk(): boolean {
    return (this.#flags & ON_DISK) !== 0;
  }

  set isOnDisk(value: boolean) {
    this.#flags = value ? this.#flags | ON_DISK : this.#flags & ~ON_DISK;
  }

  /** Was its document's newest when it was last handed to a checkpoint. */
  get wasNewest(): boolean {
    return (this.#flags & WAS_NEWEST) !== 0;
  }

  set wasNewest(value: boolean) {
    this.#flags = value ? this.#flags | WAS_NEWEST : this.#flags & ~WAS_NEWEST;
  }

  /** No longer part of its document: whoever still holds it lets it go. */
  get isGone(): boolean {
    return (this.#flags & GONE) !== 0;
  }

  set isGone(value: boolean) {
    this.#flags = value ? this.#flags | GONE : this.#flags & ~GONE;
  }

  /** Its page is only a copy of what is packed, or on disk. */
  get isCopy(): boolean {
    return (this.#flags & COPY) !== 0;
  }

  set isCopy(value: boolean) {
    this.#flags = value ? this.#flags | COPY : this.#flags & ~COPY;
  }

  /** Waits, full, in the store's queue to be packed. */
  get isQueued(): boolean {
    return (this.#flags & QUEUED) !== 0;
  }

  set isQueued(value: boolean) {
    this.#flags = value ? this.#flags | QUEUED : this.#flags & ~QUEUED;
  }

  /** Waits, as its document's newest, in the store's other queue to be packed. */
  get isWatched(): boolean {
    return (this.#flags & WATCHED) !== 0;
  }

  set isWatched(value: boolean) {
    this.#flags = value ? this.#flags | WATCHED : this.#flags & ~WATCHED;
  }

  /** Waits in the store's queue of packed chunks that may be let go. */
  get isListed(): boolean {
    return (this.#flags & LISTED) !== 0;
  }

  set isListed(value: boolean) {
    this.#flags = value ? this.#flags | LISTED : this.#flags & ~LISTED;
  }

  /** How often the time was doubled for which it has to rest before it is packed. */
  get restDoublings(): number {
    return this.#flags >>> REST_SHIFT;
  }

  set restDoublings(count: number) {
    this.#flags = (this.#flags & ((1 << REST_SHIFT) - 1)) | (count << REST_SHIFT);
  }

  get isPacked(): boolean {
    return this.#packedSlab !== undefined;
  }

  /** The packed form, where it stands: it is there until the chunk is opened or let go. */
  get packed(): Buffer {
    const { bytes, words } = this.#packedSlab as Slab;
    const start = this.#packedStart + LENGTH_BYTES;
    return bytes.subarray(start, start + (words[this.#packedStart >> 2] as number));
  }

  keepPacked(slabs: SlabAllocator, packed: Uint8Array): void {
    const slab = slabs.slabFor(LENGTH_BYTES + packed.length);
    const start = slab.take();
    slab.words[start >> 2] = packed.length;
    slab.bytes.set(packed, start + LENGTH_BYTES);
    this.#packedSlab = slab;
    this.#packedStart = start;
  }

  dropPacked(slabs: SlabAllocator): void {
    slabs.giveBack(this.#packedSlab as Slab, this.#packedStart);
    this.#packedSlab = undefined;
  }

  /** Whether it can be changed as it is. */
  get isOpen(): boolean {
    return this.page !== undefined && !this.isCopy;
  }

  get isCold(): boolean {
    return !this.isPacked && (this.page === undefined || this.isCopy);
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

  /** The same after record `index` was put in: pages' indexes are not looked at, which are likely to be in no cache. */
  inserted(index: number, { high, low }: Timestamp): void {
    if (index === 0) {
      this.firstHigh = high;
      this.firstLow = low;
    }
    if (index === this.count) {
      this.lastHigh = high;
      this.lastLow = low;
    }
    this.count++;
  }

  /** Whether record `index` is of a time; it is the first at or after that. */
  isAt(page: Page, index: number, { high, low }: Timestamp): boolean {
    if (index === 0) return this.firstHigh === high && this.firstLow === low;
    return index < page.count && page.tsHigh(index) === high && page.tsLow(index) === low;
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
