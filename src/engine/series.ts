/**
 * One document's records: chunks in the order of time, the newest one open.
 *
 * Appending costs the same whatever the length. A record out of order opens the chunk it belongs to, and a full chunk
 * is split; at either end of a run of full chunks a new one is begun instead, so that filling in from newest to
 * oldest leaves full chunks too.
 */
import { isBefore, type Timestamp } from "../protocol/timestamp.ts";
import type { Chunk, ChunkOwner } from "./chunk.ts";
import { isClosed, isFull } from "./chunk_growth.ts";
import { ChunkList } from "./chunk_list.ts";
import { firstChunkReaching, lastChunkStarting } from "./chunk_search.ts";
import type { HistoryRange } from "./history_range.ts";
import { type HistoryTools, writeHistory } from "./history_text.ts";
import type { InsertBatch } from "./insert_batch.ts";
import type { Name } from "./name.ts";
import { neverInline } from "./never_inline.ts";
import { Page } from "./page.ts";
import { PAGE_BYTES_AT_FIRST } from "./page_size.ts";
import type { Rendered } from "./rendered.ts";
import type { ReplyText } from "./reply_text.ts";
import type { Selection } from "./selection.ts";
import type { SeriesHost } from "./series_host.ts";

export type LatestQuestion = {
  readonly at: Timestamp;
  readonly from: Timestamp;
  readonly selection: Selection | undefined;
};

/** Which record of a chunk it is, where that is still to be found. */
export const UNKNOWN_RECORD = -1;
const NO_PLACE = -1;

/** Its own name and list, since another object is 48 bytes a document; there are eight properties at most, as name.ts says. */
export class Series extends ChunkList implements ChunkOwner {
  /** Its number on disk, unique in the collection. */
  readonly id: number;
  /** The number that the journal last gave it; -1 before it was there. */
  journalNumber = -1;
  /** Where latest_text.ts has its latest record as it is; -1 where it has not. */
  latestPlace = NO_PLACE;

  /** Its collection. */
  readonly host: SeriesHost;

  constructor(host: SeriesHost, { name, id }: { name: string; id: number }) {
    super(name, host.chunks.slabs);
    this.host = host;
    this.id = id;
    // What is seldom done is not to be compiled into what is done for each record.
    neverInline(this.#insertElsewhere, this.#touchOldest);
  }

  get name(): Name {
    return this;
  }

  /** No longer in its collection. */
  get isGone(): boolean {
    return this.isFree;
  }

  /**
   * Stores a record; one at the same time is replaced.
   *
   * @returns how many records there are more: 1, or 0.
   */
  insert(record: Rendered): number {
    if (this.latestPlace !== NO_PLACE) this.#leaveLatestPlace();
    const store = this.host.chunks;
    const last = this.newest;
    const isAppended = last?.endsBefore(record.high, record.low) === true && !isFull(last, store, record);
    if (!isAppended) return this.#insertElsewhere(last, record);
    // The hot path: nothing is measured again but the end.
    store.openNewest(last).append(store.slabs, record);
    last.appended(record);
    this.host.chunkChanged(last);
    return 1;
  }

  /** Touches the memory that a record of so many bytes is going to, if it is the latest or the oldest. */
  touch(size: number, high: number, low: number): void {
    const last = this.newest;
    if (last?.endsBefore(high, low) === true) last.page?.touchEnd(size);
    else this.#touchOldest(size, high, low);
  }

  /**
   * Stores the records `[from, to)` of a batch, each later than the one before.
   *
   * @param record where single ones are pointed out: its source is the batch's text.
   * @returns how many records there are more.
   */
  insertRun(batch: InsertBatch, from: number, to: number, record: Rendered): number {
    let more = 0;
    for (let at = from; at < to; ) {
      batch.point(record, at);
      const end = this.#appendRun(batch, at, to, record);
      if (end > at) {
        more += end - at;
        at = end;
      } else {
        more += this.insert(record);
        at++;
      }
    }
    return more;
  }

  /** Adds as many of them to a chunk's end as go there; returns where the others begin. */
  #appendRun(batch: InsertBatch, from: number, to: number, first: Rendered): number {
    const store = this.host.chunks;
    const at = this.lastStarting(first);
    const chunk = this.chunkAt(Math.max(0, at));
    if (chunk === undefined || !chunk.endsBefore(first.high, first.low) || isClosed(chunk, store))
      return from;
    if (this.latestPlace !== NO_PLACE) this.#leaveLatestPlace();
    const next = this.chunkAt(at + 1);
    const page = next === undefined ? store.openNewest(chunk) : store.open(chunk);
    const end = batch.endWithin(from, {
      end: Math.min(to, from + store.chunkRecordsMax - chunk.count),
      textBytes: store.chunkTextBytesMax - page.textLength,
      before: next,
    });
    if (end > from) page.appendRun(store.slabs, batch, from, end);
    this.#changed(chunk);
    return end;
  }

