/**
 * What a history asks for, and what is left of it when a turn is over.
 */
import type { Timestamp } from "../protocol/timestamp.ts";
import type { Chunk } from "./chunk.ts";

export type HistoryRange = {
  readonly from: Timestamp;
  readonly to: Timestamp;
  /** At most so many records; 0 or less means all. */
  readonly limit: number;
  /** Newest first; a limit then keeps the newest. */
  readonly reverse: boolean;
};

/** What is left of a range when a chunk has been read; there is another one behind it, so its bounds have neighbours. */
export function restBehind(range: HistoryRange, chunk: Chunk, left: number): HistoryRange {
  const limit = range.limit > 0 ? left : range.limit;
  if (range.reverse) {
    const { firstHigh, firstLow } = chunk;
    return {
      ...range,
      limit,
      to: { high: firstLow === 0 ? firstHigh - 1 : firstHigh, low: (firstLow - 1) | 0 },
    };
  }
  const { lastHigh, lastLow } = chunk;
  return {
    ...range,
    limit,
    from: { high: lastLow === -1 ? lastHigh + 1 : lastHigh, low: (lastLow + 1) | 0 },
  };
}

/** What is left of a range when reading has come to a record, which is not read yet. */
export function restFrom(range: HistoryRange, next: Timestamp, left: number): HistoryRange {
  const limit = range.limit > 0 ? left : range.limit;
  return range.reverse ? { ...range, limit, to: next } : { ...range, limit, from: next };
}
