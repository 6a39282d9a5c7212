/**
 * The latest records of a collection's documents as the text that a poll of all of them is answered with, kept from one
 * poll to the next.
 *
 * It is in blocks of neighbours by name, each `,NAME:RECORD` a document, with the records' times beside it. A document
 * that is written to marks its place as stale, once, whatever is written after that. The next poll renders what is
 * stale and copies the rest of its block in runs; a block in which nothing is stale is one copy. So a poll costs what
 * has changed since the last one, and nothing is looked up for the others.
 *
 * Places are those in one sorted list of documents. When a document comes or goes all of them are stale.
 */
import type { ChunkStore } from "./chunk_store.ts";
import { BLOCK_BYTES, BLOCK_DOCUMENTS, LatestBlock } from "./latest_block.ts";
import type { NameTable } from "./name.ts";
import type { ReplyText } from "./reply_text.ts";
import type { LatestQuestion, Series } from "./series.ts";

const BLOCK_SHIFT = Math.log2(BLOCK_DOCUMENTS);
/** A text that nobody has asked for in so long is given up. */
const KEPT_SECONDS = 60;
/** Most collections of many are not polled, and all have these. */
const NO_DOCUMENTS: readonly Series[] = Object.freeze([]);
const NO_BLOCKS = Object.freeze([]) as unknown as LatestBlock[];

/** What a database keeps of such texts: about `bytesMax`, and nothing while memory is short. */
export class LatestTexts {
  bytes = 0;
  readonly #chunks: ChunkStore;
  readonly #bytesMax: number;
  readonly #kept = new Set<LatestText>();

  constructor(chunks: ChunkStore, { bytesMax }: { bytesMax: number }) {
    this.#chunks = chunks;
    this.#bytesMax = bytesMax;
  }

  /** The time as far as it is told; see ChunkStore.seconds. */
  get seconds(): number {
    return this.#chunks.seconds;
  }

  /** Whether a block may be added. */
  get hasRoom(): boolean {
    return !this.#chunks.isShort && this.bytes < this.#bytesMax;
  }

  /** Counts memory that a text has taken, or given back. */
  count(text: LatestText, bytes: number): void {
    this.bytes += bytes;
    this.#chunks.objectBytes += bytes;
    if (text.bytes > 0) this.#kept.add(text);
    else this.#kept.delete(text);
  }

  /** Gives up what nobody asks for any more, and all of it when memory is short. */
  tidy(seconds: number): void {
    for (const text of this.#kept) {
      if (this.#chunks.isShort || seconds - text.askedAt > KEPT_SECONDS) text.forget();
    }
  }
}

export class LatestText {
  /** What it takes in memory. */
  bytes = 0;
  /** When it was last asked for, in seconds. */
  askedAt = Number.NEGATIVE_INFINITY;

  readonly #texts: LatestTexts;
  readonly #table: NameTable<Series>;
  /** What the places are places in. */
  #documents: readonly Series[] = NO_DOCUMENTS;
  #version = -1;
  #blocks: LatestBlock[] = NO_BLOCKS;

  constructor(texts: LatestTexts, table: NameTable<Series>) {
    this.#texts = texts;
    this.#table = table;
  }

  /**
   * A poll of all documents begins, at any time: only where it is not the first in a long time is anything kept. Those
   * at past times only cost one rendering.
   */
  begin(): void {
    const isRepeated = this.#texts.seconds - this.askedAt <= KEPT_SECONDS;
    this.askedAt = this.#texts.seconds;
    if (!isRepeated || this.#version === this.#table.version) return;
    this.forget();
    if (!this.#texts.hasRoom) return;
    this.#documents = this.#table.sorted();
    this.#blocks = [];
    this.#version = this.#table.version;
  }

  /**
   * Whether `writeBlock` is the way to answer for the documents of the block at `start`: it is of these documents, as
   * they are now, and the question is not about a past in which it has nothing.
   */
  serves(documents: readonly Series[], start: number, { at }: LatestQuestion): boolean {
    if (this.#documents !== documents || this.#version !== this.#table.version) return false;
    return start % BLOCK_DOCUMENTS === 0 && this.#blocks[start >> BLOCK_SHIFT]?.isAfter(at) !== true;
  }

  /** The latest record of the document at a place has changed. */
  changed(place: number): void {
    // Of a text that was given up, or of other documents, no more is true than that all is stale.
    this.#blocks[place >> BLOCK_SHIFT]?.changed(place % BLOCK_DOCUMENTS);
  }

  /**
   * Appends the answers of the documents of a block to a reply: those from place `start` on, a multiple of
   * BLOCK_DOCUMENTS. The question has no predicate.
   *
   * @returns how many of them had to be looked up.
   */
  writeBlock(reply: ReplyText, start: number, question: LatestQuestion): number {
    const block = this.#blockAt(start);
    const lookedUp = block.staleCount;
    if (lookedUp > 0 && block.bytes.length === 0 && !this.#texts.hasRoom)
      return block.writeEach(reply, question);
    const before = reply.end;
    if (lookedUp > 0) {
      block.render(reply);
      this.#count(block.keep(reply.bytes, before, reply.end));
    } else reply.copy(block.bytes, 0, block.length);
    if (block.isWithin(question)) return lookedUp;
    reply.end = before;
    return lookedUp + block.writeSome(reply, question);
  }

  /** Gives up all that is kept. */
  forget(): void {
    this.#blocks = NO_BLOCKS;
    this.#documents = NO_DOCUMENTS;
    this.#version = -1;
    // Not `-this.bytes`, which of 0 is -0: a sum with it is no integer to the compiler, and what was compiled for integers
    // is thrown away.
    this.#count(0 - this.bytes);
  }

  #blockAt(start: number): LatestBlock {
    const index = start >> BLOCK_SHIFT;
    let block = this.#blocks[index];
    if (block === undefined) {
      block = new LatestBlock(this.#documents, start);
      this.#blocks[index] = block;
      this.#count(BLOCK_BYTES);
    }
    return block;
  }

  #count(bytes: number): void {
    this.bytes += bytes;
    this.#texts.count(this, bytes);
  }
}
