/**
 * A part of a table of texts: one buffer of entries, one after another, and a hash table of where they are.
 *
 *     entry = hash:i32 keyBytes:i32 valueBytes:i32 size:i32 text padding      size in words of 4 bytes, above two flags
 *     text  = '"' key '":"' value '"'                                         as replies and checkpoints want it
 *
 * An entry is added at the end. One that is removed, or whose value no longer fits, is left as it is and marked, until
 * the part is written anew without it: into a larger or smaller buffer, or into two.
 */
import { COLON, QUOTE } from "../protocol/ascii.ts";
import type { TextWriter } from "../storage/text_list.ts";
import { halfOf } from "./hash_parts.ts";
import { neverInline } from "./never_inline.ts";
import { type RawText, unescapeText } from "./raw_text.ts";
import type { ReplyText } from "./reply_text.ts";
import { copyBytes } from "./text_copy.ts";
import { readUtf8 } from "./utf8.ts";

export const NONE = -1;

/* Words of an entry; places of entries are in words, too. */
const HASH = 0;
const KEY_BYTES = 1;
const VALUE_BYTES = 2;
const SIZE = 3;
const HEAD_WORDS = 4;

/* Flags of the size. */
const IS_GONE = 1;
const IS_CHANGED = 2;
const FLAG_BITS = 2;

/** The quotes of both texts and the colon. */
const AROUND_BYTES = 5;
/** What stands before the key, and between it and the value. */
const KEY_AT = HEAD_WORDS * 4 + 1;
const BETWEEN_BYTES = 3;

const WORDS_MIN = 64;
/** What is larger has no other sizes to go through on its way. */
const ROUNDED_WORDS_MAX = 64 * 1024;
const SLOTS_MIN = 8;
/** What is less is not worth to be written anew. */
const GONE_WORDS_MIN = 256;
/** Longer entries are copied by the system, which is faster once it is called. */
const COPIED_WORDS_MAX = 32;
/** The objects of a part. */
const OBJECT_BYTES = 600;

/** How many words an entry takes. */
export function wordsFor(keyBytes: number, valueBytes: number): number {
  return HEAD_WORDS + ((keyBytes + valueBytes + AROUND_BYTES + 3) >> 2);
}

export class ValuePart {
  static {
    neverInline(ValuePart.prototype.find, ValuePart.prototype.overwrite);
  }

  /** How many of a hash's highest bits its entries have in common. */
  readonly depth: number;
  count = 0;

  readonly #words: Int32Array<ArrayBuffer>;
  readonly #bytes: Buffer;
  /** A place + 1 each, 0 where there is none: open addressing with linear probing, at most half full. */
  readonly #slots: Int32Array;
  #end = 0;
  #goneWords = 0;

  private constructor(depth: number, words: number, slots: number) {
    this.depth = depth;
    this.#words = new Int32Array(words);
    this.#bytes = Buffer.from(this.#words.buffer);
    this.#slots = new Int32Array(slots);
  }

  /** One with room for so many words, and a quarter more. */
  static forWords(depth: number, words: number, count = 0): ValuePart {
    const room = words + (words >> 2);
    const rounded = room > ROUNDED_WORDS_MAX ? room : powerOfTwo(Math.max(WORDS_MIN, room));
    return new ValuePart(depth, rounded, powerOfTwo(Math.max(SLOTS_MIN, count * 2 + 2)));
  }

  get byteLength(): number {
    return this.#bytes.length + this.#slots.byteLength + OBJECT_BYTES;
  }

  get liveWords(): number {
    return this.#end - this.#goneWords;
  }

  get isMostlyGone(): boolean {
    return this.#goneWords >= GONE_WORDS_MIN && this.#goneWords * 2 > this.#end;
  }

  hasRoomFor(words: number): boolean {
    return this.#end + words <= this.#words.length && (this.count + 1) * 2 <= this.#slots.length;
  }

  /** Where the entry of a key is, or NONE. Places are good until one is removed or added. */
  find(hash: number, key: RawText): number {
    const slots = this.#slots;
    const words = this.#words;
    const mask = slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const at = (slots[slot] as number) - 1;
      if (at === NONE) return NONE;
      if (words[at + HASH] === hash && this.#isKey(at, key)) return at;
    }
  }

