/**
 * All keys of a table in order, put together between other requests: millions of keys take a second.
 */
import type { LongWork, Task } from "./long_work.ts";
import { compareTexts, mergeRuns } from "./sorting.ts";
import { END_OF_KEYS, type ValueTable } from "./value_table.ts";

/** So many are sorted at once; longer lists are merged. */
const RUN_KEYS = 20_000;
/** What reading and sorting a key costs, in LongWork's units. */
const SORT_UNITS = 3;

/**
 * The keys that are in the table all the while are in the list; of those that come and go, some are.
 */
export function* gatherKeys(table: ValueTable, longWork: LongWork, list: { keys: readonly string[] }): Task {
  const runs: (readonly string[])[] = [];
  for (let from = 0; from < END_OF_KEYS; ) {
    const run: string[] = [];
    while (from < END_OF_KEYS && run.length < RUN_KEYS) from = table.addKeys(from, run);
    // Without a function, sort() compares UTF-16 code units.
    runs.push(run.sort());
    if (longWork.isTurnOver(run.length * SORT_UNITS)) yield;
  }
  list.keys = yield* mergeRuns(runs, compareTexts, longWork);
}
