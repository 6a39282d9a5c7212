/**
 * A document's history as text, as far as it is read in one turn of the event loop.
 */
import type { Timestamp } from "../protocol/timestamp.ts";
import type { Chunk } from "./chunk.ts";
import { firstChunkReaching, lastChunkStarting } from "./chunk_search.ts";
import type { ChunkStore } from "./chunk_store.ts";
import { type HistoryRange, restBehind, restFrom } from "./history_range.ts";
import type { LongWork } from "./long_work.ts";
import { neverInline } from "./never_inline.ts";
import type { Page } from "./page.ts";
import { copyMarked, copyMarkedReversed, copyReversed, copyRun } from "./page_copy.ts";
import type { ReplyText } from "./reply_text.ts";
import type { Selection } from "./selection.ts";

export type HistoryTools = { readonly selection: Selection | undefined; readonly longWork: LongWork };

/** What reading a chunk costs, in LongWork's units. */
const CHUNK_UNITS = 16;
/** What looking at some records with a pattern costs: enough to look at the clock. */
const LOOKED_AT_UNITS = 64;
/** No reply has so many. */
const RECORDS_MAX = 2 ** 31 - 1;

// Each way to write a chunk is compiled when it is first met, and what chooses between them is not compiled anew for it.
neverInline(writeHistory, writeAll, writeSelected, copyReversed, copyMarked, copyMarkedReversed);

/**
 * Appends the records of a range to a reply, each with a comma before it, for as long as the turn lasts, and as far as
 * the selection has not to be waited for.
 *
 * @returns what is left of the range: it begins where reading has stopped, wherever chunks are by then.
 */
export function writeHistory(
  reply: ReplyText,
  { chunks, store }: { readonly chunks: readonly Chunk[]; readonly store: ChunkStore },
  range: HistoryRange,
  { selection, longWork }: HistoryTools,
): HistoryRange | undefined {
  let left = Math.min(range.limit > 0 ? range.limit : RECORDS_MAX, RECORDS_MAX);
  const first = firstChunkReaching(chunks, range.from);
  const last = lastChunkStarting(chunks, range.to);
  const step = range.reverse ? -1 : 1;
  for (let at = range.reverse ? last : first; at >= first && at <= last && left > 0; at += step) {
    const chunk = chunks[at] as Chunk;
    const page = store.read(chunk);
    const from = chunk.firstAtOrAfter(page, range.from);
    const to = chunk.firstAfter(page, range.to);
    const part = { from, to, left, range };
    if (selection === undefined) left = writeAll(reply, page, part);
    else {
      const rest = writeSelected(reply, page, part, selection, longWork);
      if (typeof rest !== "number") return rest;
      left = rest;
    }
    const isLast = at === (range.reverse ? first : last) || left === 0;
    if (!isLast && longWork.isTurnOver(CHUNK_UNITS)) return restBehind(range, chunk, left);
  }
  return undefined;
}

/** The records `[from, to)` of a page, of which no more than `left` are to be written. */
type Part = {
  readonly from: number;
  readonly to: number;
  readonly left: number;
  readonly range: HistoryRange;
};

/** Returns how many more may be written. */
function writeAll(reply: ReplyText, page: Page, { from, to, left, range }: Part): number {
  const count = Math.min(to - from, left);
  if (count <= 0) return left;
  if (range.reverse) copyReversed(reply, page, to - count, to);
  else copyRun(reply, page, from, from + count);
  return left - count;
}

/** The same; or what is left of the range, where the turn is over or the selection is to be waited for. */
function writeSelected(
  reply: ReplyText,
  page: Page,
  part: Part,
  selection: Selection,
  longWork: LongWork,
): number | HistoryRange {
  const { range } = part;
  const { reverse } = range;
  let { from, to, left } = part;
  while (from < to && left > 0) {
    const count = selection.countAtOnce(page, { from, to, reverse });
    const start = reverse ? to - count : from;
    const end = reverse ? to : from + count;
    const marks = selection.select(page, start, end);
    if (marks === undefined) return restFrom(range, timeOf(page, reverse ? to - 1 : from), left);
    const marked = { from: start, to: end, marks, most: left };
    left -= reverse ? copyMarkedReversed(reply, page, marked) : copyMarked(reply, page, marked);
    if (reverse) to = start;
    else from = end;
    if (from === to || left === 0 || !longWork.isTurnOver(LOOKED_AT_UNITS)) continue;
    return restFrom(range, timeOf(page, reverse ? to - 1 : from), left);
  }
  return left;
}

const timeOf = (page: Page, record: number): Timestamp => ({
  high: page.tsHigh(record),
  low: page.tsLow(record),
});
