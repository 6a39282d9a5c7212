/**
 * A block of latest_text.ts: the latest records of up to 64 documents that are neighbours by name.
 *
 * What is stale is rendered into a reply, with the rest around it, and kept from there: so what goes wrong meanwhile, as
 * a chunk that cannot be read back from disk, leaves the block as it was.
 */
import { isBefore, type Timestamp } from "../protocol/timestamp.ts";
import type { ReplyText } from "./reply_text.ts";
import type { LatestQuestion, Series } from "./series.ts";

/**
 * The most documents of a block: about 8 KB of text. All of it is rendered in one turn, also where each document is
 * packed: 3 ms then.
 */
export const BLOCK_DOCUMENTS = 64;
/** What a block takes before it has text, and beside it. */
const OBJECT_BYTES = 200;
const ARRAYS_BYTES = 400;
const DOCUMENT_BYTES = 17;
/** Text that grows by a few digits does not need another buffer for that. */
const SPARE_SHARE = 1 / 16;

/** Where nothing was rendered yet. */
const NO_BYTES = Buffer.alloc(0);
const NO_FLAGS = new Uint8Array(0);
const NO_INTEGERS = new Int32Array(0);

export type LatestBlockOptions = {
  readonly documents: readonly Series[];
  /** The block's first document in the list, and how many there are. */
  readonly first: number;
  readonly count: number;
  /** Which of its collection's blocks it is. */
  readonly number: number;
};

export class LatestBlock {
  readonly count: number;
  readonly number: number;
  first: number;
  /** What it takes in memory. */
  memoryBytes = OBJECT_BYTES;
  bytes = NO_BYTES;
  /** How much of `bytes` is text. */
  length = 0;
  staleCount: number;

  #documents: readonly Series[];
  /** By document: 1 for one whose text here is not what it should be, where its text ends, and its record's time. */
  #stale = NO_FLAGS;
  #ends = NO_INTEGERS;
  /** The ends of what is being rendered. */
  #newEnds = NO_INTEGERS;
  #highs = NO_INTEGERS;
  #lows = NO_INTEGERS;
  #oldestHigh = 0;
  #oldestLow = 0;
  #newestHigh = 0;
  #newestLow = 0;

  constructor({ documents, first, count, number }: LatestBlockOptions) {
    this.#documents = documents;
    this.first = first;
    this.count = count;
    this.number = number;
    this.staleCount = count;
  }

  /** Its documents stand elsewhere, in another list. */
  move(documents: readonly Series[], first: number): void {
    this.#documents = documents;
    this.first = first;
  }

  changed(index: number): void {
    if (this.#stale[index] !== 0) return;
    this.#stale[index] = 1;
    this.staleCount++;
  }

  /** Appends the text of all documents to a reply. @throws DatabaseError `storage_failed` */
  render(reply: ReplyText): void {
    if (this.#ends.length === 0) this.#allocate();
    const stale = this.#stale;
    const ends = this.#ends;
    const newEnds = this.#newEnds;
    const { count } = this;
    const start = reply.end;
    let copied = 0;
    for (let at = 0; at < count; at++) {
      const first = at;
      while (at < count && stale[at] === 0) at++;
      if (at > first) {
        const moved = reply.end - start - copied;
        for (let index = first; index < at; index++) newEnds[index] = (ends[index] as number) + moved;
        const end = ends[at - 1] as number;
        reply.copy(this.bytes, copied, end);
        copied = end;
      }
      if (at === count) break;
      copied = ends[at] as number;
      this.#renderOne(reply, at);
      newEnds[at] = reply.end - start;
    }
  }

  /** Keeps what was rendered last, `source[start, end)`. Returns how much more memory that takes. */
  keep(source: Buffer, start: number, end: number): number {
    const before = this.memoryBytes;
    const length = end - start;
    if (length > this.bytes.length) {
      this.bytes = Buffer.allocUnsafeSlow(Math.ceil(length * (1 + SPARE_SHARE)));
      this.memoryBytes = OBJECT_BYTES + ARRAYS_BYTES + this.count * DOCUMENT_BYTES + this.bytes.length;
    }
    source.copy(this.bytes, 0, start, end);
    this.length = length;
    [this.#ends, this.#newEnds] = [this.#newEnds, this.#ends];
    this.#stale.fill(0);
    this.staleCount = 0;
    this.#measure();
    return this.memoryBytes - before;
  }

  /** Whether all latest records are what a question asks for. */
  isWithin({ at, from }: LatestQuestion): boolean {
    return (
      !isBefore(at.high, at.low, this.#newestHigh, this.#newestLow) &&
      !isBefore(this.#oldestHigh, this.#oldestLow, from.high, from.low)
    );
  }

  /** Whether all records were later than a time when the block was last rendered. */
  isAfter({ high, low }: Timestamp): boolean {
    return this.length > 0 && isBefore(high, low, this.#oldestHigh, this.#oldestLow);
  }

  /** Appends the answers of those documents that have one, of a block in which nothing is stale. */
  writeSome(reply: ReplyText, question: LatestQuestion): number {
    const { at, from } = question;
    let lookedUp = 0;
    let first = 0;
    for (let index = 0; index < this.count; index++) {
      const high = this.#highs[index] as number;
      const low = this.#lows[index] as number;
      const isLater = isBefore(at.high, at.low, high, low);
      if (!isLater && !isBefore(high, low, from.high, from.low)) continue;
      this.#copy(reply, first, index);
      first = index + 1;
      if (!isLater) continue;
      (this.#documents[this.first + index] as Series).writeLatest(reply, question);
      lookedUp++;
    }
    this.#copy(reply, first, this.count);
    return lookedUp;
  }

  /** The same of any block: each document is looked up. */
  writeEach(reply: ReplyText, question: LatestQuestion): number {
    for (let index = 0; index < this.count; index++) {
      (this.#documents[this.first + index] as Series).writeLatest(reply, question);
    }
    return this.count;
  }

  #allocate(): void {
    const { count } = this;
    this.#stale = new Uint8Array(count).fill(1);
    this.#ends = new Int32Array(count);
    this.#newEnds = new Int32Array(count);
    this.#highs = new Int32Array(count);
    this.#lows = new Int32Array(count);
  }

  #renderOne(reply: ReplyText, index: number): void {
    const series = this.#documents[this.first + index] as Series;
    const { lastHigh, lastLow } = series.writeNewest(reply);
    series.latestPlace = this.number * BLOCK_DOCUMENTS + index;
    this.#highs[index] = lastHigh;
    this.#lows[index] = lastLow;
  }

  #copy(reply: ReplyText, from: number, to: number): void {
    if (from === to) return;
    reply.copy(this.bytes, from === 0 ? 0 : (this.#ends[from - 1] as number), this.#ends[to - 1] as number);
  }

  #measure(): void {
    let newestHigh = this.#highs[0] as number;
    let newestLow = this.#lows[0] as number;
    let oldestHigh = newestHigh;
    let oldestLow = newestLow;
    for (let index = 1; index < this.count; index++) {
      const high = this.#highs[index] as number;
      const low = this.#lows[index] as number;
      if (isBefore(newestHigh, newestLow, high, low)) {
        newestHigh = high;
        newestLow = low;
      } else if (isBefore(high, low, oldestHigh, oldestLow)) {
        oldestHigh = high;
        oldestLow = low;
      }
    }
    this.#newestHigh = newestHigh;
    this.#newestLow = newestLow;
    this.#oldestHigh = oldestHigh;
    this.#oldestLow = oldestLow;
  }
}
