/**
 * How large the blocks of pages are: at first, and when they have to grow.
 */
import { CHUNK_RECORDS_MAX, CHUNK_TEXT_BYTES_MAX } from "../protocol/limits.ts";
import { ENTRY_BYTES } from "./page_index.ts";
import { blockSize } from "./slab.ts";

/** A document's first one, where its record needs no more. */
export const PAGE_BYTES_AT_FIRST = 128;
/** A page that grows has up to so many times the room that it needs. */
export const NEW_PAGE_FACTOR = 2;
/** A smaller page grows by half: there are many of those where most documents are short. A larger one doubles. */
const SMALL_PAGE_BYTES = 4096;
/** What a full chunk needs. */
const FULL_PAGE_BYTES = blockSize(CHUNK_TEXT_BYTES_MAX + CHUNK_RECORDS_MAX * ENTRY_BYTES);

/** How large a page's block of so many bytes is to be when it has to grow. */
export function nextPageBytes(blockBytes: number): number {
  if (blockBytes < SMALL_PAGE_BYTES) return Math.min(SMALL_PAGE_BYTES, blockBytes + (blockBytes >> 1));
  return blockBytes < FULL_PAGE_BYTES ? Math.min(FULL_PAGE_BYTES, 2 * blockBytes) : 2 * blockBytes;
}

/** By how many bytes a block grows at most for a page that comes to need so many, in as many steps as may be. */
export function pageGrowthAtMost(blockBytes: number, neededBytes: number): number {
  return neededBytes <= blockBytes ? 0 : blockSize(nextPageBytes(neededBytes)) - blockBytes;
}
