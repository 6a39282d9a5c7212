/**
 * A run of records in one block: their rendered text from the front, their index from the back.
 *
 *     | ,{"ts":1,"data":"a"},{"ts":2,"data":"b"} …  free  … | entry 1 | entry 0 |
 *
 * An entry is three signed 32-bit integers: the timestamp's high and low half, and where the record's text ends,
 * counted from the page's start. Every record begins with its comma, so any run of them is one slice of a reply less
 * its first byte. This is the slotted page of database textbooks, with the text kept in the order of time.
 */
import { readTimestampAt } from "./record_text.ts";
import type { Slab, SlabAllocator } from "./slab.ts";
import { COPIED_HERE_BYTES_MAX, copyText } from "./text_copy.ts";

/** The index costs this much a record. */
export const ENTRY_BYTES = 12;
export const ENTRY_WORDS = ENTRY_BYTES / 4;

export class Page {
  count = 0;
  textLength = 0;
  slab: Slab;
  /** Where the page begins in its slab, in bytes. */
  start: number;

  constructor(slabs: SlabAllocator, bytes: number) {
    this.slab = slabs.slabFor(bytes);
    this.start = this.slab.take();
  }

  get blockBytes(): number {
    return this.slab.blockBytes;
  }

  tsHigh(index: number): number {
    return this.slab.words[this.#entry(index)] as number;
  }

  tsLow(index: number): number {
    return this.slab.words[this.#entry(index) + 1] as number;
  }

  /** Where record `index` begins in the slab, at its comma. */
  recordStart(index: number): number {
    return index === 0 ? this.start : this.recordEnd(index - 1);
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
    return this.#search(high, low >>> 0);
  }

  /** The first record after a time; `count` when none is. */
  firstAfter(high: number, low: number): number {
    return this.#search(high, (low >>> 0) + 1);
  }

  /** The same, where record `near` is likely to be next to it: one look instead of eight, each at another cache line. */
  firstAfterNear(near: number, high: number, low: number): number {
    const { words } = this.slab;
    const unsignedLow = (low >>> 0) + 1;
    let from = 0;
    let to = this.count;
    let at = near;
    // Steps that double lead away from where it was expected, and halving back.
    for (let step = 1; from < to; step *= 2) {
      const entry = this.#entry(at);
      const atHigh = words[entry] as number;
      if (atHigh < high || (atHigh === high && (words[entry + 1] as number) >>> 0 < unsignedLow)) {
        from = at + 1;
        at += step;
      } else {
        to = at;
        at -= step;
      }
      if (at < from || at >= to) at = (from + to) >>> 1;
    }
    return from;
  }

  /** Appends a record later than all others: its rendered text is `source[from, to)`. */
  append(slabs: SlabAllocator, record: Rendered): void {
    const { from, to } = record;
    const size = to - from;
    const needed = this.textLength + size + (this.count + 1) * ENTRY_BYTES;
    if (needed > this.slab.blockBytes) this.#move(slabs, Math.max(needed, 2 * this.slab.blockBytes));
    const { slab } = this;
    const target = this.start + this.textLength;
    if (size > COPIED_HERE_BYTES_MAX) record.source.copy(slab.bytes, target, from, to);
    else copyText(record.view, from, slab.view, target, size);
    this.textLength += size;
    this.count++;
    const { words } = slab;
    const entry = ((this.start + slab.blockBytes) >> 2) - this.count * ENTRY_WORDS;
    words[entry] = record.high;
    words[entry + 1] = record.low;
    words[entry + 2] = this.textLength;
  }

  /** Puts a record before record `index`. */
  insert(slabs: SlabAllocator, index: number, record: Rendered): void {
    const size = record.to - record.from;
    this.#makeRoom(slabs, size, 1);
    this.#moveText(this.recordStart(index), size);
    const { words } = this.slab;
    for (let at = this.count; at > index; at--) {
      const entry = this.#entry(at);
      words[entry] = words[entry + ENTRY_WORDS] as number;
      words[entry + 1] = words[entry + ENTRY_WORDS + 1] as number;
      words[entry + 2] = (words[entry + ENTRY_WORDS + 2] as number) + size;
    }
    this.count++;
    const begin = this.recordStart(index) - this.start;
    const entry = this.#entry(index);
    words[entry] = record.high;
    words[entry + 1] = record.low;
    words[entry + 2] = begin + size;
    record.source.copy(this.slab.bytes, this.start + begin, record.from, record.to);
  }

  /** Gives record `index` another text. */
  replace(slabs: SlabAllocator, index: number, record: Rendered): void {
    const size = record.to - record.from;
    const difference = size - (this.recordEnd(index) - this.recordStart(index));
    if (difference > 0) this.#makeRoom(slabs, difference, 0);
    if (difference !== 0) {
      this.#moveText(this.recordEnd(index), difference);
      this.#shiftEnds(index, difference);
    }
    record.source.copy(this.slab.bytes, this.recordStart(index), record.from, record.to);
  }

  /** Removes the records `[from, to)`. */
  remove(from: number, to: number): void {
    const removed = to - from;
    const size = this.recordEnd(to - 1) - this.recordStart(from);
    this.#moveText(this.recordEnd(to - 1), -size);
    const { words } = this.slab;
    for (let at = to; at < this.count; at++) {
      const source = this.#entry(at);
      const target = source + removed * ENTRY_WORDS;
      words[target] = words[source] as number;
      words[target + 1] = words[source + 1] as number;
      words[target + 2] = (words[source + 2] as number) - size;
    }
    this.count -= removed;
  }

  /** Moves the records from `index` on to a new page. */
  splitOff(slabs: SlabAllocator, index: number): Page {
    const textStart = this.recordStart(index) - this.start;
    const moved = this.count - index;
    const tail = new Page(slabs, this.textLength - textStart + moved * ENTRY_BYTES);
    this.slab.bytes.copy(tail.slab.bytes, tail.start, this.start + textStart, this.start + this.textLength);
    for (let at = 0; at < moved; at++) {
      tail.#setEntry(at, this.tsHigh(index + at), this.tsLow(index + at));
      tail.slab.words[tail.#entry(at) + 2] = this.recordEnd(index + at) - this.start - textStart;
    }
    tail.count = moved;
    tail.textLength = this.textLength - textStart;
    this.count = index;
    this.textLength = textStart;
    this.fit(slabs);
    return tail;
  }

  /** Moves to the smallest block that holds the page, where that saves an eighth or more. */
  fit(slabs: SlabAllocator): void {
    const needed = this.textLength + this.count * ENTRY_BYTES;
    if (needed < this.blockBytes - (this.blockBytes >> 3)) this.#move(slabs, needed);
  }

  /**
   * Fills an empty page from text that holds `lengths.length` records; timestamps are read from the text.
   *
   * @throws RangeError when the text is not made of such records.
   */
  fill(text: Buffer, lengths: Int32Array): void {
    text.copy(this.slab.bytes, this.start);
    this.textLength = text.length;
    const timestamp = { high: 0, low: 0 };
    let end = 0;
    for (let at = 0; at < lengths.length; at++) {
      readTimestampAt(text, end, timestamp);
      this.#setEntry(at, timestamp.high, timestamp.low);
      end += lengths[at] as number;
      this.slab.words[this.#entry(at) + 2] = end;
    }
    if (end !== text.length)
      throw new RangeError(`the records' lengths add up to ${end}, not ${text.length}`);
    this.count = lengths.length;
  }

  free(slabs: SlabAllocator): void {
    slabs.giveBack(this.slab, this.start);
  }

  #entry(index: number): number {
    return ((this.start + this.slab.blockBytes) >> 2) - (index + 1) * ENTRY_WORDS;
  }

  #setEntry(index: number, high: number, low: number): void {
    const entry = this.#entry(index);
    this.slab.words[entry] = high;
    this.slab.words[entry + 1] = low;
  }

  #search(high: number, unsignedLow: number): number {
    const { words } = this.slab;
    let from = 0;
    let to = this.count;
    while (from < to) {
      const middle = (from + to) >>> 1;
      const entry = this.#entry(middle);
      const middleHigh = words[entry] as number;
      if (middleHigh < high || (middleHigh === high && (words[entry + 1] as number) >>> 0 < unsignedLow)) {
        from = middle + 1;
      } else to = middle;
    }
    return from;
  }

  #makeRoom(slabs: SlabAllocator, textBytes: number, records: number): void {
    const needed = this.textLength + textBytes + (this.count + records) * ENTRY_BYTES;
    if (needed > this.blockBytes) this.#move(slabs, Math.max(needed, 2 * this.blockBytes));
  }

