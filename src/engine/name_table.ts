/**
 * A hash table from names to what they name, at any size without a long pause.
 *
 * Values stand in short arrays, one after another, and the hash table holds their numbers. So a collection of garbage
 * has no more to go through than the array that was added to last: when values stood in the hash table itself, each
 * one that came made it go through all of them, 37 ms of two million. And the hash table is cut into parts, each of
 * which grows by itself (hash_parts.ts).
 *
 *     part  = count:i32 depth:i32 slot…     open addressing with linear probing, at most half full
 *     slot  = hash:i32 number:i32           number is 0 where it is free; otherwise that of a value, the first one's is 1
 */
import { BACKSLASH } from "../protocol/ascii.ts";
import { halfOf, partOf, putHalves, putPart } from "./hash_parts.ts";
import { keyedHash, randomKey } from "./keyed_hash.ts";
import type { LongWork } from "./long_work.ts";
import { hashBytes, type Name } from "./name.ts";
import { NameOrder, type Sorting, sortByName, sortedByName } from "./name_order.ts";
import { RawText, unescapeText } from "./raw_text.ts";

/* Words of a part, and of its slots. */
const COUNT = 0;
const DEPTH = 1;
const SLOTS = 2;
const HASH = SLOTS;
const NUMBER = SLOTS + 1;
const SLOT_WORDS = 2;
const SLOT_SHIFT = 1;

const SLOTS_AT_FIRST = 8;
/** A part of so many that needs more becomes two: 256 KB. */
const SLOTS_MAX = 32 * 1024;
/**
 * So many of a hash's highest bits choose a part. By chance no part needs as many to be told before there are 500 million
 * names: where one does, somebody has chosen them. Beyond that parts just grow.
 */
const DEPTH_MAX = 16;
/** So many values are in one array, 2 to this. */
const SEGMENT_BITS = 10;
const SEGMENT_LENGTH = 1 << SEGMENT_BITS;

/**
 * So many slots are looked at for a name that is added only where somebody has chosen names that collide: of hashes at
 * random, half the slots full, a run of k slots has a chance of 0.82^k.
 */
const PROBES_MAX = 256;
/**
 * The same of others whose hash is the same to the last bit: of ten million names at random a table has four such in one
 * of 200 cases, and five in none. Each is compared whenever one of them is looked for, and may be as long as a name may be.
 */
const SAME_HASH_MAX = 4;
const KEY = randomKey();

/** Where a string is put to look it up. */
const GIVEN = new RawText();

type Named = { readonly name: Name };

/** What has come and gone while values are sorted. */
type Ordering<Value extends Named> = Sorting<Value> & {
  readonly changes: ((order: NameOrder<Value>) => void)[];
  done: Promise<void> | undefined;
};

/**
 * Clients choose names, and can choose ones whose hash is the same; a table that finds them goes over to a hash that
 * nobody can foresee, and which takes longer.
 *
 * Lookups take bytes or a string. Values can also be had in the order of their names (name_order.ts).
 */
export class NameTable<Value extends Named> {
  size = 0;
  /** Another number whenever a name has come or gone. */
  version = 0;

  #parts = [emptyPart(SLOTS_AT_FIRST, 0)];
  /** By number, in arrays of SEGMENT_LENGTH, of which only the last one is shorter. */
  #segments: Value[][] = [];
  #isKeyed = false;
  /** From when somebody first asks for it. */
  #order: NameOrder<Value> | undefined;
  #ordering: Ordering<Value> | undefined;

  /** Whether it has found names that collide. */
  get isKeyed(): boolean {
    return this.#isKeyed;
  }

  /** `bytes[start, end)` is the inside of a JSON string; its hash is 0 where it is not known. */
  getByBytes(bytes: Buffer, start: number, end: number, hash = 0): Value | undefined {
    const found = this.#find(hash === 0 ? hashBytes(bytes, start, end) : hash, bytes, start, end);
    // What is not there as it stands may be there in its canonical form.
    return found ?? (hasEscapes(bytes, start, end) ? this.get(unescapeText(bytes, start, end)) : undefined);
  }

  get(text: string | RawText): Value | undefined {
    const { bytes, start, end, hash } = typeof text === "string" ? GIVEN.take(text) : text;
    return this.#find(hash === 0 ? hashBytes(bytes, start, end) : hash, bytes, start, end);
  }

