/**
 * What chunks may grow by: whether anything is added to one any more, and what a write takes in memory at most.
 */
import type { Timestamp } from "../protocol/timestamp.ts";
import type { Chunk } from "./chunk.ts";
import { unpackedBytesMax } from "./chunk_codec.ts";
import { lastChunkStarting } from "./chunk_search.ts";
import type { ChunkStore } from "./chunk_store.ts";
import type { Page } from "./page.ts";
import { ENTRY_BYTES } from "./page_index.ts";
import { NEW_PAGE_FACTOR, PAGE_BYTES_AT_FIRST, pageGrowthAtMost } from "./page_size.ts";
import type { Rendered } from "./rendered.ts";

/** What of a batch comes to one chunk, how many of it are later than all that it has, and the chunk behind it. */
export type Share = {
  readonly next: Chunk | undefined;
  bytes: number;
  count: number;
  countBehind: number;
};

type Sizes = Pick<ChunkStore, "chunkRecordsMax" | "chunkTextBytesMax" | "isShort" | "slabs">;

/**
 * Whether nothing is added to a chunk any more. A cold one is not read back from disk for that when it is half full:
 * that takes a hundred times as long as an insert, and after a start it would come upon all documents at once. Nor is
 * a packed one opened where memory is short: that would take all the room that packing it has made.
 */
export function isClosed(chunk: Chunk, sizes: Sizes): boolean {
  const { count } = chunk;
  const { chunkRecordsMax, chunkTextBytesMax, isShort, slabs } = sizes;
  if (count >= chunkRecordsMax) return true;
  if (chunk.isOpen) return false;
  const isHalfFull = count >= chunkRecordsMax >> 1;
  if (chunk.isCold || isHalfFull) return isHalfFull && (chunk.isCold || isShort);
  return isShort && unpackedBytesMax(chunk.packed(slabs), chunk) >= chunkTextBytesMax >> 1;
}

/** Whether a chunk has no room for a record; where it is packed, its text is taken to have. */
export function isFull(chunk: Chunk, sizes: Sizes, record: Rendered): boolean {
  if (isClosed(chunk, sizes)) return true;
  const { page } = chunk;
  return page !== undefined && page.textLength > sizes.chunkTextBytesMax - (record.to - record.from);
}

/** Adds to the shares a record of a document that has chunks, which takes so many bytes with its entry. */
export function addToShares(
  shares: Map<Chunk, Share>,
  chunks: readonly Chunk[],
  at: Timestamp,
  bytes: number,
): void {
  const index = Math.max(0, lastChunkStarting(chunks, at));
  const chunk = chunks[index] as Chunk;
  const share = shares.get(chunk) ?? { next: chunks[index + 1], bytes: 0, count: 0, countBehind: 0 };
  shares.set(chunk, share);
  share.bytes += bytes;
  share.count++;
  if (chunk.endsBefore(at.high, at.low)) share.countBehind++;
}

/**
 * What pages take more at most when a chunk's share comes. Of what is on disk only it is a guess: that its records are
 * of the same size.
 */
export function growthAtMost(chunk: Chunk, sizes: Sizes, share: Share): number {
  const { next, bytes, count, countBehind } = share;
  const { chunkRecordsMax, chunkTextBytesMax } = sizes;
  const recordBytes = bytes / count;
  const textBytes = textBytesOf(chunk, sizes, recordBytes);
  const isTaken = chunk.count + count <= chunkRecordsMax && textBytes + bytes <= chunkTextBytesMax;
  const growth = changedGrowth(chunk, sizes, { bytes, recordBytes });
  if (isTaken && !isClosed(chunk, sizes)) return growth;
  // More chunks begin, with a page that is a quarter as large as the one before.
  const fresh = PAGE_BYTES_AT_FIRST + NEW_PAGE_FACTOR * bytes + bytes;
  const ownBytes = chunk.page?.blockBytes ?? 0;
  if (next === undefined && countBehind === count) {
    const isDone = isClosed(chunk, sizes) || (chunk.page !== undefined && textBytes >= chunkTextBytesMax);
    if (isDone) return fresh + (ownBytes >> 2);
    // Of several records a later one may still go to it, after its page was made to fit.
    const usedBytes = textBytes + chunk.count * ENTRY_BYTES;
    const filled = count === 1 ? growth : Math.max(growth, pageGrowthAtMost(0, usedBytes + bytes) - ownBytes);
    return fresh + filled + ((ownBytes + filled) >> 2);
  }
  // It is split, and what comes between two chunks may go to the later one.
  const splitBytes = Math.max(ownBytes, textBytes + chunk.count * ENTRY_BYTES);
  const nextGrowth =
    countBehind > 0 && next !== undefined ? changedGrowth(next, sizes, { bytes, recordBytes }) : 0;
  return fresh + growth + splitBytes + ((ownBytes + growth) >> 2) + nextGrowth;
}

/** What it takes at most to add so many bytes to a chunk's page, which is made where there is none. */
function changedGrowth(
  chunk: Chunk,
  sizes: Sizes,
  { bytes, recordBytes }: { bytes: number; recordBytes: number },
): number {
  const blockBytes = chunk.isOpen ? (chunk.page as Page).blockBytes : 0;
  const usedBytes = textBytesOf(chunk, sizes, recordBytes) + chunk.count * ENTRY_BYTES;
  return pageGrowthAtMost(blockBytes, usedBytes + bytes);
}

/** How much text a chunk has, or has at most; where it is on disk only, records are taken to be of such a size. */
function textBytesOf(chunk: Chunk, { chunkTextBytesMax, slabs }: Sizes, recordBytes: number): number {
  const { page, count } = chunk;
  if (page !== undefined) return page.textLength;
  if (chunk.isPacked) return unpackedBytesMax(chunk.packed(slabs), chunk);
  return Math.min(chunkTextBytesMax, count * recordBytes);
}