  /**
   * Adds to a set what `insert` of a record at that time has to open.
   *
   * @returns whether the record is later than all there are.
   */
  addToOpen(at: Timestamp, toOpen: Set<Chunk>): boolean {
    const last = this.newest;
    if (last === undefined) return true;
    const isAppended = last.endsBefore(at.high, at.low);
    if (isAppended && isClosed(last, this.host.chunks)) return true;
    const first = Math.max(0, this.lastStarting(at));
    const chunk = this.chunkAt(first) as Chunk;
    if (!chunk.isOpen) toOpen.add(chunk);
    // One between two chunks may go to either.
    const next = this.chunkAt(first + 1);
    if (next?.isOpen === false && chunk.endsBefore(at.high, at.low)) toOpen.add(next);
    return isAppended;
  }

  /** The same for `remove`: chunks that are covered whole go unread. */
  prepareRemoval(from: Timestamp, to: Timestamp): void {
    const { chunks } = this;
    for (const index of [firstChunkReaching(chunks, from), lastChunkStarting(chunks, to)]) {
      const chunk = chunks[index];
      if (chunk !== undefined && !chunk.isCovered(from, to)) this.host.chunks.fetch(chunk);
    }
  }

  readChunk(id: number): Uint8Array {
    return this.host.readChunk(id);
  }

  /** Adds a chunk that a start has found on disk. */
  load(chunk: Chunk): void {
    this.addAt(this.chunkCount, chunk);
    this.host.chunkAdded();
  }

  /** The loaded chunks are complete and in order of time; otherwise the text of what is wrong. */
  problemAfterLoad(): string | undefined {
    const chunks = this.list();
    chunks.sort((a, b) => a.firstHigh - b.firstHigh || (a.firstLow >>> 0) - (b.firstLow >>> 0));
    this.take(chunks);
    for (let at = 1; at < chunks.length; at++) {
      const previous = chunks[at - 1] as Chunk;
      const chunk = chunks[at] as Chunk;
      if (!previous.endsBefore(chunk.firstHigh, chunk.firstLow)) {
        return `chunks ${previous.id} and ${chunk.id} of document ${this.id} overlap`;
      }
    }
    return undefined;
  }

  /** Removes the records with `from <= ts <= to` and returns how many there were. */
  remove(from: Timestamp, to: Timestamp): number {
    if (this.latestPlace !== NO_PLACE) this.#leaveLatestPlace();
    const chunks = this.list();
    let removed = 0;
    let firstGone = -1;
    let goneCount = 0;
    for (let next = firstChunkReaching(chunks, from); next < chunks.length; next++) {
      const chunk = chunks[next] as Chunk;
      if (chunk.startsAfter(to.high, to.low)) break;
      const before = chunk.count;
      const left = this.#removeFrom(chunk, from, to);
      removed += before - left;
      if (left > 0) continue;
      // Chunks in between are covered whole, so those that go are neighbours.
      if (firstGone < 0) firstGone = next;
      goneCount++;
    }
    if (goneCount > 0) {
      const gone = chunks.splice(firstGone, goneCount);
      this.take(chunks);
      this.host.free(gone);
    }
    return removed;
  }

  /** Ends the document's life; whoever does that frees its chunks, and knows what that means on disk. */
  dismiss(): readonly Chunk[] {
    this.free(this.host.chunks.slabs);
    return this.chunks;
  }

  /**
   * Appends `,NAME:RECORD`, the latest record at or before `at`, to a reply: if there is one, it is not older than
   * `from`, and as the selection wants it.
   */
  writeLatest(reply: ReplyText, question: LatestQuestion): void {
    const { at, from, selection } = question;
    const { newest } = this;
    // Most questions are about now: nothing has to be looked for.
    if (newest?.endsAfter(at.high, at.low) === false && selection === undefined) {
      if (!newest.endsBefore(from.high, from.low)) this.writeNewest(reply);
      return;
    }
    const chunk = this.latestChunk(at);
    if (chunk !== undefined) this.writeLatestOf(reply, question, chunk, UNKNOWN_RECORD);
  }

  /**
   * The same as `writeLatest` where the chunk is known, and maybe which of its records it is.
   *
   * @returns false when the selection is to be waited for.
   */
  writeLatestOf(
    reply: ReplyText,
    { at, from, selection }: LatestQuestion,
    chunk: Chunk,
    known: number,
  ): boolean {
    const store = this.host.chunks;
    const page = this.isNewest(chunk) ? store.readNewest(chunk) : store.read(chunk);
    const record =
      known === UNKNOWN_RECORD ? chunk.latestIn(page, chunk.latestNear(at.high, at.low), at) : known;
    if (isBefore(page.tsHigh(record), page.tsLow(record), from.high, from.low)) return true;
    if (selection !== undefined) {
      const marks = selection.select(page, record, record + 1);
      if (marks === undefined) return false;
      if (marks[record] === 0) return true;
    }
    reply.document(this.name, page.slab, page.recordStart(record), page.recordEnd(record));
    return true;
  }

  /** Appends `,NAME:RECORD` of the latest record, whenever that is; returns the chunk that ends with it. */
  writeNewest(reply: ReplyText): Chunk {
    // A document in its collection has records.
    const chunk = this.newest as Chunk;
    const page = this.host.chunks.readNewest(chunk);
    reply.document(this.name, page.slab, page.recordStart(page.count - 1), page.start + page.textEnd);
    return chunk;
  }

