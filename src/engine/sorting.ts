/**
 * Sorts millions of things between other requests: in runs, which are then merged.
 */
import type { LongWork } from "./long_work.ts";

/** Less than 0 where `a` comes first, more where `b` does. */
export type Compare<Item> = (a: Item, b: Item) => number;

/** By UTF-16 code units. */
export function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** What merging an item costs, in LongWork's units. */
const MERGE_UNITS = 1;
/** So many items are merged between two looks at the clock. */
const MERGED_ITEMS = 256;

/** Merges lists that are in order, two and two; it yields where a turn is over. Of equal items one is kept. */
export function* mergeRuns<Item>(
  lists: readonly (readonly Item[])[],
  compare: Compare<Item>,
  longWork: LongWork,
): Generator<undefined, readonly Item[]> {
  let runs = lists;
  while (runs.length > 1) {
    const longer: (readonly Item[])[] = [];
    for (let index = 0; index < runs.length; index += 2) {
      longer.push(yield* merging(runs[index] as readonly Item[], runs[index + 1] ?? [], compare, longWork));
    }
    runs = longer;
  }
  return runs[0] ?? [];
}

/** Two lists in order as one, at once. Of equal items one is kept. */
export function mergeSorted<Item>(
  a: readonly Item[],
  b: readonly Item[],
  compare: Compare<Item>,
): readonly Item[] {
  return merging(a, b, compare, undefined).next().value as readonly Item[];
}

function* merging<Item>(
  a: readonly Item[],
  b: readonly Item[],
  compare: Compare<Item>,
  longWork: LongWork | undefined,
): Generator<undefined, readonly Item[]> {
  if (b.length === 0) return a;
  if (a.length === 0) return b;
  const merged: Item[] = [];
  let next = 0;
  for (const item of a) {
    let order = 1;
    for (; next < b.length; next++) {
      order = compare(b[next] as Item, item);
      if (order >= 0) break;
      merged.push(b[next] as Item);
    }
    if (order === 0) next++;
    merged.push(item);
    const isTurnOver = merged.length % MERGED_ITEMS === 0 && longWork?.isTurnOver(MERGED_ITEMS * MERGE_UNITS);
    if (isTurnOver === true) yield;
  }
  for (; next < b.length; next++) merged.push(b[next] as Item);
  return merged;
}