  /** Puts another value into an entry, if it fits and does not leave most of a large one empty. */
  overwrite(at: number, { bytes, start, end }: RawText): boolean {
    const words = this.#words;
    const keyBytes = words[at + KEY_BYTES] as number;
    const size = (words[at + SIZE] as number) >> FLAG_BITS;
    const needed = wordsFor(keyBytes, end - start);
    if (needed > size || (size > GONE_WORDS_MIN && needed * 2 < size)) return false;
    this.#writeValue(at, bytes, start, end);
    return true;
  }

  /** Adds an entry, which is marked as changed and for which there is room. */
  add(hash: number, { bytes, start, end }: RawText, value: RawText, size: number): void {
    const words = this.#words;
    const at = this.#end;
    this.#end += size;
    words[at + HASH] = hash;
    words[at + KEY_BYTES] = end - start;
    words[at + SIZE] = (size << FLAG_BITS) | IS_CHANGED;
    const own = this.#bytes;
    const keyAt = at * 4 + KEY_AT;
    own[keyAt - 1] = QUOTE;
    const behind = copyBytes(bytes, start, end, own, keyAt);
    own[behind] = QUOTE;
    own[behind + 1] = COLON;
    this.#writeValue(at, value.bytes, value.start, value.end);
    this.#place(hash, at);
    this.count++;
  }

  remove(at: number): void {
    const words = this.#words;
    const slots = this.#slots;
    const mask = slots.length - 1;
    let hole = (words[at + HASH] as number) & mask;
    while (slots[hole] !== at + 1) hole = (hole + 1) & mask;
    // Backward shift: whatever was pushed past the hole by a collision moves into it.
    for (let slot = (hole + 1) & mask; ; slot = (slot + 1) & mask) {
      const other = (slots[slot] as number) - 1;
      if (other === NONE) break;
      const distance = (slot - ((words[other + HASH] as number) & mask)) & mask;
      if (distance < ((slot - hole) & mask)) continue;
      slots[hole] = other + 1;
      hole = slot;
    }
    slots[hole] = 0;
    const size = words[at + SIZE] as number;
    words[at + SIZE] = size | IS_GONE;
    this.#goneWords += size >> FLAG_BITS;
    this.count--;
  }

  /** Marks an entry as changed; returns whether it was not. */
  markChanged(at: number): boolean {
    const size = this.#words[at + SIZE] as number;
    this.#words[at + SIZE] = size | IS_CHANGED;
    return (size & IS_CHANGED) === 0;
  }

  clearChanged(at: number): void {
    this.#words[at + SIZE] = (this.#words[at + SIZE] as number) & ~IS_CHANGED;
  }