  /** Adds a value whose name is not in the table. */
  add(value: Value): void {
    this.#setValue(this.size, value);
    this.size++;
    const isChosen = this.#place(this.#hashOf(value), this.size);
    if (isChosen && !this.#isKeyed) this.#useKey();
    this.version++;
    this.#order?.add(value);
    this.#ordering?.changes.push((order) => order.add(value));
  }

  /** Removes a value that is in the table. */
  delete(value: Value): void {
    const hash = this.#hashOf(value);
    const part = this.#partOf(hash);
    const at = this.#slotOf(part, hash, value);
    this.#fillGap(part[NUMBER + at] as number);
    removeSlot(part, at);
    this.#shrink(part, hash);
    this.version++;
    this.#order?.delete(value);
    this.#ordering?.changes.push((order) => order.delete(value));
  }

  /** All values in no order, in a list of its own. */
  all(): Value[] {
    return this.#segments.flat();
  }

  /** Resolves when `sorted` has little to do; undefined when it has not much. */
  prepareSorted(longWork: LongWork): Promise<void> | undefined {
    if (this.#order !== undefined) return undefined;
    if (this.#ordering !== undefined) return this.#ordering.done;
    const segments = this.#segments.slice();
    const ordering: Ordering<Value> = { segments, sorted: [], changes: [], done: undefined };
    const rest = longWork.begin(sortByName(ordering, longWork));
    if (rest === undefined) {
      this.#order = new NameOrder(ordering.sorted);
      return undefined;
    }
    this.#ordering = ordering;
    ordering.done = rest
      .then(() => this.#endOrdering(ordering))
      .finally(() => {
        this.#ordering = undefined;
      });
    return ordering.done;
  }

  /** All values by name, in code unit order. The array stays as it is: a change of the table makes another one. */
  sorted(): readonly Value[] {
    this.#order ??= new NameOrder(sortedByName(this.all()));
    return this.#order.list;
  }

  /** Unless somebody could not wait. */
  #endOrdering({ sorted, changes }: Ordering<Value>): void {
    if (this.#order !== undefined) return;
    const order = new NameOrder(sorted);
    for (const change of changes) change(order);
    this.#order = order;
  }

  #find(unkeyed: number, bytes: Buffer, start: number, end: number): Value | undefined {
    const hash = this.#isKeyed ? keyedHash(KEY, bytes, start, end) : unkeyed;
    const part = this.#partOf(hash);
    const mask = maskOf(part);
    for (let at = (hash << SLOT_SHIFT) & mask; ; at = (at + SLOT_WORDS) & mask) {
      const number = part[NUMBER + at] as number;
      if (number === 0) return undefined;
      if (part[HASH + at] !== hash) continue;
      const value = this.#valueOf(number);
      if (value.name.equals(bytes, start, end)) return value;
    }
  }

  #partOf(hash: number): Int32Array {
    return partOf(this.#parts, hash) as Int32Array;
  }

  #valueOf(number: number): Value {
    const index = number - 1;
    return (this.#segments[index >>> SEGMENT_BITS] as Value[])[index & (SEGMENT_LENGTH - 1)] as Value;
  }

  #hashOf({ name: { slab, start, end } }: Value): number {
    return this.#isKeyed ? keyedHash(KEY, slab.bytes, start, end) : hashBytes(slab.bytes, start, end);
  }

  /** The slot of a value that is in the table. */
  #slotOf(part: Int32Array, hash: number, value: Value): number {
    const mask = maskOf(part);
    let at = (hash << SLOT_SHIFT) & mask;
    while (part[HASH + at] !== hash || this.#valueOf(part[NUMBER + at] as number) !== value) {
      at = (at + SLOT_WORDS) & mask;
    }
    return at;
  }

  /** Puts a value where another one is, or behind the last one. */
  #setValue(index: number, value: Value): void {
    const segment = index >>> SEGMENT_BITS;
    this.#segments[segment] ??= [];
    const values = this.#ownSegment(segment);
    values[index & (SEGMENT_LENGTH - 1)] = value;
  }

