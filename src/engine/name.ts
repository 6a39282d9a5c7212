/**
 * Names of collections and documents, found by their bytes in a frame without making a string of them.
 *
 * A name is kept as the bytes of its JSON string without quotes, which is how it arrives and how it is sent. These bytes
 * are canonical (what JSON.stringify makes, in UTF-8), so two names are equal exactly when their bytes are. For sorting
 * and patterns a string is made of them, which takes 100 ns: to keep it would take 60 bytes a document.
 */
import { BACKSLASH, COLON, QUOTE } from "../protocol/ascii.ts";
import { keyedHash, randomKey } from "./keyed_hash.ts";
import type { LongWork } from "./long_work.ts";
import { NameOrder, type Sorting, sortByName, sortedByName } from "./name_order.ts";
import { escapeText, RawText, unescapeText } from "./raw_text.ts";
import type { Slab, SlabAllocator } from "./slab.ts";

/** The quote before a name, and the quote and the colon behind it. */
const AROUND_BYTES = 3;
/** A block begins at a multiple of this in its slab. */
const BLOCK_SHIFT = 4;
/** The bytes of a name are fewer than 2 to this: NAME_LENGTH_MAX control characters, of six bytes each, are. */
const LENGTH_BITS = 15;
const LENGTH_MAX = (1 << LENGTH_BITS) - 1;
const FREE = -1;

/** The texts of names whose bytes were given back: whoever still has to look for one knows it by that. */
const textsAfter = new WeakMap<Name, string>();

export class Name {
  readonly slab: Slab;
  /**
   * Which of the slab's blocks it has, and how long it is, in one number: there is one of these a document, and with eight
   * properties that takes 80 bytes, with nine it would take 112.
   */
  #place: number;

  constructor(text: string, slabs: SlabAllocator) {
    const escaped = escapeText(text);
    const { length } = escaped;
    if (length > LENGTH_MAX) throw new RangeError(`a name takes at most ${LENGTH_MAX} bytes, not ${length}`);
    this.slab = slabs.slabFor(length + AROUND_BYTES);
    const block = this.slab.take();
    this.#place = ((block >> BLOCK_SHIFT) << LENGTH_BITS) | length;
    const { bytes } = this.slab;
    bytes[block] = QUOTE;
    escaped.copy(bytes, block + 1);
    bytes[block + 1 + length] = QUOTE;
    bytes[block + 2 + length] = COLON;
  }

  /** Where the name's bytes begin in the slab; a quote stands before them, and behind them `":`, as replies want it. */
  get start(): number {
    return ((this.#place >> LENGTH_BITS) << BLOCK_SHIFT) + 1;
  }

  get end(): number {
    return this.start + this.length;
  }

  get length(): number {
    return this.#place & LENGTH_MAX;
  }

  get text(): string {
    return this.isFree
      ? (textsAfter.get(this) as string)
      : unescapeText(this.slab.bytes, this.start, this.end);
  }

  /** Whether its bytes were given back. */
  get isFree(): boolean {
    return this.#place === FREE;
  }

  equals(bytes: Buffer, start: number, end: number): boolean {
    if (end - start !== this.length) return false;
    const own = this.slab.bytes;
    for (let at = start, ownAt = this.start; at < end; at++, ownAt++) {
      if (bytes[at] !== own[ownAt]) return false;
    }
    return true;
  }

  /** Gives the bytes back; its text stays known. */
  free(slabs: SlabAllocator): void {
    textsAfter.set(this, this.text);
    slabs.giveBack(this.slab, this.start - 1);
    this.#place = FREE;
  }
}

/**
 * MurmurHash3_x86_32 (Austin Appleby, 2011) with 0 for its seed, as a signed integer. It takes four bytes at a time: of a
 * name like `device-123` it takes 13 ns, of a UUID 23, where FNV-1a, a byte at a time, takes 15 and 40.
 */
export function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0;
  let at = start;
  for (const last = end - 4; at <= last; at += 4) {
    const word =
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24);
    // Written out twice: what calls a function for it, in a loop that is copied in, was compiled three times.
    const product = Math.imul(word, 0xcc9e2d51);
    hash ^= Math.imul((product << 15) | (product >>> 17), 0x1b873593);
    hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0;
  }
  let rest = 0;
  for (let from = end - 1; from >= at; from--) rest = (rest << 8) | (bytes[from] as number);
  const product = Math.imul(rest, 0xcc9e2d51);
  hash ^= Math.imul((product << 15) | (product >>> 17), 0x1b873593) ^ (end - start);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

function hasEscapes(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at] === BACKSLASH) return true;
  return false;
}

/** Where a string is put to look it up. */
const GIVEN = new RawText();

const SLOTS_AT_FIRST = 8;

type Named = { readonly name: Name };

