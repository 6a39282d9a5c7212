/**
 * A hash table from texts to texts, both kept as bytes, at any size without a long pause.
 *
 * It is cut into parts (hash_parts.ts), where JavaScript's own Map stops everything for 120 ms when it grows beyond a
 * million keys; and a part is two buffers, in which a collection of garbage finds no object.
 */
import type { TextWriter } from "../storage/text_list.ts";
import { depthOf, partOf, putHalves, putPart } from "./hash_parts.ts";
import { keyedHash, randomKey } from "./keyed_hash.ts";
import { neverInline } from "./never_inline.ts";
import { Queue } from "./queue.ts";
import type { RawText } from "./raw_text.ts";
import type { ReplyText } from "./reply_text.ts";
import { NONE, ValuePart, wordsFor } from "./value_part.ts";

/** Clients choose keys: with a hash that they cannot foresee, they cannot choose ones that collide. */
export const KEY_HASH_KEY = randomKey();
/** A part that needs a larger buffer than this becomes two. */
const PART_BYTES_MAX = 256 * 1024;
/** Unless it has fewer entries: these are long, and a part of many long ones would take long to move. */
const SPLIT_COUNT_MIN = 4;
/** So many of a hash's highest bits choose a part; beyond that parts just grow. */
const DEPTH_MAX = 20;
/** What a row costs whoever takes and saves it, beside its texts. */
export const ROW_BYTES = 64;

/** What a table without keys is looked up in; most collections have none. */
const NO_ENTRIES = ValuePart.forWords(0, 0);
const NO_PARTS = Object.freeze([]) as unknown as ValuePart[];

/** Behind all beginnings of hashes, by which keys are listed. */
export const END_OF_KEYS = 1 << DEPTH_MAX;

export class ValueTable {
  static {
    neverInline(ValueTable.prototype.write, ValueTable.prototype.set, hashOf);
  }

  size = 0;
  /** What the parts take in memory. */
  bytes = 0;
  readonly #isSaved: boolean;
  /** The hashes of keys that were set, once until they are taken to be saved. Most tables of many have none. */
  #changed: Queue<number> | undefined;

  #parts: ValuePart[] = NO_PARTS;

  constructor({ isSaved }: { readonly isSaved: boolean }) {
    this.#isSaved = isSaved;
    neverInline(this.#put);
  }

  /** Appends the value as a JSON string to a reply; returns false when there is none. */
  write(key: RawText, reply: ReplyText): boolean {
    const hash = hashOf(key);
    const part = this.#partOf(hash);
    const at = part.find(hash, key);
    if (at === NONE) return false;
    part.writeValue(at, reply);
    return true;
  }

  has(key: RawText): boolean {
    const hash = hashOf(key);
    return this.#partOf(hash).find(hash, key) !== NONE;
  }

  /** `KEY:VALUE`, both as JSON strings, or undefined. */
  entryText(key: RawText): string | undefined {
    const hash = hashOf(key);
    const part = this.#partOf(hash);
    const at = part.find(hash, key);
    return at === NONE ? undefined : part.entryText(at);
  }

  set(key: RawText, value: RawText): void {
    const hash = hashOf(key);
    if (this.#put(hash, key, value) && this.#isSaved) this.#noteChange(hash);
  }

  /** Returns whether it is the first time since it was taken to be saved. */
  #put(hash: number, key: RawText, value: RawText): boolean {
    if (this.size === 0) this.#addFirst();
    let part = this.#partOf(hash);
    let at = part.find(hash, key);
    if (at !== NONE && part.overwrite(at, value)) return part.markChanged(at);
    const words = wordsFor(key.length, value.length);
    if (!part.hasRoomFor(words)) {
      // Nothing has changed yet, should there be no memory.
      part = this.#makeRoom(part, hash, words);
      at = part.find(hash, key);
    }
    const isNews = at === NONE || part.markChanged(at);
    if (at !== NONE) part.remove(at);
    else this.size++;
    part.add(hash, key, value, words);
    return isNews;
  }

  /** Sets a value that is no change. */
  load(key: RawText, value: RawText): void {
    const hash = hashOf(key);
    this.#put(hash, key, value);
    const part = this.#partOf(hash);
    part.clearChanged(part.find(hash, key));
  }

  /** How many keys that were set wait to be saved, counting some that are gone. */
  get changedCount(): number {
    return this.#changed?.length ?? 0;
  }

  /**
   * Adds keys that wait, each with its value, to a list of texts, until it has so many bytes.
   *
   * @returns the hashes of what was taken, for `giveBack`
   */
  takeChanged(rows: TextWriter, bytesMax: number): number[] {
    const hashes: number[] = [];
    const changed = this.#changed;
    while (changed !== undefined && changed.length > 0) {
      if (rows.byteLength + hashes.length * ROW_BYTES >= bytesMax) break;
      const hash = changed.shift() as number;
      this.#partOf(hash).takeChanged(hash, rows);
      hashes.push(hash);
    }
    if (changed?.length === 0) this.#changed = undefined;
    return hashes;
  }

  /** What was taken was not saved. */
  giveBack(hashes: readonly number[]): void {
    for (const hash of hashes) {
      this.#partOf(hash).markAllChanged(hash);
      this.#noteChange(hash);
    }
  }

  #noteChange(hash: number): void {
    this.#changed ??= new Queue();
    this.#changed.push(hash);
  }

