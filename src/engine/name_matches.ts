/**
 * Which documents of a collection a pattern matches, remembered: polls repeat their pattern.
 *
 * Documents that came or went since are looked at by themselves, so that a new one among 100,000 does not cost looking at
 * all of them again.
 */
import { PATTERN_STEPS_AT_ONCE } from "../protocol/limits.ts";
import { NameOrder } from "./name_order.ts";
import { type NameTools, selectByName, stepsOf } from "./name_selection.ts";
import type { NameTable } from "./name_table.ts";
import type { CompiledPattern } from "./pattern_cache.ts";
import type { Series } from "./series.ts";

type Documents = readonly Series[];

/** `version` is the table's. */
type Known = {
  version: number;
  documents: Documents | Promise<Documents>;
  /** The same once one has come or gone. */
  order: NameOrder<Series> | undefined;
  /** What it is counted as in memory. */
  bytes: number;
};

/** How many patterns' matching documents a collection remembers. */
const KNOWN_MAX = 16;
/** Where so many documents have come or gone, all are looked at again. */
const CHANGES_MAX = 1024;
const KNOWN_BYTES = 512;
/** In a list, and in blocks. */
const DOCUMENT_BYTES = 16;

export type NameMatchesOptions = {
  readonly table: NameTable<Series>;
  /** The memory that all is counted in; while it is short, nothing is remembered. */
  readonly memory: { objectBytes: number; readonly isShort: boolean };
};

export class NameMatches {
  readonly #table: NameTable<Series>;
  readonly #memory: NameMatchesOptions["memory"];
  /** By pattern, in the order they were asked for. */
  readonly #known = new Map<string, Known>();
  /** Documents that came or went last, one a version of the table, up to the newest. */
  #changes: Series[] = [];

  constructor({ table, memory }: NameMatchesOptions) {
    this.#table = table;
    this.#memory = memory;
  }

  /** A document has just been added to the table, or removed from it. */
  changed(series: Series): void {
    if (this.#known.size === 0) return;
    this.#changes.push(series);
    if (this.#changes.length > 2 * CHANGES_MAX) this.#changes = this.#changes.slice(-CHANGES_MAX);
  }

  /**
   * The documents whose names match, by name. Who asks while that is found out shares the answer.
   *
   * @throws DatabaseError `bad_pattern`
   */
  find(source: string, pattern: CompiledPattern, tools: NameTools): Documents | Promise<Documents> {
    const known = this.#known.get(source);
    if (known !== undefined && this.#isCurrent(known, pattern)) return known.documents;
    const { version } = this.#table;
    const select = (): Documents | Promise<Documents> =>
      selectByName(this.#table.sorted(), ({ name }) => name.text, pattern, tools);
    const prepared = this.#table.prepareSorted(tools.longWork);
    const documents = prepared === undefined ? select() : prepared.then(select);
    this.#forget(source);
    if (!this.#memory.isShort) this.#remember(source, { version, documents, order: undefined, bytes: 0 });
    return documents;
  }

  /** Forgets all of them. */
  clear(): void {
    for (const source of [...this.#known.keys()]) this.#forget(source);
  }

  /** Whether it holds, or can be made to hold, what matches now. */
  #isCurrent(known: Known, pattern: CompiledPattern): boolean {
    const missed = this.#table.version - known.version;
    if (missed === 0) return true;
    const { documents } = known;
    if (documents instanceof Promise || missed > CHANGES_MAX || missed > this.#changes.length) return false;
    const changes = this.#changes.slice(-missed);
    const steps = changes.reduce((sum, { name }) => sum + stepsOf(pattern, name.text), 0);
    if (steps > PATTERN_STEPS_AT_ONCE) return false;
    known.order ??= new NameOrder(documents);
    const { order } = known;
    for (const series of changes) {
      if (series.isGone) {
        if (order.has(series)) order.delete(series);
      } else if (!order.has(series) && pattern.test(series.name.text)) order.add(series);
    }
    known.version = this.#table.version;
    known.documents = order.list;
    this.#count(known, order.list);
    return true;
  }

  #remember(source: string, known: Known): void {
    if (this.#known.size >= KNOWN_MAX) this.#forget(this.#known.keys().next().value as string);
    this.#known.set(source, known);
    const { documents } = known;
    if (!(documents instanceof Promise)) {
      this.#count(known, documents);
      return;
    }
    documents.then(
      (found) => {
        if (this.#known.get(source) !== known) return;
        known.documents = found;
        this.#count(known, found);
      },
      () => {
        if (this.#known.get(source) === known) this.#forget(source);
      },
    );
  }

  #forget(source: string): void {
    const known = this.#known.get(source);
    if (known === undefined) return;
    this.#known.delete(source);
    this.#memory.objectBytes -= known.bytes;
    if (this.#known.size === 0) this.#changes = [];
  }

  #count(known: Known, documents: Documents): void {
    const bytes = KNOWN_BYTES + documents.length * DOCUMENT_BYTES;
    this.#memory.objectBytes += bytes - known.bytes;
    known.bytes = bytes;
  }
}
