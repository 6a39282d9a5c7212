/**
 * The latest records of a collection's documents as the text that a poll of all of them is answered with, kept from one
 * poll to the next.
 *
 * It is in blocks of neighbours by name, each `,NAME:RECORD` a document, with the records' times beside it. A document
 * that is written to marks its place as stale, once, whatever is written after that. The next poll renders what is
 * stale and copies the rest of its block in runs; a block in which nothing is stale is one copy. So a poll costs what
 * has changed since the last one, and nothing is looked up for the others.
 *
 * When a document comes or goes, only its block is made anew (latest_blocks.ts).
 */
import type { ChunkStore } from "./chunk_store.ts";
import type { LatestBlock } from "./latest_block.ts";
import { LatestBlocks } from "./latest_blocks.ts";
import type { NameTable } from "./name_table.ts";
import type { ReplyText } from "./reply_text.ts";
import type { LatestQuestion, Series } from "./series.ts";

/** A text that nobody has asked for in so long is given up. */
const KEPT_SECONDS = 60;
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
  readonly #blocks = new LatestBlocks();
  /** That of the table when the blocks were of its documents. */
  #version = -1;

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
    if (this.#blocks.isEmpty && !this.#texts.hasRoom) return;
    this.#blocks.follow(this.#table.sorted());
    this.#version = this.#table.version;
    this.#count();
  }

  /** The block that begins at a place in a list of documents, if they are those that there are now. */
  blockAt(documents: readonly Series[], start: number): LatestBlock | undefined {
    return this.#version === this.#table.version ? this.#blocks.startingAt(documents, start) : undefined;
  }

  /** The latest record of the document at a place has changed. */
  changed(place: number): void {
    this.#blocks.changed(place);
  }

  /**
   * Appends the answers of the documents of a block to a reply. The question has no predicate, and is not about a past in
   * which the block has nothing.
   *
   * @returns how many of them had to be looked up.
   */
  write(reply: ReplyText, block: LatestBlock, question: LatestQuestion): number {
    const lookedUp = block.staleCount;
    if (lookedUp > 0 && block.bytes.length === 0 && !this.#texts.hasRoom)
      return block.writeEach(reply, question);
    const before = reply.end;
    if (lookedUp > 0) {
      block.render(reply);
      this.#blocks.bytes += block.keep(reply.bytes, before, reply.end);
      this.#count();
    } else reply.copy(block.bytes, 0, block.length);
    if (block.isWithin(question)) return lookedUp;
    reply.end = before;
    return lookedUp + block.writeSome(reply, question);
  }

  /** Gives up all that is kept. */
  forget(): void {
    this.#blocks.clear();
    this.#version = -1;
    this.#count();
  }

  #count(): void {
    const more = this.#blocks.bytes - this.bytes;
    this.bytes += more;
    this.#texts.count(this, more);
  }
}