  #move(slabs: SlabAllocator, bytes: number): void {
    const slab = slabs.slabFor(bytes);
    const start = slab.take();
    this.slab.bytes.copy(slab.bytes, start, this.start, this.start + this.textLength);
    const indexWords = this.count * ENTRY_WORDS;
    const oldEnd = (this.start + this.slab.blockBytes) >> 2;
    const newEnd = (start + slab.blockBytes) >> 2;
    for (let at = 1; at <= indexWords; at++) {
      slab.words[newEnd - at] = this.slab.words[oldEnd - at] as number;
    }
    slabs.giveBack(this.slab, this.start);
    this.slab = slab;
    this.start = start;
  }

  /** Moves the text from `from` (a place in the slab) to the text's end by so many bytes. */
  #moveText(from: number, by: number): void {
    this.slab.bytes.copyWithin(from + by, from, this.start + this.textLength);
    this.textLength += by;
  }

  #shiftEnds(from: number, by: number): void {
    const { words } = this.slab;
    for (let at = from; at < this.count; at++) {
      const end = this.#entry(at) + 2;
      words[end] = (words[end] as number) + by;
    }
  }
}

/** A record on its way into a page: its text is `source[from, to)`, and `view` is the same memory. */
export type Rendered = {
  source: Buffer;
  view: DataView;
  from: number;
  to: number;
  high: number;
  low: number;
};

export function noRecord(): Rendered {
  const source = Buffer.alloc(0);
  return { source, view: new DataView(source.buffer), from: 0, to: 0, high: 0, low: 0 };
}

/** Says where the records come from that are to be pointed out next. */
export function takeSource(record: Rendered, source: Buffer): void {
  record.source = source;
  record.view = new DataView(source.buffer, source.byteOffset, source.byteLength);
}
