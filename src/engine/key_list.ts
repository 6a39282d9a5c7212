/**
 * All keys of a table in order, put together between other requests: millions of keys take a second.
 */
import type { LongWork, Task } from "./long_work.ts";
import { END_OF_KEYS, type ValueTable } from "./value_table.ts";

/** So many are sorted at once; longer lists are merged. */
const RUN_KEYS = 20_000;
/** What reading and sorting a key costs, and what merging it does, in LongWork's units. */
const SORT_UNITS = 3;
const MERGE_UNITS = 1;
/** So many keys are merged between two looks at the clock. */
const MERGED_KEYS = 256;

/**
 * The keys that are in the table all the while are in the list; of those that come and go, some are.
 */
export function* gatherKeys(table: ValueTable, longWork: LongWork, list: { keys: readonly string[] }): Task {
  let runs: (readonly string[])[] = [];
  for (let from = 0; from < END_OF_KEYS; ) {
    const run: string[] = [];
    while (from < END_OF_KEYS && run.length < RUN_KEYS) from = table.addKeys(from, run);
    // Without a function, sort() compares UTF-16 code units.
    runs.push(run.sort());
    if (longWork.isTurnOver(run.length * SORT_UNITS)) yield;
  }
  while (runs.length > 1) {
    const longer: (readonly string[])[] = [];
    for (let index = 0; index < runs.length; index += 2) {
      longer.push(yield* merging(runs[index] as readonly string[], runs[index + 1] ?? [], longWork));
    }
    runs = longer;
  }
  list.keys = runs[0] ?? [];
}

/** Two lists in order as one. A key that is in both is in it once. */
export function mergeSorted(a: readonly string[], b: readonly string[]): readonly string[] {
  return merging(a, b, undefined).next().value as readonly string[];
}

/** The same, which yields where a turn is over. */
function* merging(
  a: readonly string[],
  b: readonly string[],
  longWork: LongWork | undefined,
): Generator<undefined, readonly string[]> {
  if (b.length === 0) return a;
  if (a.length === 0) return b;
  const merged: string[] = [];
  let next = 0;
  for (const key of a) {
    for (; next < b.length && (b[next] as string) < key; next++) merged.push(b[next] as string);
    if (b[next] === key) next++;
    merged.push(key);
    const isTurnOver = merged.length % MERGED_KEYS === 0 && longWork?.isTurnOver(MERGED_KEYS * MERGE_UNITS);
    if (isTurnOver === true) yield;
  }
  for (; next < b.length; next++) merged.push(b[next] as string);
  return merged;
}
