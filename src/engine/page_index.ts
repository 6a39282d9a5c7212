/**
 * The index of a page: an entry a record, the first one last, and how it is searched. See page.ts.
 */

/** The index costs this much a record. */
export const ENTRY_BYTES = 12;
export const ENTRY_WORDS = ENTRY_BYTES / 4;

/*
 * Arguments, not an object for the time: polls of the past search an index a document. `low` is unsigned, and one more than
 * 32 bits hold where nothing of the same high half is to be found.
 */

/** Of `count` records, whose first entry is at a place in `words`, the first one that is not before a time. */
export function firstNotBefore(
  words: Int32Array,
  first: number,
  count: number,
  high: number,
  low: number,
): number {
  let from = 0;
  let to = count;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (isEntryBefore(words, first - middle * ENTRY_WORDS, high, low)) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** The same, where record `near` is likely to be next to it. */
export function firstNotBeforeNear(
  words: Int32Array,
  first: number,
  count: number,
  near: number,
  high: number,
  low: number,
): number {
  let from = 0;
  let to = count;
  let at = near;
  // Steps that double lead away from where it was expected, and halving back.
  for (let step = 1; from < to; step *= 2) {
    if (isEntryBefore(words, first - at * ENTRY_WORDS, high, low)) {
      from = at + 1;
      at += step;
    } else {
      to = at;
      at -= step;
    }
    if (at < from || at >= to) at = (from + to) >>> 1;
  }
  return from;
}

function isEntryBefore(words: Int32Array, entry: number, high: number, low: number): boolean {
  const entryHigh = words[entry] as number;
  return entryHigh < high || (entryHigh === high && (words[entry + 1] as number) >>> 0 < low);
}