  /** An array that may be changed: while values are sorted, which takes them from those that there were, a copy. */
  #ownSegment(segment: number): Value[] {
    let values = this.#segments[segment] as Value[];
    if (this.#ordering !== undefined) {
      values = values.slice();
      this.#segments[segment] = values;
    }
    return values;
  }

  /** The last value takes the number of one that goes. */
  #fillGap(number: number): void {
    const lastNumber = this.size;
    const last = this.#valueOf(lastNumber);
    if (number !== lastNumber) {
      const hash = this.#hashOf(last);
      const part = this.#partOf(hash);
      part[NUMBER + this.#slotOf(part, hash, last)] = number;
      this.#setValue(number - 1, last);
    }
    this.size--;
    const segment = this.size >>> SEGMENT_BITS;
    this.#ownSegment(segment).pop();
    if ((this.size & (SEGMENT_LENGTH - 1)) === 0) this.#segments.pop();
  }

  /** Returns whether so many names stand in its way that somebody has chosen them. */
  #place(hash: number, number: number): boolean {
    const part = this.#partWithRoom(hash);
    const mask = maskOf(part);
    let at = (hash << SLOT_SHIFT) & mask;
    let taken = 0;
    let same = 0;
    for (; part[NUMBER + at] !== 0; taken++) {
      if (part[HASH + at] === hash) same++;
      at = (at + SLOT_WORDS) & mask;
    }
    setSlot(part, at, hash, number);
    return taken > PROBES_MAX || same >= SAME_HASH_MAX || part[DEPTH] === DEPTH_MAX;
  }

  #partWithRoom(hash: number): Int32Array {
    for (;;) {
      const part = this.#partOf(hash);
      const slots = slotsOf(part);
      if (((part[COUNT] as number) + 1) * 2 <= slots) return part;
      if (slots < SLOTS_MAX || part[DEPTH] === DEPTH_MAX) this.#replace(part, hash, resized(part, slots * 2));
      else this.#parts = putHalves(this.#parts, hash, part[DEPTH] as number, split(part));
    }
  }

  #replace(part: Int32Array, hash: number, other: Int32Array): void {
    putPart(this.#parts, hash, part[DEPTH] as number, other);
  }

  /** Gives back what a part that is mostly empty does not need. */
  #shrink(part: Int32Array, hash: number): void {
    if (this.size === 0) {
      this.#clear();
      return;
    }
    const slots = slotsOf(part);
    if (slots > SLOTS_AT_FIRST && (part[COUNT] as number) * 8 < slots) {
      this.#replace(part, hash, resized(part, slots >> 1));
    }
  }

  #useKey(): void {
    this.#isKeyed = true;
    this.#clear();
    for (let number = 1; number <= this.size; number++)
      this.#place(this.#hashOf(this.#valueOf(number)), number);
  }

  #clear(): void {
    this.#parts = [emptyPart(SLOTS_AT_FIRST, 0)];
  }
}

function hasEscapes(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at] === BACKSLASH) return true;
  return false;
}

const slotsOf = (part: Int32Array): number => (part.length - SLOTS) / SLOT_WORDS;

/** For places of slots, in words from the first one's. */
const maskOf = (part: Int32Array): number => part.length - SLOTS - SLOT_WORDS;

function emptyPart(slots: number, depth: number): Int32Array {
  const part = new Int32Array(SLOTS + slots * SLOT_WORDS);
  part[DEPTH] = depth;
  return part;
}

function setSlot(part: Int32Array, at: number, hash: number, number: number): void {
  part[HASH + at] = hash;
  part[NUMBER + at] = number;
  part[COUNT] = (part[COUNT] as number) + 1;
}

/** The same slots in a part of another size. */
function resized(part: Int32Array, slots: number): Int32Array {
  const other = emptyPart(slots, part[DEPTH] as number);
  copySlots(part, () => other);
  return other;
}

/** Each half has the room that it needs and not that of the other: whoever chooses names may have all of them in one. */
function split(part: Int32Array): [Int32Array, Int32Array] {
  const depth = part[DEPTH] as number;
  const counts = [0, 0];
  for (let at = 0; at < part.length - SLOTS; at += SLOT_WORDS) {
    if (part[NUMBER + at] === 0) continue;
    const half = halfOf(part[HASH + at] as number, depth);
    counts[half] = (counts[half] as number) + 1;
  }
  const halves = counts.map((count) => emptyPart(slotsFor(count, slotsOf(part)), depth + 1));
  copySlots(part, (hash) => halves[halfOf(hash, depth)] as Int32Array);
  return halves as [Int32Array, Int32Array];
}

/** For so many values, and as many more. */
function slotsFor(count: number, most: number): number {
  let slots = SLOTS_AT_FIRST;
  while (slots < count * 4 && slots < most) slots *= 2;
  return slots;
}

/** Copies each slot to a part that is chosen by its hash, and has room. */
function copySlots(part: Int32Array, targetOf: (hash: number) => Int32Array): void {
  for (let from = 0; from < part.length - SLOTS; from += SLOT_WORDS) {
    const number = part[NUMBER + from] as number;
    if (number === 0) continue;
    const hash = part[HASH + from] as number;
    const target = targetOf(hash);
    const mask = maskOf(target);
    let at = (hash << SLOT_SHIFT) & mask;
    while (target[NUMBER + at] !== 0) at = (at + SLOT_WORDS) & mask;
    setSlot(target, at, hash, number);
  }
}

function removeSlot(part: Int32Array, removed: number): void {
  const mask = maskOf(part);
  let hole = removed;
  // Backward shift: whatever was pushed past the hole by a collision moves into it, so no tombstones pile up.
  for (let at = (hole + SLOT_WORDS) & mask; part[NUMBER + at] !== 0; at = (at + SLOT_WORDS) & mask) {
    const distance = (at - ((part[HASH + at] as number) << SLOT_SHIFT)) & mask;
    if (distance < ((at - hole) & mask)) continue;
    part[HASH + hole] = part[HASH + at] as number;
    part[NUMBER + hole] = part[NUMBER + at] as number;
    hole = at;
  }
  part[HASH + hole] = 0;
  part[NUMBER + hole] = 0;
  part[COUNT] = (part[COUNT] as number) - 1;
}
