/**
 * A run of records in one block: their rendered text from the front, their index from the back.
 *
 *     | … free … ,{"ts":1,"data":"a"},{"ts":2,"data":"b"} …  free  … | entry 1 | entry 0 | spare entries |
 *
 * An entry is three signed 32-bit integers: the timestamp's high and low half, and where the record's text ends,
 * counted from the page's start. Every record begins with its comma, so any run of them is one slice of a reply less
 * its first byte. This is the slotted page of database textbooks, with the text kept in the order of time. There is
 * room before the text, and behind entry 0, only where records came that are older than those that were there, or went: a
 * page that is filled from its end moves nothing for that.
 */
import { COLUMN_TEXT_END, COLUMN_TS_HIGH, COLUMN_TS_LOW, COLUMNS, type InsertBatch } from "./insert_batch.ts";
import { ENTRY_BYTES, ENTRY_WORDS, firstNotBefore, firstNotBeforeNear } from "./page_index.ts";
import { nextPageBytes, pageGrowthAtMost } from "./page_size.ts";
import { type Rendered, writeRendered } from "./rendered.ts";
import type { Slab, SlabAllocator } from "./slab.ts";

export const NOT_PACKED = -1;
/** Of the room in front an entry of the index has this part: a record of 100 bytes has one of 12. */
const FRONT_SHARE = 8;

/**
 * Six properties, which take 64 bytes. With more, pages would lie among documents and chunks, which are as large and stay
 * when their pages go: what had been pages would not be given back, 7 MB of 100,000 documents.
 */
export class Page {
  count = 0;
  /** Where the text ends, counted from the page's start. */
  textEnd = 0;
  slab: Slab;
  /** Where the page begins in its slab, in bytes. */
  start: number;
  /** Where entry 0 ends, in the slab's words: what the page has behind it is spare. */
  #indexEnd: number;
  /** Where the text begins; in a copy, where that is 0, a number below 0 that tells where the packed form is. */
  #front = 0;

  constructor(slabs: SlabAllocator, bytes: number) {
    this.slab = slabs.slabFor(bytes);
    this.start = this.slab.take();
    this.#indexEnd = this.#end;
  }

  get blockBytes(): number {
    return this.slab.blockBytes;
  }

