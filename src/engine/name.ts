/**
 * Names of collections and documents, found by their bytes in a frame without making a string of them.
 *
 * A name is kept as the bytes of its JSON string without quotes, which is how it arrives and how it is sent. These bytes
 * are canonical (what JSON.stringify makes, in UTF-8), so two names are equal exactly when their bytes are. For sorting
 * and patterns a string is made of them, which takes 100 ns: to keep it would take 60 bytes a document.
 */
import { COLON, QUOTE } from "../protocol/ascii.ts";
import { escapeText, unescapeText } from "./raw_text.ts";
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
