/**
 * A document's chunks, in the order of time.
 *
 * The newest one is what nearly all writes and most questions are about, so it stands by itself: in a list it is two
 * places in memory further away, and with a thousand documents none of these is in a near cache. Most documents of many have
 * no other, and need no list.
 */
import type { Timestamp } from "../protocol/timestamp.ts";
import type { Chunk } from "./chunk.ts";
import { lastChunkStarting } from "./chunk_search.ts";
import { Name } from "./name.ts";

/**
 * Of a document that has no more than one chunk.
 *
 * To compiled code, an array that is frozen, or that never held anything, is of another kind than a list of chunks: with
 * the first document's second chunk it would be compiled anew. So this one has held something.
 */
const NO_LIST: Chunk[] = [undefined as unknown as Chunk];
NO_LIST.pop();

/** Part of a Series, and with it of a Name: each object of its own would take 48 bytes a document. */
export class ChunkList extends Name {
  protected newest: Chunk | undefined = undefined;
  /** All chunks, where there are two or more. */
  #several = NO_LIST;

  /** All chunks; not to be kept, since a change may be made to it or to another list. */
  get chunks(): readonly Chunk[] {
    return this.list();
  }

  get chunkCount(): number {
    if (this.#several.length > 0) return this.#several.length;
    return this.newest === undefined ? 0 : 1;
  }

  /** Counted anew each time: it is seldom asked for. */
  get recordCount(): number {
    let count = 0;
    for (const chunk of this.list()) count += chunk.count;
    return count;
  }

  isNewest(chunk: Chunk): boolean {
    return this.newest === chunk;
  }

  /** The chunk that has the latest record at or before a time. */
  latestChunk(at: Timestamp): Chunk | undefined {
    const { newest } = this;
    if (newest?.startsAfter(at.high, at.low) !== true) return newest;
    return this.#several[lastChunkStarting(this.#several, at)];
  }

  protected get oldest(): Chunk | undefined {
    return this.#several.length > 0 ? this.#several[0] : this.newest;
  }

  protected chunkAt(index: number): Chunk | undefined {
    return index === this.chunkCount - 1 ? this.newest : this.#several[index];
  }

  /** The last chunk whose first record is at or before a time; -1 when there is none. */
  protected lastStarting(at: Timestamp): number {
    const { newest } = this;
    if (newest === undefined) return -1;
    return newest.startsAfter(at.high, at.low) ? lastChunkStarting(this.#several, at) : this.chunkCount - 1;
  }

  /** Adds a chunk at a place among the others, or behind them. */
  protected addAt(at: number, chunk: Chunk): void {
    if (this.newest === undefined) this.newest = chunk;
    else {
      const chunks = this.list();
      if (at === chunks.length) chunks.push(chunk);
      else chunks.splice(at, 0, chunk);
      this.take(chunks);
    }
  }

  /** All chunks, to be changed and then taken. */
  protected list(): Chunk[] {
    if (this.#several.length > 0) return this.#several;
    return this.newest === undefined ? [] : [this.newest];
  }

  protected take(chunks: Chunk[]): void {
    this.newest = chunks[chunks.length - 1];
    this.#several = chunks.length > 1 ? chunks : NO_LIST;
  }
}
