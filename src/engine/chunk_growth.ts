/**
 * What chunks may grow by: whether anything is added to one any more, and what a write takes in memory at most.
 */
import type { Timestamp } from "../protocol/timestamp.ts";
import type { Chunk } from "./chunk.ts";
import { unpackedBytesMax } from "./chunk_codec.ts";
import { lastChunkStarting, newestChunk } from "./chunk_search.ts";
import type { ChunkStore } from "./chunk_store.ts";
import { ENTRY_BYTES } from "./page_index.ts";
import { NEW_PAGE_FACTOR, PAGE_BYTES_AT_FIRST } from "./page_size.ts";
import type { Rendered } from "./rendered.ts";

/** What of a batch comes to one document, and the time of the first of it. */
export type Share = { bytes: number; count: number; earliest: Timestamp };

type Sizes = Pick<ChunkStore, "chunkRecordsMax" | "chunkTextBytesMax" | "slabs">;

/**
 * Whether nothing is added to a chunk any more. A cold one is not read back from disk for that when it is half full:
 * that takes a hundred times as long as an insert, and after a start it would come upon all documents at once.
 */
export function isClosed(chunk: Chunk, { chunkRecordsMax }: Sizes): boolean {
  return chunk.count >= (chunk.isCold ? chunkRecordsMax >> 1 : chunkRecordsMax);
}

/** Whether a chunk has no room for a record; where it is packed, its text is taken to have. */
export function isFull(chunk: Chunk, sizes: Sizes, record: Rendered): boolean {
  if (isClosed(chunk, sizes)) return true;
  const { page } = chunk;
  const textBytesMax = sizes.chunkTextBytesMax - (record.to - record.from);
  // Where a text ends is no less than its length, and mostly as much.
  return page !== undefined && page.textEnd > textBytesMax && page.textLength > textBytesMax;
}

/**
 * What the pages of a document's chunks take more at most when a share comes. Of what is on disk only it is a guess:
 * that its records are of the same size.
 */
export function growthAtMost(chunks: readonly Chunk[], sizes: Sizes, share: Share): number {
  const { bytes, count, earliest } = share;
  const fresh = NEW_PAGE_FACTOR * bytes + PAGE_BYTES_AT_FIRST;
  const last = newestChunk(chunks);
  if (last === undefined) return fresh;
  const isAppended = last.endsBefore(earliest.high, earliest.low);
  if (isAppended && isDone(last, sizes)) return fresh + ((last.page?.blockBytes ?? 0) >> 2);
  const first = isAppended ? chunks.length - 1 : Math.max(0, lastChunkStarting(chunks, earliest));
  const touched = Math.min(count, chunks.length - first);
  // Which of them is told where it can only be one.
  if (touched > 1) return fresh + NEW_PAGE_FACTOR * sizes.chunkTextBytesMax * touched;
  const chunk = chunks[first] as Chunk;
  return pageGrowth(chunk, sizes, share) ?? fresh + changedBytes(chunk, sizes, bytes / count);
}

/** By how much the page of a chunk grows that takes all records of a share as it is; undefined for any other. */
function pageGrowth(
  chunk: Chunk,
  { chunkRecordsMax, chunkTextBytesMax }: Sizes,
  share: Share,
): number | undefined {
  const page = chunk.isCopy ? undefined : chunk.page;
  const isTaken =
    page !== undefined &&
    page.count + share.count <= chunkRecordsMax &&
    page.textLength + share.bytes <= chunkTextBytesMax;
  return isTaken ? page.growthAtMost(share.bytes) : undefined;
}

/** Whether nothing is added to a chunk any more, whatever its size. */
function isDone(chunk: Chunk, sizes: Sizes): boolean {
  return isClosed(chunk, sizes) || (chunk.page?.textLength ?? 0) >= sizes.chunkTextBytesMax;
}

/** What it takes at most to change a chunk: its page grows or is split, or it gets one. */
function changedBytes(chunk: Chunk, { chunkTextBytesMax, slabs }: Sizes, recordBytes: number): number {
  const { page, count } = chunk;
  if (page !== undefined && !chunk.isCopy) return NEW_PAGE_FACTOR * page.blockBytes;
  const text = chunk.isPacked
    ? unpackedBytesMax(chunk.packed(slabs), count)
    : Math.min(chunkTextBytesMax, count * recordBytes);
  return NEW_PAGE_FACTOR * (text + count * ENTRY_BYTES);
}