  /** Adds key and value of all entries of a hash that have changed; their next change is news again. */
  takeChanged(hash: number, rows: TextWriter): void {
    const slots = this.#slots;
    const words = this.#words;
    const mask = slots.length - 1;
    for (let slot = hash & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const at = (slots[slot] as number) - 1;
      if (words[at + HASH] !== hash || ((words[at + SIZE] as number) & IS_CHANGED) === 0) continue;
      this.clearChanged(at);
      const keyStart = at * 4 + KEY_AT;
      rows.add(this.#bytes, keyStart, keyStart + (words[at + KEY_BYTES] as number));
      rows.add(this.#bytes, this.#valueStart(at) + 1, this.#entryEnd(at) - 1);
    }
  }

  /** Marks all entries of a hash as changed. */
  markAllChanged(hash: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let slot = hash & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const at = (slots[slot] as number) - 1;
      if (this.#words[at + HASH] === hash) this.markChanged(at);
    }
  }

  /** Appends the value as a JSON string to a reply. */
  writeValue(at: number, reply: ReplyText): void {
    const start = this.#valueStart(at);
    const end = this.#entryEnd(at);
    reply.reserve(end - start);
    reply.end = copyBytes(this.#bytes, start, end, reply.bytes, reply.end);
  }

  /** `KEY:VALUE`, as JSON strings. */
  entryText(at: number): string {
    return readUtf8(this.#bytes, at * 4 + KEY_AT - 1, this.#entryEnd(at));
  }

  /** Adds all keys to a list. */
  addKeys(keys: string[]): void {
    for (let at = this.#next(0); at !== NONE; at = this.#next(this.#behind(at))) {
      const start = at * 4 + KEY_AT;
      keys.push(unescapeText(this.#bytes, start, start + (this.#words[at + KEY_BYTES] as number)));
    }
  }

  /** The same entries in another buffer, with room for so many words more. */
  rewritten(more: number): ValuePart {
    const part = ValuePart.forWords(this.depth, this.liveWords + more, this.count + 1);
    for (let at = this.#next(0); at !== NONE; at = this.#next(this.#behind(at))) part.#copy(this, at);
    return part;
  }

  /** Two parts, by the first bit in which their hashes may differ. */
  split(): [ValuePart, ValuePart] {
    const words = this.#words;
    const { depth } = this;
    let rightWords = 0;
    let rightCount = 0;
    for (let at = this.#next(0); at !== NONE; at = this.#next(this.#behind(at))) {
      if (halfOf(words[at + HASH] as number, depth) === 0) continue;
      rightWords += (words[at + SIZE] as number) >> FLAG_BITS;
      rightCount++;
    }
    const left = ValuePart.forWords(depth + 1, this.liveWords - rightWords, this.count - rightCount);
    const right = ValuePart.forWords(depth + 1, rightWords, rightCount);
    for (let at = this.#next(0); at !== NONE; at = this.#next(this.#behind(at))) {
      const half = halfOf(words[at + HASH] as number, depth) === 0 ? left : right;
      half.#copy(this, at);
    }
    return [left, right];
  }

  /** Gives the memory back at once. */
  free(): void {
    this.#words.buffer.transfer(0);
  }

  /** The first entry from a place on that is not gone, or NONE. */
  #next(from: number): number {
    const words = this.#words;
    for (let at = from; at < this.#end; at += (words[at + SIZE] as number) >> FLAG_BITS) {
      if (((words[at + SIZE] as number) & IS_GONE) === 0) return at;
    }
    return NONE;
  }

  /** The place behind an entry. */
  #behind(at: number): number {
    return at + ((this.#words[at + SIZE] as number) >> FLAG_BITS);
  }

  /** Takes over an entry of another part. */
  #copy(from: ValuePart, at: number): void {
    const size = (from.#words[at + SIZE] as number) >> FLAG_BITS;
    if (size > COPIED_WORDS_MAX) from.#bytes.copy(this.#bytes, this.#end * 4, at * 4, (at + size) * 4);
    else {
      for (let word = 0; word < size; word++) {
        this.#words[this.#end + word] = from.#words[at + word] as number;
      }
    }
    this.#place(from.#words[at + HASH] as number, this.#end);
    this.#end += size;
    this.count++;
  }

  #place(hash: number, at: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = hash & mask;
    while (slots[slot] !== 0) slot = (slot + 1) & mask;
    slots[slot] = at + 1;
  }

  #isKey(at: number, { bytes, start, end }: RawText): boolean {
    if (this.#words[at + KEY_BYTES] !== end - start) return false;
    const own = this.#bytes;
    for (let from = start, ownFrom = at * 4 + KEY_AT; from < end; from++, ownFrom++) {
      if (bytes[from] !== own[ownFrom]) return false;
    }
    return true;
  }

  #writeValue(at: number, bytes: Buffer, start: number, end: number): void {
    this.#words[at + VALUE_BYTES] = end - start;
    const valueStart = this.#valueStart(at);
    this.#bytes[valueStart] = QUOTE;
    this.#bytes[copyBytes(bytes, start, end, this.#bytes, valueStart + 1)] = QUOTE;
  }

  /** Where the value's quote is. */
  #valueStart(at: number): number {
    return at * 4 + KEY_AT + (this.#words[at + KEY_BYTES] as number) + BETWEEN_BYTES - 1;
  }

  #entryEnd(at: number): number {
    return this.#valueStart(at) + (this.#words[at + VALUE_BYTES] as number) + 2;
  }
}

/** The smallest power of two that is no less. */
const powerOfTwo = (value: number): number => (value <= 1 ? 1 : 1 << (32 - Math.clz32(value - 1)));
