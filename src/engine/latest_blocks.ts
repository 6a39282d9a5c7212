/**
 * The blocks of latest_text.ts, which hold all documents of one list, and which of them stay when another list has come
 * to its place.
 *
 * Both lists are in the same order and have mostly the same documents, so going along both, by identity and without a
 * look into a document, finds those that have come and gone; only their blocks are made anew. A block has a number, as
 * long as it lives, by which its documents know it; its place among the others changes.
 */
import { BLOCK_DOCUMENTS, LatestBlock } from "./latest_block.ts";
import type { Series } from "./series.ts";

const NUMBER_SHIFT = Math.log2(BLOCK_DOCUMENTS);
/** Where there are so many times as many blocks as full ones would be, and some more, all are made anew. */
const SPREAD_MAX = 4;
const SPARE_BLOCKS = 16;

/** Most collections of many are not polled, and all have these. */
const NO_DOCUMENTS: readonly Series[] = Object.freeze([]);
const NO_BLOCKS = Object.freeze([]) as unknown as LatestBlock[];
const NO_NUMBERS = Object.freeze([]) as unknown as number[];

export class LatestBlocks {
  /** What the blocks take in memory. */
  bytes = 0;
  #documents = NO_DOCUMENTS;
  /** In order; none is empty. */
  #blocks = NO_BLOCKS;
  #byNumber: (LatestBlock | undefined)[] = NO_BLOCKS;
  #freeNumbers = NO_NUMBERS;
  /** Where the block stands that was asked for last. */
  #lastIndex = 0;

  get isEmpty(): boolean {
    return this.#blocks.length === 0;
  }

  /** The block whose first document has a place in a list; undefined where none begins there, or the list is another one. */
  startingAt(documents: readonly Series[], place: number): LatestBlock | undefined {
    if (documents !== this.#documents) return undefined;
    const blocks = this.#blocks;
    // Mostly they are asked for one after the other.
    const next = blocks[this.#lastIndex + 1];
    if (next?.first === place) {
      this.#lastIndex++;
      return next;
    }
    let from = 0;
    let to = blocks.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      const { first } = blocks[middle] as LatestBlock;
      if (first === place) {
        this.#lastIndex = middle;
        return blocks[middle];
      }
      if (first < place) from = middle + 1;
      else to = middle;
    }
    return undefined;
  }

  /** The latest record of a document that a block has given a place has changed. */
  changed(place: number): void {
    // Where that block is gone and another one has its number, one document too many is rendered.
    this.#byNumber[place >> NUMBER_SHIFT]?.changed(place % BLOCK_DOCUMENTS);
  }

  clear(): void {
    this.bytes = 0;
    this.#documents = NO_DOCUMENTS;
    this.#blocks = [];
    this.#byNumber = [];
    this.#freeNumbers = [];
  }

  /** Goes over to another list of documents in the same order. Blocks whose documents are the same stay as they are. */
  follow(documents: readonly Series[]): void {
    const before = this.#blocks;
    this.#blocks = [];
    const areAllFound = before.length > 0 && this.#keep(before, documents);
    const fullCount = Math.ceil(documents.length / BLOCK_DOCUMENTS);
    if (!areAllFound || this.#blocks.length > fullCount * SPREAD_MAX + SPARE_BLOCKS) {
      this.clear();
      this.#add(documents, 0, documents.length, BLOCK_DOCUMENTS);
    }
    this.#documents = documents;
  }

  /** Returns whether all documents that there were are found, but for those that are gone. */
  #keep(before: readonly LatestBlock[], documents: readonly Series[]): boolean {
    const old = this.#documents;
    let place = 0;
    for (const block of before) {
      const { first, count } = block;
      const same = sameLength(old, first, documents, place, count);
      if (same === count) {
        block.move(documents, place);
        this.#blocks.push(block);
        place += count;
        continue;
      }
      const end = placeBehind(old, first + same, first + count, documents, place + same);
      if (end < 0) return false;
      this.#drop(block);
      // Those that are to be cut are cut in the middle: wherever the next one comes there is room.
      const pieces = Math.ceil((end - place) / BLOCK_DOCUMENTS);
      this.#add(documents, place, end, Math.ceil((end - place) / pieces));
      place = end;
    }
    // Names that come in order leave full blocks behind.
    const last = this.#blocks[this.#blocks.length - 1];
    if (place < documents.length && last !== undefined && last.count < BLOCK_DOCUMENTS) {
      place = last.first;
      this.#blocks.pop();
      this.#drop(last);
    }
    this.#add(documents, place, documents.length, BLOCK_DOCUMENTS);
    return true;
  }

  /** Adds blocks of so many documents for `documents[from, to)`. */
  #add(documents: readonly Series[], from: number, to: number, size: number): void {
    for (let first = from; first < to; first += size) {
      const number = this.#freeNumbers.pop() ?? this.#byNumber.length;
      const block = new LatestBlock({ documents, first, count: Math.min(size, to - first), number });
      this.#byNumber[number] = block;
      this.#blocks.push(block);
      this.bytes += block.memoryBytes;
    }
  }

  #drop({ number, memoryBytes }: LatestBlock): void {
    this.#byNumber[number] = undefined;
    this.#freeNumbers.push(number);
    this.bytes -= memoryBytes;
  }
}

/** How many documents, `count` at most, two lists have in common from two places on. */
function sameLength(
  one: readonly Series[],
  oneStart: number,
  other: readonly Series[],
  otherStart: number,
  count: number,
): number {
  let same = 0;
  while (same < count && one[oneStart + same] === other[otherStart + same]) same++;
  return same;
}

/**
 * Where in a list, from a place on, the last of the documents `old[from, to)` that are not gone has been passed; what
 * stands between them has come. -1 where one is not found.
 */
function placeBehind(
  old: readonly Series[],
  from: number,
  to: number,
  documents: readonly Series[],
  start: number,
): number {
  let place = start;
  for (let index = from; index < to; ) {
    const series = old[index] as Series;
    if (documents[place] === series) {
      place++;
      index++;
    } else if (series.isGone) index++;
    else if (place < documents.length) place++;
    else return -1;
  }
  return place;
}