  /** Where the text begins, counted from the page's start. */
  get textStart(): number {
    return Math.max(0, this.#front);
  }

  /** Where the packed form stands of which it is a copy: one as it was unpacked, which nobody changes. */
  get packedPlace(): number {
    return this.#front < 0 ? -1 - this.#front : NOT_PACKED;
  }

  set packedPlace(place: number) {
    if (place !== NOT_PACKED) this.#front = -1 - place;
    else if (this.#front < 0) this.#front = 0;
  }

  get textLength(): number {
    return this.textEnd - this.textStart;
  }

  /** By how many bytes its block grows at most when records come that take so many, with their entries. */
  growthAtMost(bytes: number): number {
    return pageGrowthAtMost(this.blockBytes, this.textLength + this.count * ENTRY_BYTES + bytes);
  }

  tsHigh(index: number): number {
    return this.slab.words[this.#entry(index)] as number;
  }

  tsLow(index: number): number {
    return this.slab.words[this.#entry(index) + 1] as number;
  }

  /** Where record `index` begins in the slab, at its comma. */
  recordStart(index: number): number {
    return index === 0 ? this.start + this.textStart : this.recordEnd(index - 1);
  }

  recordEnd(index: number): number {
    return this.start + (this.slab.words[this.#entry(index) + 2] as number);
  }

  /** Where in `slab.words` the end of record `index` stands; each later record's stands ENTRY_WORDS before it. */
  endWord(index: number): number {
    return this.#entry(index) + 2;
  }

  /** The first record at or after a time; `count` when all are before it. */
  firstAtOrAfter(high: number, low: number): number {
    return firstNotBefore(this.slab.words, this.#entry(0), this.count, high, low >>> 0);
  }

  /** The first record after a time; `count` when none is. */
  firstAfter(high: number, low: number): number {
    return firstNotBefore(this.slab.words, this.#entry(0), this.count, high, (low >>> 0) + 1);
  }

  /** The same, where record `near` is likely to be next to it: one look instead of eight, each at another cache line. */
  firstAfterNear(near: number, high: number, low: number): number {
    return firstNotBeforeNear(this.slab.words, this.#entry(0), this.count, near, high, (low >>> 0) + 1);
  }

  /**
   * Touches the memory that `append` of so many bytes is going to write, where it is in this block. By writing: memory
   * that is new to the process would be made for a read, and once more for the write.
   */
  touchEnd(size: number): void {
    if (!this.#hasRoomBehind(size, 1)) return;
    this.#touch(this.start + this.textEnd, size, this.#entry(this.count));
  }

  /** The same of `insert` of a record older than all that are here. */
  touchFront(size: number): void {
    if (this.textStart < size || this.#indexEnd === this.#end) return;
    this.#touch(this.start + this.textStart - size, size, this.#indexEnd);
  }

  #touch(at: number, size: number, entry: number): void {
    const { bytes, words } = this.slab;
    // A record is in two or three lines of a cache; of a longer one the rest comes by itself.
    bytes[at] = 0;
    bytes[at + (size >> 1)] = 0;
    bytes[at + size - 1] = 0;
    words[entry] = 0;
  }

  /** Appends a record later than all others: its rendered text is `source[from, to)`. */
  append(slabs: SlabAllocator, record: Rendered): void {
    const size = record.to - record.from;
    if (!this.#hasRoomBehind(size, 1)) this.#makeRoomBehind(slabs, size, 1);
    const { slab } = this;
    writeRendered(record, slab, this.start + this.textEnd);
    this.textEnd += size;
    this.count++;
    const { words } = slab;
    const entry = this.#entry(this.count - 1);
    words[entry] = record.high;
    words[entry + 1] = record.low;
    words[entry + 2] = this.textEnd;
  }

  /** Appends the records `[from, to)` of a batch, each later than the one before it and than all that are here. */
  appendRun(slabs: SlabAllocator, batch: InsertBatch, from: number, to: number): void {
    const { columns } = batch;
    const sourceStart = batch.textStart(from);
    const size = batch.textStart(to) - sourceStart;
    this.#makeRoomBehind(slabs, size, to - from);
    const { slab } = this;
    const { words } = slab;
    batch.text.copy(slab.bytes, this.start + this.textEnd, sourceStart, sourceStart + size);
    const shift = this.textEnd - sourceStart;
    let entry = this.#entry(this.count);
    for (let row = from * COLUMNS; row < to * COLUMNS; row += COLUMNS) {
      words[entry] = columns[row + COLUMN_TS_HIGH] as number;
      words[entry + 1] = columns[row + COLUMN_TS_LOW] as number;
      words[entry + 2] = (columns[row + COLUMN_TEXT_END] as number) + shift;
      entry -= ENTRY_WORDS;
    }
    this.textEnd += size;
    this.count += to - from;
  }

  /** Puts a record before record `index`: what is before it moves, or what is behind it, whichever is less. */
  insert(slabs: SlabAllocator, index: number, record: Rendered): void {
    const size = record.to - record.from;
    const isInFront = index * 2 < this.count;
    if (isInFront) this.#makeRoomInFront(slabs, size, index);
    else this.#makeRoomBehind(slabs, size, 1);
    const at = this.recordStart(index) - this.start;
    const { bytes, words } = this.slab;
    if (isInFront) {
      bytes.copyWithin(this.start + this.textStart - size, this.start + this.textStart, this.start + at);
      this.#front -= size;
      this.#shiftEnds(0, index, -size);
    } else {
      this.#moveText(this.start + at, size);
      this.#shiftEnds(index, this.count, size);
    }
    this.#openIndex(index, isInFront);
    const end = isInFront ? at : at + size;
    this.#setEntry(index, record.high, record.low);
    words[this.#entry(index) + 2] = end;
    writeRendered(record, this.slab, this.start + end - size);
  }

  /** Gives record `index` another text. */
  replace(slabs: SlabAllocator, index: number, record: Rendered): void {
    const difference = record.to - record.from - (this.recordEnd(index) - this.recordStart(index));
    if (difference > 0) this.#makeRoomBehind(slabs, difference, 0);
    if (difference !== 0) {
      this.#moveText(this.recordEnd(index), difference);
      this.#shiftEnds(index, this.count, difference);
    }
    writeRendered(record, this.slab, this.recordStart(index));
  }

  /** Removes the records `[from, to)`. */
  remove(from: number, to: number): void {
    const size = this.recordEnd(to - 1) - this.recordStart(from);
    // Nothing moves where the oldest go.
    if (from === 0) {
      this.#front += size;
      this.#indexEnd = this.#entry(to - 1);
      this.count -= to;
      return;
    }
    this.#moveText(this.recordEnd(to - 1), -size);
    this.#shiftEnds(to, this.count, -size);
    const last = this.#entry(this.count - 1);
    this.slab.words.copyWithin(last + (to - from) * ENTRY_WORDS, last, this.#entry(to) + ENTRY_WORDS);
    this.count -= to - from;
  }

  /** Moves the records from `index` on to a new page. */
  splitOff(slabs: SlabAllocator, index: number): Page {
    const tailStart = this.recordStart(index) - this.start;
    const moved = this.count - index;
    const tail = new Page(slabs, this.textEnd - tailStart + moved * ENTRY_BYTES);
    this.slab.bytes.copy(tail.slab.bytes, tail.start, this.start + tailStart, this.start + this.textEnd);
    for (let at = 0; at < moved; at++) {
      tail.#setEntry(at, this.tsHigh(index + at), this.tsLow(index + at));
      tail.slab.words[tail.#entry(at) + 2] = this.recordEnd(index + at) - this.start - tailStart;
    }
    tail.count = moved;
    tail.textEnd = this.textEnd - tailStart;
    this.count = index;
    this.textEnd = tailStart;
    this.fit(slabs);
    return tail;
  }

  /** Moves to the smallest block that holds the page, where that saves an eighth or more. */
  fit(slabs: SlabAllocator): void {
    const needed = this.textLength + this.count * ENTRY_BYTES;
    if (needed < this.blockBytes - (this.blockBytes >> 3)) this.#move(slabs, needed, 0, 0);
  }

  /**
   * Fills an empty page that has room for it with `text[0, textLength)`, which is `count` records.
   *
   * @param entries three integers a record, as the index has them.
   */
  fill(text: Buffer, textLength: number, entries: Int32Array, count: number): void {
    text.copy(this.slab.bytes, this.start, 0, textLength);
    this.#front = 0;
    this.textEnd = textLength;
    const { words } = this.slab;
    for (let index = 0; index < count; index++) {
      const from = index * ENTRY_WORDS;
      const to = this.#entry(index);
      words[to] = entries[from] as number;
      words[to + 1] = entries[from + 1] as number;
      words[to + 2] = entries[from + 2] as number;
    }
    this.count = count;
  }

  free(slabs: SlabAllocator): void {
    slabs.giveBack(this.slab, this.start);
  }

  #entry(index: number): number {
    return this.#indexEnd - (index + 1) * ENTRY_WORDS;
  }

  /** Where the page ends in its slab, in words. */
  get #end(): number {
    return (this.start + this.slab.blockBytes) >> 2;
  }

  /** Whether there is room for so many bytes more at the text's end, and for so many entries, as all stands. */
  #hasRoomBehind(textBytes: number, records: number): boolean {
    return this.start + this.textEnd + textBytes <= this.#entry(this.count + records - 1) * 4;
  }

  /** Makes an entry for a new record `index`: those before it move into what is spare, or those behind it away from it. */
  #openIndex(index: number, isInFront: boolean): void {
    const { words } = this.slab;
    const last = this.#entry(this.count - 1);
    const own = this.#entry(index) + ENTRY_WORDS;
    if (isInFront && this.#indexEnd < this.#end) {
      words.copyWithin(own + ENTRY_WORDS, own, this.#indexEnd);
      this.#indexEnd += ENTRY_WORDS;
    } else words.copyWithin(last - ENTRY_WORDS, last, own);
    this.count++;
  }

  #setEntry(index: number, high: number, low: number): void {
    const entry = this.#entry(index);
    this.slab.words[entry] = high;
    this.slab.words[entry + 1] = low;
  }

  /** Makes room for so many bytes more at the text's end, and for so many entries. */
  #makeRoomBehind(slabs: SlabAllocator, textBytes: number, records: number): void {
    if (this.#hasRoomBehind(textBytes, records)) return;
    const needed = this.textLength + textBytes + (this.count + records) * ENTRY_BYTES;
    if (needed <= this.blockBytes) this.#slide(0, 0);
    else this.#move(slabs, Math.max(needed, nextPageBytes(this.blockBytes)), 0, 0);
  }

  /**
   * Makes room for a record of so many bytes before the text. Of what is free it gets a part besides: nearly all, with
   * what that needs of entries, where the record is the oldest, since more of those are to come.
   */
  #makeRoomInFront(slabs: SlabAllocator, textBytes: number, index: number): void {
    const hasEntry = this.#indexEnd < this.#end || this.#hasRoomBehind(0, 1);
    if (this.textStart >= textBytes && hasEntry) return;
    const needed = this.textLength + textBytes + (this.count + 1) * ENTRY_BYTES;
    const bytes =
      needed <= this.blockBytes ? this.blockBytes : Math.max(needed, nextPageBytes(this.blockBytes));
    const free = bytes - needed;
    const front = index === 0 ? free - (free >> 3) : free >> 1;
    const moreEntries = index === 0 ? Math.floor(front / FRONT_SHARE / ENTRY_BYTES) : 0;
    const textStart = textBytes + front - moreEntries * ENTRY_BYTES;
    const spareEntries = index === 0 ? 1 + moreEntries : 0;
    if (bytes === this.blockBytes) this.#slide(textStart, spareEntries);
    else this.#move(slabs, bytes, textStart, spareEntries);
  }

  /** Moves to a block of at least so many bytes, with the text at a place in it and so many spare entries. */
  #move(slabs: SlabAllocator, bytes: number, textStart: number, spareEntries: number): void {
    const slab = slabs.slabFor(bytes);
    const start = slab.take();
    this.slab.bytes.copy(
      slab.bytes,
      start + textStart,
      this.start + this.textStart,
      this.start + this.textEnd,
    );
    const indexWords = this.count * ENTRY_WORDS;
    const oldEnd = this.#indexEnd;
    const newEnd = ((start + slab.blockBytes) >> 2) - spareEntries * ENTRY_WORDS;
    for (let at = 1; at <= indexWords; at++) {
      slab.words[newEnd - at] = this.slab.words[oldEnd - at] as number;
    }
    slabs.giveBack(this.slab, this.start);
    this.slab = slab;
    this.start = start;
    this.#indexEnd = newEnd;
    this.#textMovedTo(textStart);
  }

  /** The same within the block. */
  #slide(textStart: number, spareEntries: number): void {
    const by = this.#end - spareEntries * ENTRY_WORDS - this.#indexEnd;
    if (by < 0) this.#slideText(textStart);
    // Text and index may move to where the other one is: first the one that makes room.
    const last = this.#entry(this.count - 1);
    if (by !== 0) this.slab.words.copyWithin(last + by, last, this.#indexEnd);
    this.#indexEnd += by;
    if (by >= 0) this.#slideText(textStart);
  }

  #slideText(textStart: number): void {
    this.slab.bytes.copyWithin(
      this.start + textStart,
      this.start + this.textStart,
      this.start + this.textEnd,
    );
    this.#textMovedTo(textStart);
  }

  #textMovedTo(textStart: number): void {
    const by = textStart - this.textStart;
    if (by === 0) return;
    this.#shiftEnds(0, this.count, by);
    this.#front += by;
    this.textEnd += by;
  }

  /** Moves the text from `from` (a place in the slab) to the text's end by so many bytes. */
  #moveText(from: number, by: number): void {
    this.slab.bytes.copyWithin(from + by, from, this.start + this.textEnd);
    this.textEnd += by;
  }

  /** Of the records `[from, to)`. */
  #shiftEnds(from: number, to: number, by: number): void {
    const { words } = this.slab;
    for (let at = from; at < to; at++) {
      const end = this.#entry(at) + 2;
      words[end] = (words[end] as number) + by;
    }
  }
}