  /** See history_text.ts. */
  writeHistory(reply: ReplyText, range: HistoryRange, tools: HistoryTools): HistoryRange | undefined {
    return writeHistory(reply, { chunks: this.chunks, store: this.host.chunks }, range, tools);
  }

  /** Which chunk is the oldest is told in another way once there is a second one: what holds a copy of this is compiled anew. */
  #touchOldest(size: number, high: number, low: number): void {
    const { oldest } = this;
    if (oldest?.startsAfter(high, low) === true) oldest.page?.touchFront(size);
  }

  #leaveLatestPlace(): void {
    this.host.latestChanged(this.latestPlace);
    this.latestPlace = NO_PLACE;
  }

  /** Begins a chunk, or changes one. */
  #insertElsewhere(last: Chunk | undefined, record: Rendered): number {
    if (last !== undefined) {
      if (!last.endsBefore(record.high, record.low)) return this.#insertInside(record);
      this.host.chunks.seal(last);
    }
    return this.#begin(this.chunkCount, record);
  }

  #insertInside(record: Rendered): number {
    const store = this.host.chunks;
    let at = Math.max(0, this.lastStarting(record));
    let chunk = this.chunkAt(at) as Chunk;
    // A packed one is not opened for that.
    if (isFull(chunk, store, record) && chunk.endsBefore(record.high, record.low)) {
      return this.#insertBehindFull(at, record);
    }
    const page = store.open(chunk);
    let index = chunk.firstAtOrAfter(page, record);
    if (chunk.isAt(page, index, record)) {
      page.replace(store.slabs, index, record);
      if (page.textLength > 2 * store.chunkTextBytesMax && page.count > 1) this.#split(at, page.count >> 1);
      this.#changed(chunk);
      return 0;
    }
    if (isFull(chunk, store, record)) {
      if (index === 0) return this.#begin(at, record);
      if (index === page.count) return this.#insertBehindFull(at, record);
      this.#split(at, page.count >> 1);
      if (index > page.count) {
        index -= page.count;
        chunk = this.chunkAt(++at) as Chunk;
      }
    }
    return this.#insertAt(chunk, index, record);
  }

  /** Stores a record that is later than all of a full chunk: in the next one, or in one between the two. */
  #insertBehindFull(at: number, record: Rendered): number {
    const next = this.chunkAt(at + 1);
    if (next === undefined || isFull(next, this.host.chunks, record)) return this.#begin(at + 1, record);
    return this.#insertAt(next, 0, record);
  }

  #insertAt(chunk: Chunk, index: number, record: Rendered): number {
    const store = this.host.chunks;
    store.open(chunk).insert(store.slabs, index, record);
    chunk.inserted(index, record);
    this.#noteChange(chunk);
    return 1;
  }

  /** Begins a chunk at a place among the others. */
  #begin(at: number, record: Rendered): number {
    const store = this.host.chunks;
    const previous = at === 0 ? undefined : this.chunkAt(at - 1);
    const chunk = store.create(this, previous);
    // A document that has filled a chunk will fill another: its page begins large, and moves less often.
    const expected = (previous?.page?.blockBytes ?? 0) >> 2;
    const page = new Page(store.slabs, Math.max(PAGE_BYTES_AT_FIRST, record.to - record.from, expected));
    page.append(store.slabs, record);
    this.#place(at, chunk, page);
    return 1;
  }

  #split(at: number, index: number): void {
    const store = this.host.chunks;
    const chunk = this.chunkAt(at) as Chunk;
    const page = store.open(chunk);
    const tail = store.create(this, chunk);
    this.#place(at + 1, tail, page.splitOff(store.slabs, index));
    this.#changed(chunk);
  }

  /** Puts a new chunk among the others. */
  #place(at: number, chunk: Chunk, page: Page): void {
    chunk.page = page;
    this.host.chunkAdded();
    const isNewest = at === this.chunkCount;
    this.addAt(at, chunk);
    if (isNewest) this.host.chunks.watch(chunk);
    this.#changed(chunk);
  }

  #changed(chunk: Chunk): void {
    chunk.measure(chunk.page as Page);
    this.#noteChange(chunk);
  }

  #noteChange(chunk: Chunk): void {
    this.host.chunkChanged(chunk);
    if (!this.isNewest(chunk)) this.host.chunks.release(chunk);
  }

  /** Returns how many records the chunk has left. */
  #removeFrom(chunk: Chunk, from: Timestamp, to: Timestamp): number {
    const store = this.host.chunks;
    if (chunk.isCovered(from, to)) {
      this.host.chunkRemoved(chunk);
      chunk.isGone = true;
      return 0;
    }
    const page = store.read(chunk);
    const first = chunk.firstAtOrAfter(page, from);
    const end = chunk.firstAfter(page, to);
    if (first >= end) return chunk.count;
    const opened = store.open(chunk);
    opened.remove(first, end);
    opened.fit(store.slabs);
    this.#changed(chunk);
    return chunk.count;
  }
}
