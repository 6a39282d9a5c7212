/**
 * Finds chunks by time, among those of a document, which are in the order of time.
 */
import type { Chunk } from "./chunk.ts";

type Time = { readonly high: number; readonly low: number };

/** Without a look at place -1 where there is none: for that, compiled code is thrown away. */
export function newestChunk(chunks: readonly Chunk[]): Chunk | undefined {
  return chunks.length === 0 ? undefined : chunks[chunks.length - 1];
}

/** The last chunk whose first record is at or before a time; -1 when there is none. */
export function lastChunkStarting(chunks: readonly Chunk[], at: Time): number {
  let from = 0;
  let to = chunks.length;
  // Most questions are about the newest chunk.
  if (to > 0 && !(chunks[to - 1] as Chunk).startsAfter(at.high, at.low)) return to - 1;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((chunks[middle] as Chunk).startsAfter(at.high, at.low)) to = middle;
    else from = middle + 1;
  }
  return from - 1;
}

/** The first chunk whose last record is at or after a time. */
export function firstChunkReaching(chunks: readonly Chunk[], at: Time): number {
  let from = 0;
  let to = chunks.length;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((chunks[middle] as Chunk).endsBefore(at.high, at.low)) from = middle + 1;
    else to = middle;
  }
  return from;
}
