/**
 * Copies records of a page into a reply: a run of them, the same backwards, or those that a predicate keeps.
 *
 * A run that keeps its order is one copy. Where each record needs one, that is nearly all that there is to do: room is
 * made once for all, and each record's end is read once.
 */
import type { Page } from "./page.ts";
import { ENTRY_WORDS } from "./page_index.ts";
import type { ReplyText } from "./reply_text.ts";
import { COPIED_HERE_BYTES_MAX, copyText } from "./text_copy.ts";

const CACHE_LINE_WORDS = 16;

/** What was touched has to be used, or the compiler leaves the loads out. */
const touched = new Int32Array(1);

/**
 * Reads a word of each cache line of a slab's bytes `[start, end)`, so that all of them are on their way at once. Who
 * copies them backwards, a record at a time, waits for one after the other: of a hundred records that no cache has,
 * the answer takes 0.85 of the time so.
 */
function touch(words: Int32Array, start: number, end: number): void {
  let sum = 0;
  for (let at = start >> 2; at < end >> 2; at += CACHE_LINE_WORDS) sum ^= words[at] as number;
  touched[0] = sum;
}

/** Appends the records `[from, to)`. */
export function copyRun(reply: ReplyText, page: Page, from: number, to: number): void {
  reply.copy(page.slab.bytes, page.recordStart(from), page.recordEnd(to - 1));
}

/** Appends the records `[from, to)`, the last one first. */
export function copyReversed(reply: ReplyText, page: Page, from: number, to: number): void {
  const { bytes, words, view } = page.slab;
  const first = page.recordStart(from);
  let end = page.recordEnd(to - 1);
  reply.reserve(end - first);
  touch(words, first, end);
  const target = reply.view;
  let at = reply.end;
  reply.end += end - first;
  let previous = page.endWord(to - 1) + ENTRY_WORDS;
  for (let record = to - 1; record >= from; record--, previous += ENTRY_WORDS) {
    const start = record === from ? first : page.start + (words[previous] as number);
    const size = end - start;
    if (size > COPIED_HERE_BYTES_MAX) bytes.copy(reply.bytes, at, start, end);
    else copyText(view, start, target, at, size);
    at += size;
    end = start;
  }
}

/**
 * Appends those of the records `[from, to)` that are marked with 1, and no more than `most`.
 *
 * @returns how many.
 */
export function copyMarked(
  reply: ReplyText,
  page: Page,
  { from, to, marks, most }: { from: number; to: number; marks: Uint8Array; most: number },
): number {
  let copied = 0;
  for (let record = marks.indexOf(1, from); record >= 0 && record < to && copied < most; ) {
    // Neighbours are one copy.
    let end = record + 1;
    while (end < to && marks[end] === 1 && copied + end - record < most) end++;
    copyRun(reply, page, record, end);
    copied += end - record;
    record = marks.indexOf(1, end);
  }
  return copied;
}

/** The same, the last one first. */
export function copyMarkedReversed(
  reply: ReplyText,
  page: Page,
  { from, to, marks, most }: { from: number; to: number; marks: Uint8Array; most: number },
): number {
  let copied = 0;
  for (let record = to - 1; record >= from && copied < most; record--) {
    if (marks[record] === 0) continue;
    copyRun(reply, page, record, record + 1);
    copied++;
  }
  return copied;
}