  delete(key: RawText): boolean {
    const hash = hashOf(key);
    const part = this.#partOf(hash);
    const at = part.find(hash, key);
    if (at === NONE) return false;
    part.remove(at);
    this.size--;
    if (this.size === 0) this.clear();
    else if (part.isMostlyGone) this.#replace(part, hash, part.rewritten(0));
    return true;
  }

  clear(): void {
    for (const part of new Set(this.#parts)) part.free();
    this.#parts = NO_PARTS;
    this.#changed = undefined;
    this.bytes = 0;
  }

  /** All keys, in no order. */
  keys(): string[] {
    const keys: string[] = [];
    for (let from = 0; from < END_OF_KEYS; ) from = this.addKeys(from, keys);
    return keys;
  }

  /**
   * Adds some keys to a list. Keys are in the order of their hashes' beginnings, from 0 on, whatever becomes of the parts.
   *
   * @returns where the next ones begin; END_OF_KEYS, or beyond, behind the last
   */
  addKeys(from: number, keys: string[]): number {
    const part = this.#parts[from >>> (DEPTH_MAX - depthOf(this.#parts))];
    if (part === undefined) return END_OF_KEYS;
    part.addKeys(keys);
    const span = 1 << (DEPTH_MAX - part.depth);
    return (from & -span) + span;
  }

  #partOf(hash: number): ValuePart {
    return partOf(this.#parts, hash) ?? NO_ENTRIES;
  }

  #addFirst(): void {
    const part = ValuePart.forWords(0, 0);
    this.#parts = [part];
    this.bytes = part.byteLength;
  }

  /** Returns the part for a hash, with room for an entry of so many words. */
  #makeRoom(old: ValuePart, hash: number, words: number): ValuePart {
    for (let part = old; ; ) {
      const isLarge = (part.liveWords + words) * 4 > PART_BYTES_MAX && part.count >= SPLIT_COUNT_MIN;
      if (!isLarge || part.depth === DEPTH_MAX) {
        const larger = part.rewritten(words);
        this.#replace(part, hash, larger);
        return larger;
      }
      this.#split(part, hash);
      part = this.#partOf(hash);
      if (part.hasRoomFor(words)) return part;
    }
  }

  #replace(part: ValuePart, hash: number, other: ValuePart): void {
    putPart(this.#parts, hash, part.depth, other);
    this.#exchange([part], [other]);
  }

  #split(part: ValuePart, hash: number): void {
    const halves = part.split();
    this.#parts = putHalves(this.#parts, hash, part.depth, halves);
    this.#exchange([part], halves);
  }

  #exchange(old: readonly ValuePart[], others: readonly ValuePart[]): void {
    for (const part of others) this.bytes += part.byteLength;
    for (const part of old) {
      this.bytes -= part.byteLength;
      part.free();
    }
  }
}

function hashOf({ bytes, start, end, hash }: RawText): number {
  return hash === 0 ? keyedHash(KEY_HASH_KEY, bytes, start, end) : hash;
}
