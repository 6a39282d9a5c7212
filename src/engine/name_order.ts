/**
 * What a table of names holds, in the order of the names' UTF-16 code units: from when somebody first asks for it.
 *
 * It is in blocks, so that whatever comes or goes moves a few hundred others: of a million documents sorting all of them
 * anew takes a second, and merging one into a list of them 50 ms, in which nobody else is answered. The list that
 * readers want is made of the blocks when something has changed, which copies 8 bytes a name.
 */
import type { LongWork, Task } from "./long_work.ts";
import { compareTexts, mergeRuns } from "./sorting.ts";

type Named = { readonly name: { readonly text: string } };

const BLOCK_LENGTH_MAX = 512;
/** So many are sorted at once; more are merged. */
const RUN_LENGTH = 500;
/** What taking the values of an array costs, in LongWork's units. */
const TAKEN_UNITS = 64;
/** What sorting one in a run costs, in LongWork's units. */
const SORT_UNITS = 8;

export class NameOrder<Value extends Named> {
  /** None is empty. */
  readonly #blocks: Value[][] = [];
  /** All of them, as they are now, once it was asked for. */
  #list: readonly Value[] | undefined;

  constructor(sorted: readonly Value[]) {
    for (let from = 0; from < sorted.length; from += BLOCK_LENGTH_MAX) {
      this.#blocks.push(sorted.slice(from, from + BLOCK_LENGTH_MAX));
    }
    this.#list = sorted;
  }

  /** In order. The array stays as it is: a change makes another one. */
  get list(): readonly Value[] {
    this.#list ??= this.#blocks.flat();
    return this.#list;
  }

  has(value: Value): boolean {
    const block = this.#blocks[this.#blockOf(value)];
    return block !== undefined && block[placeIn(block, value) - 1] === value;
  }

  /** Adds a value whose name is not in it. */
  add(value: Value): void {
    this.#list = undefined;
    const index = Math.max(0, this.#blockOf(value));
    const block = this.#blocks[index];
    if (block === undefined) this.#blocks.push([value]);
    else if (block.length < BLOCK_LENGTH_MAX) block.splice(placeIn(block, value), 0, value);
    else {
      const place = placeIn(block, value);
      // Names that come in order leave full blocks behind.
      const isLast = place === block.length;
      const rest = isLast ? [] : block.splice(block.length >> 1);
      this.#blocks.splice(index + 1, 0, rest);
      if (place > block.length || isLast) rest.splice(place - block.length, 0, value);
      else block.splice(place, 0, value);
    }
  }

  /** Removes a value that is in it. */
  delete(value: Value): void {
    this.#list = undefined;
    const index = this.#blockOf(value);
    const block = this.#blocks[index] as Value[];
    block.splice(placeIn(block, value) - 1, 1);
    if (block.length === 0) this.#blocks.splice(index, 1);
  }

  /** The last block that begins with a value or with one before it; -1 where there is none. */
  #blockOf({ name: { text } }: Value): number {
    let from = 0;
    let to = this.#blocks.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      const first = (this.#blocks[middle] as Value[])[0] as Value;
      if (first.name.text <= text) from = middle + 1;
      else to = middle;
    }
    return from - 1;
  }
}

/** Where in a block the first value is that comes behind another. */
function placeIn<Value extends Named>(block: readonly Value[], { name: { text } }: Value): number {
  let from = 0;
  let to = block.length;
  // Most names come in order.
  if (to > 0 && (block[to - 1] as Value).name.text <= text) return to;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((block[middle] as Value).name.text <= text) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** A value with its name's text, which is not made anew each time it is compared. */
type Item<Value> = { readonly text: string; readonly value: Value };

const itemsOf = <Value extends Named>(values: readonly Value[]): Item<Value>[] =>
  values.map((value) => ({ text: value.name.text, value }));
const valuesOf = <Value>(items: readonly Item<Value>[]): Value[] => items.map(({ value }) => value);
const compareItems = (a: Item<unknown>, b: Item<unknown>): number => compareTexts(a.text, b.text);

/** At once. */
export function sortedByName<Value extends Named>(values: readonly Value[]): Value[] {
  return valuesOf(itemsOf(values).sort(compareItems));
}

/** Values that are being sorted. */
export type Sorting<Value> = {
  /** Where they stand, in arrays of about a thousand, as long as they are taken from there; these must not change so long. */
  segments: readonly (readonly Value[])[];
  sorted: readonly Value[];
};

/** Sorts values between other requests. */
export function* sortByName<Value extends Named>(sorting: Sorting<Value>, longWork: LongWork): Task {
  const values: Value[] = [];
  for (const [index, segment] of sorting.segments.entries()) {
    if (index > 0 && longWork.isTurnOver(TAKEN_UNITS)) yield;
    for (const value of segment) values.push(value);
  }
  sorting.segments = [];
  const runs: (readonly Item<Value>[])[] = [];
  for (let from = 0; from < values.length; from += RUN_LENGTH) {
    const run = itemsOf(values.slice(from, from + RUN_LENGTH)).sort(compareItems);
    runs.push(run);
    if (longWork.isTurnOver(run.length * SORT_UNITS)) yield;
  }
  const items = yield* mergeRuns(runs, compareItems, longWork);
  const sorted: Value[] = [];
  for (const { value } of items) {
    sorted.push(value);
    if (sorted.length % RUN_LENGTH === 0 && longWork.isTurnOver(RUN_LENGTH)) yield;
  }
  sorting.sorted = sorted;
}