/** What has come and gone while values are sorted. */
type Ordering<Value extends Named> = Sorting<Value> & {
  readonly changes: ((order: NameOrder<Value>) => void)[];
  done: Promise<void> | undefined;
};

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

/**
 * A hash table from names to what they name: open addressing with linear probing, at most half full.
 *
 * Clients choose names, and can choose ones whose hash is the same; a table that finds them goes over to a hash that
 * nobody can foresee, and which takes longer.
 *
 * Lookups take bytes or a string. Values can also be had in the order of their names (name_order.ts).
 */
export class NameTable<Value extends Named> {
  size = 0;
  /** Another number whenever a name has come or gone. */
  version = 0;

  #slots: (Value | undefined)[] = new Array(SLOTS_AT_FIRST).fill(undefined);
  /** Of the values in the slots, so that no value is looked at that is not the right one, nor when the table grows. */
  #hashes = new Int32Array(SLOTS_AT_FIRST);
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
    if ((this.size + 1) * 2 > this.#slots.length) this.#resize(this.#slots.length * 2);
    this.#leavePlaces();
    const isChosen = this.#place(value, this.#hashOf(value));
    if (isChosen && !this.#isKeyed) this.#useKey();
    this.size++;
    this.version++;
    this.#order?.add(value);
    this.#ordering?.changes.push((order) => order.add(value));
  }

  /** Removes a value that is in the table. */
  delete(value: Value): void {
    this.#leavePlaces();
    const slots = this.#slots;
    const hashes = this.#hashes;
    const mask = slots.length - 1;
    let hole = this.#hashOf(value) & mask;
    while (slots[hole] !== value) hole = (hole + 1) & mask;
    // Backward shift: whatever was pushed past the hole by a collision moves into it, so no tombstones pile up.
    for (let at = (hole + 1) & mask; ; at = (at + 1) & mask) {
      const candidate = slots[at];
      if (candidate === undefined) break;
      const distance = (at - ((hashes[at] as number) & mask)) & mask;
      if (distance < ((at - hole) & mask)) continue;
      slots[hole] = candidate;
      hashes[hole] = hashes[at] as number;
      hole = at;
    }
    slots[hole] = undefined;
    this.size--;
    this.version++;
    this.#order?.delete(value);
    this.#ordering?.changes.push((order) => order.delete(value));
    if (slots.length > SLOTS_AT_FIRST && this.size * 8 < slots.length) this.#resize(slots.length >> 1);
  }

  /** All values in no order, in a list of its own. */
  all(): Value[] {
    const values: Value[] = [];
    for (const value of this.#slots) if (value !== undefined) values.push(value);
    return values;
  }

  /** Resolves when `sorted` has little to do; undefined when it has not much. */
  prepareSorted(longWork: LongWork): Promise<void> | undefined {
    if (this.#order !== undefined) return undefined;
    if (this.#ordering !== undefined) return this.#ordering.done;
    const ordering: Ordering<Value> = { places: this.#slots, sorted: [], changes: [], done: undefined };
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

  /** Before a change: to copy the slots takes a while, so that is only done while values are taken from them. */
  #leavePlaces(): void {
    if (this.#ordering?.places === this.#slots) this.#slots = this.#slots.slice();
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
    const slots = this.#slots;
    const hashes = this.#hashes;
    const mask = slots.length - 1;
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const value = slots[at];
      if (value === undefined) return undefined;
      if (hashes[at] === hash && value.name.equals(bytes, start, end)) return value;
    }
  }

  #hashOf({ name: { slab, start, end } }: Value): number {
    return this.#isKeyed ? keyedHash(KEY, slab.bytes, start, end) : hashBytes(slab.bytes, start, end);
  }

  /** Returns whether so many names stand in its way that somebody has chosen them. */
  #place(value: Value, hash: number): boolean {
    const mask = this.#slots.length - 1;
    let at = hash & mask;
    let taken = 0;
    let same = 0;
    for (; this.#slots[at] !== undefined; taken++) {
      if (this.#hashes[at] === hash) same++;
      at = (at + 1) & mask;
    }
    this.#slots[at] = value;
    this.#hashes[at] = hash;
    return taken > PROBES_MAX || same >= SAME_HASH_MAX;
  }

  #useKey(): void {
    this.#isKeyed = true;
    const values = this.all();
    this.#clear(this.#slots.length);
    for (const value of values) this.#place(value, this.#hashOf(value));
  }

  #resize(slotCount: number): void {
    const slots = this.#slots;
    const hashes = this.#hashes;
    this.#clear(slotCount);
    for (let at = 0; at < slots.length; at++) {
      const value = slots[at];
      if (value !== undefined) this.#place(value, hashes[at] as number);
    }
  }

  #clear(slotCount: number): void {
    this.#slots = new Array(slotCount).fill(undefined);
    this.#hashes = new Int32Array(slotCount);
  }
}
