/**
 * What an API key is held to beside its scope: until when it is good, and for which collections.
 *
 * A collection is named by its exact name, or by a `/pattern/flags` that matches anywhere in the name. Most keys have
 * no limits at all, and no object of this class: whether there is one is all that their messages cost.
 */
import { readPattern } from "../protocol/pattern.ts";
import { COLUMN_COLLECTION_END, COLUMN_COLLECTION_START, COLUMNS, type InsertBatch } from "./insert_batch.ts";
import { type CompiledPattern, compilePattern } from "./pattern_cache.ts";
import { unescapeText } from "./raw_text.ts";

/** As they are stored and listed. */
export type KeyLimitValues = {
  /** In milliseconds since 1970. */
  readonly expiresAt?: number | undefined;
  readonly collections?: readonly string[] | undefined;
};

/** What is to become of a key's limits: one that is not mentioned stays, `never` and `all` take it away. */
export type KeyLimitChange = {
  readonly expiresAt?: number | "never" | undefined;
  readonly collections?: readonly string[] | "all" | undefined;
};

/** How many answers are kept, and of names up to which length: a few megabytes, whatever is asked for. */
const ANSWERS_MAX = 100_000;
const ANSWER_NAME_LENGTH_MAX = 64;

export class KeyLimits {
  readonly expiresAt: number | undefined;
  readonly collections: readonly string[] | undefined;
  readonly #names: ReadonlySet<string>;
  /** Compiled when first needed: there can be many keys, and few of them connected. */
  #patterns: readonly CompiledPattern[] | undefined;
  /** What patterns have said of names: `cols` and `stat` ask for all of them, each time. */
  readonly #answers = new Map<string, boolean>();

  constructor({ expiresAt, collections }: KeyLimitValues) {
    this.expiresAt = expiresAt;
    this.collections = collections;
    this.#names = new Set(collections?.filter((text) => readPattern(text) === undefined));
  }

  hasExpired(dateMs: number): boolean {
    return this.expiresAt !== undefined && dateMs >= this.expiresAt;
  }

  /** Whether the key may know of a collection. */
  readonly mayUse = (collection: string): boolean => {
    if (this.collections === undefined || this.#names.has(collection)) return true;
    const known = this.#answers.get(collection);
    if (known !== undefined) return known;
    const isMatched = this.#compiled().some((pattern) => pattern.test(collection));
    if (collection.length > ANSWER_NAME_LENGTH_MAX) return isMatched;
    if (this.#answers.size >= ANSWERS_MAX) this.#answers.clear();
    this.#answers.set(collection, isMatched);
    return isMatched;
  };

  /** Whether it may use all collections of a batch. Costs one look a run of records that go to the same one. */
  mayInsert({ columns, count, names }: InsertBatch): boolean {
    if (this.collections === undefined) return true;
    let [runStart, runEnd] = [0, 0];
    for (let row = 0; row < count * COLUMNS; row += COLUMNS) {
      const start = columns[row + COLUMN_COLLECTION_START] as number;
      const end = columns[row + COLUMN_COLLECTION_END] as number;
      if (names.compare(names, start, end, runStart, runEnd) === 0) continue;
      if (!this.mayUse(unescapeText(names, start, end))) return false;
      [runStart, runEnd] = [start, end];
    }
    return true;
  }

  #compiled(): readonly CompiledPattern[] {
    this.#patterns ??= (this.collections ?? []).flatMap((text) => {
      const pattern = readPattern(text);
      return pattern === undefined ? [] : [compilePattern(pattern)];
    });
    return this.#patterns;
  }
}

/** The limits after a change; undefined when there are none left. */
export function changeLimits(
  before: KeyLimits | undefined,
  { expiresAt = before?.expiresAt, collections = before?.collections }: KeyLimitChange,
): KeyLimits | undefined {
  const isForEver = expiresAt === undefined || expiresAt === "never";
  const isForAll = collections === undefined || collections === "all";
  if (isForEver && isForAll) return undefined;
  return new KeyLimits({
    expiresAt: isForEver ? undefined : expiresAt,
    collections: isForAll ? undefined : collections,
  });
}

/** For the disk: JSON, or null where there are none. */
export function writeLimits(limits: KeyLimits | undefined): string | null {
  if (limits === undefined) return null;
  const { expiresAt, collections } = limits;
  return JSON.stringify({ expiresAt, collections });
}

export const readLimits = (text: string | null): KeyLimits | undefined =>
  text === null ? undefined : new KeyLimits(JSON.parse(text) as KeyLimitValues);
