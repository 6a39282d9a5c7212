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
import { NOT_PACKED, type Page } from "./page.ts";
import type { SlabAllocator } from "./slab.ts";

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
/*
 * Above these bits stand how often its rest was doubled, when it was last read or changed, and how many records there are.
 */
const REST_SHIFT = 8;
const REST_MASK = 7;
const TOUCHED_SHIFT = 11;
const TOUCHED_MASK = 1023;
const COUNT_SHIFT = 21;
const COUNT_ONE = 1 << COUNT_SHIFT;
/** No chunk has more records. */
export const CHUNK_COUNT_MAX = 2047;
/** When it was touched is told in steps of four seconds, and after an hour and eight minutes anew. */
const STEP_SHIFT = 2;

/** Before the packed bytes stands how many there are. */
const LENGTH_BYTES = 4;

/** There can be millions, so it has eight properties, which take 80 bytes: with a ninth it would take 112. */
export class Chunk {
  readonly owner: ChunkOwner;
  /** Its number on disk, unique in the collection; 0 for one that was never saved. */
  id = 0;
  firstHigh = 0;
  firstLow = 0;
  lastHigh = 0;
  lastLow = 0;
  /** Flags, and what stands above them. */
  #state = 0;
  /** Its page; without one, where its packed form stands; undefined where it has neither. */
  #body: Page | number | undefined = undefined;

  constructor(owner: ChunkOwner) {
    this.owner = owner;
  }

  get count(): number {
    return this.#state >>> COUNT_SHIFT;
  }

  set count(count: number) {
    this.#state = (count << COUNT_SHIFT) | (this.#state & (COUNT_ONE - 1));
  }

  get page(): Page | undefined {
    const body = this.#body;
    return typeof body === "number" ? undefined : body;
  }

  /** The page of what is packed knows where that stands. */
  set page(page: Page | undefined) {
    const place = this.#packedPlace;
    if (page !== undefined) {
      page.packedPlace = place;
      this.#body = page;
    } else this.#body = place === NOT_PACKED ? undefined : place;
  }

  /** Changed since it was last handed to a checkpoint. */
  get isDirty(): boolean {
    return (this.#state & DIRTY) !== 0;
  }

  set isDirty(value: boolean) {
    this.#state = value ? this.#state | DIRTY : this.#state & ~DIRTY;
  }

  /** The last checkpoint that was committed holds it as it is now. */
  get isOnDisk(): boolean {
    return (this.#state & ON_DISK) !== 0;
  }

  set isOnDisk(value: boolean) {
    this.#state = value ? this.#state | ON_DISK : this.#state & ~ON_DISK;
  }

  /** Was its document's newest when it was last handed to a checkpoint. */
  get wasNewest(): boolean {
    return (this.#state & WAS_NEWEST) !== 0;
  }

  set wasNewest(value: boolean) {
    this.#state = value ? this.#state | WAS_NEWEST : this.#state & ~WAS_NEWEST;
  }

  /** No longer part of its document: whoever still holds it lets it go. */
  get isGone(): boolean {
    return (this.#state & GONE) !== 0;
  }

  set isGone(value: boolean) {
    this.#state = value ? this.#state | GONE : this.#state & ~GONE;
  }

  /** Its page is only a copy of what is packed, or on disk. */
  get isCopy(): boolean {
    return (this.#state & COPY) !== 0;
  }

  set isCopy(value: boolean) {
    this.#state = value ? this.#state | COPY : this.#state & ~COPY;
  }

  /** Waits, full, in the store's queue to be packed. */
  get isQueued(): boolean {
    return (this.#state & QUEUED) !== 0;
  }

  set isQueued(value: boolean) {
    this.#state = value ? this.#state | QUEUED : this.#state & ~QUEUED;
  }

  /** Waits, as its document's newest, in the store's other queue to be packed. */
  get isWatched(): boolean {
    return (this.#state & WATCHED) !== 0;
  }

  set isWatched(value: boolean) {
    this.#state = value ? this.#state | WATCHED : this.#state & ~WATCHED;
  }

  /** Waits in the store's queue of packed chunks that may be let go. */
  get isListed(): boolean {
    return (this.#state & LISTED) !== 0;
  }

  set isListed(value: boolean) {
    this.#state = value ? this.#state | LISTED : this.#state & ~LISTED;
  }

  /** How often the time was doubled for which it has to rest before it is packed. */
  get restDoublings(): number {
    return (this.#state >>> REST_SHIFT) & REST_MASK;
  }

  set restDoublings(doublings: number) {
    this.#state = (this.#state & ~(REST_MASK << REST_SHIFT)) | (doublings << REST_SHIFT);
  }

  /** Notes that it is read or changed. */
  touch(seconds: number): void {
    const touched = (seconds >> STEP_SHIFT) & TOUCHED_MASK;
    this.#state = (this.#state & ~(TOUCHED_MASK << TOUCHED_SHIFT)) | (touched << TOUCHED_SHIFT);
  }

  /** For how many seconds it was not touched, give or take four; after more than an hour it may be any number. */
  secondsUntouched(seconds: number): number {
    const touched = (this.#state >>> TOUCHED_SHIFT) & TOUCHED_MASK;
    return (((seconds >> STEP_SHIFT) - touched) & TOUCHED_MASK) << STEP_SHIFT;
  }

  get isPacked(): boolean {
    return this.#packedPlace !== NOT_PACKED;
  }

  /** The packed form, where it stands: it is there until the chunk is opened or let go. */
  packed(slabs: SlabAllocator): Buffer {
    const place = this.#packedPlace;
    const start = slabs.offsetAt(place) + LENGTH_BYTES;
    return slabs.slabAt(place).bytes.subarray(start, start + this.packedLength(slabs));
  }

  /** How many bytes that is. */
  packedLength(slabs: SlabAllocator): number {
    const place = this.#packedPlace;
    return slabs.slabAt(place).words[slabs.offsetAt(place) >> 2] as number;
  }

  keepPacked(slabs: SlabAllocator, packed: Uint8Array): void {
    const slab = slabs.slabFor(LENGTH_BYTES + packed.length);
    const start = slab.take();
    slab.words[start >> 2] = packed.length;
    slab.bytes.set(packed, start + LENGTH_BYTES);
    this.#packedPlace = slabs.placeOf(slab, start);
  }

  dropPacked(slabs: SlabAllocator): void {
    const place = this.#packedPlace;
    slabs.giveBack(slabs.slabAt(place), slabs.offsetAt(place));
    this.#packedPlace = NOT_PACKED;
  }

  get #packedPlace(): number {
    const body = this.#body;
    if (typeof body === "number") return body;
    return body === undefined ? NOT_PACKED : body.packedPlace;
  }

  set #packedPlace(place: number) {
    const { page } = this;
    if (page !== undefined) page.packedPlace = place;
    else this.#body = place === NOT_PACKED ? undefined : place;
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

  /** The same after a record later than all others was added. */
  appended({ high, low }: Timestamp): void {
    this.#state += COUNT_ONE;
    this.lastHigh = high;
    this.lastLow = low;
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
    this.#state += COUNT_ONE;
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

  /** Which is the latest record at or before a time that is not before the first one's, if they are evenly spaced. */
  latestNear(high: number, low: number): number {
    return this.endsAfter(high, low) ? this.indexNear(high, low) : this.count - 1;
  }

  /** Which that is; `page` is the chunk's, and `near` what `latestNear` says. */
  latestIn(page: Page, near: number, { high, low }: Timestamp): number {
    return this.endsAfter(high, low) ? page.firstAfterNear(near, high, low) - 1 : near;
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
