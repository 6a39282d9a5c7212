/**
 * `where` and `filter`: which records of a page a query keeps.
 *
 * Literals are searched for in the rendered bytes, all of a page at once: `data` is stored in one canonical escaped
 * form, so its needle is escaped the same way. Care is needed where the bytes say more than the text: a hit may lie
 * in what stands around `data`, or begin inside an escape (`n` in `\n`); such hits are not counted. Patterns that
 * stand for a few literals are searched for the same way; others get each record's text, unescaped.
 */
import { BACKSLASH, LETTER_U } from "../protocol/ascii.ts";
import { PREDICATE_CACHE_MAX } from "../protocol/limits.ts";
import { readPattern } from "../protocol/pattern.ts";
import { ENTRY_WORDS, type Page } from "./page.ts";
import type { CompiledPattern, PatternCache } from "./pattern_cache.ts";
import { DATA_TAIL_BYTES, DataReader, dataStartAt } from "./record_text.ts";

type Test = {
  /** How many records may be looked at before the clock is. */
  readonly recordsAtOnce: number;
  /** Sets `hits[record]` to 1 for the records in `[from, to)` that match and have `marks[record]` set. */
  find(page: Page, range: { from: number; to: number }, marks: Uint8Array, hits: Uint8Array): void;
};

type Condition = { readonly test: Test; readonly keepsHits: boolean };

/** A pattern may take a millisecond for each of them, and a chunk has hundreds. */
const PATTERN_RECORDS_AT_ONCE = 8;

export class Predicate {
  /** How many records `select` should be asked about at a time, so that others get their turn. */
  readonly recordsAtOnce: number;
  readonly #conditions: readonly Condition[];
  /** Reused for every page; as long as the fullest one. */
  #marks = new Uint8Array(0);
  #hits = new Uint8Array(0);

  constructor(conditions: readonly Condition[]) {
    this.#conditions = conditions;
    this.recordsAtOnce = Math.min(...conditions.map(({ test }) => test.recordsAtOnce));
  }

  /** Marks (1) those of the records `[from, to)` that are kept. The array is valid until the next call. */
  select(page: Page, from: number, to: number): Uint8Array {
    if (this.#marks.length < page.count) {
      this.#marks = new Uint8Array(page.count);
      this.#hits = new Uint8Array(page.count);
    }
    const marks = this.#marks;
    const hits = this.#hits;
    marks.fill(1, from, to);
    for (const { test, keepsHits } of this.#conditions) {
      hits.fill(0, from, to);
      test.find(page, { from, to }, marks, hits);
      const unwanted = keepsHits ? 0 : 1;
      for (let record = from; record < to; record++) if (hits[record] === unwanted) marks[record] = 0;
    }
    return marks;
  }

  matches(page: Page, record: number): boolean {
    return this.select(page, record, record + 1)[record] === 1;
  }
}

/** Longer ones are rare, and are made anew each time. */
const CACHED_LENGTH_MAX = 1024;

/** Makes the predicates of a database's queries, and keeps those of the last ones: polls repeat theirs. */
export class Predicates {
  readonly #patterns: PatternCache;
  readonly #reader = new DataReader();
  /** In the order of their last use. */
  readonly #kept = new Map<string, Predicate>();

  constructor(patterns: PatternCache) {
    this.#patterns = patterns;
  }

  /** The predicate of a query, or undefined when it keeps everything. @throws DatabaseError `bad_pattern` */
  of({ where, filter }: { where: string; filter: string }): Predicate | undefined {
    if (where === "" && filter === "") return undefined;
    if (where.length + filter.length > CACHED_LENGTH_MAX) return this.#make(where, filter);
    const key = `${where.length} ${where}${filter}`;
    let predicate = this.#kept.get(key);
    if (predicate === undefined) {
      predicate = this.#make(where, filter);
      if (this.#kept.size >= PREDICATE_CACHE_MAX) this.#kept.delete(this.#kept.keys().next().value as string);
    } else this.#kept.delete(key);
    this.#kept.set(key, predicate);
    return predicate;
  }

  #make(where: string, filter: string): Predicate {
    const tools = { patterns: this.#patterns, reader: this.#reader };
    const conditions: Condition[] = [];
    if (where !== "") conditions.push({ test: testFor(where, tools), keepsHits: true });
    if (filter !== "") conditions.push({ test: testFor(filter, tools), keepsHits: false });
    return new Predicate(conditions);
  }
}

type PredicateTools = { readonly patterns: PatternCache; readonly reader: DataReader };

function testFor(text: string, { patterns, reader }: PredicateTools): Test {
  const pattern = readPattern(text);
  if (pattern !== undefined) {
    const { literals, test } = patterns.get(pattern);
    return literals === undefined ? new PatternTest(test, reader) : new LiteralTest(literals);
  }
  // Half of a pair may be looked for: within an emoji's UTF-8 it cannot be found, within its text it can.
  if (!text.isWellFormed()) return new PatternTest((data) => data.includes(text), reader);
  return new LiteralTest([text]);
}

class PatternTest implements Test {
  readonly recordsAtOnce = PATTERN_RECORDS_AT_ONCE;
  readonly #test: CompiledPattern["test"];
  readonly #reader: DataReader;

  constructor(test: CompiledPattern["test"], reader: DataReader) {
    this.#test = test;
    this.#reader = reader;
  }

  find(page: Page, { from, to }: { from: number; to: number }, marks: Uint8Array, hits: Uint8Array): void {
    for (let record = from; record < to; record++) {
      if (marks[record] === 1 && this.#test(readData(page, record, this.#reader))) hits[record] = 1;
    }
  }
}

/** Whether a record's data contains one of some texts. */
class LiteralTest implements Test {
  readonly recordsAtOnce = Number.POSITIVE_INFINITY;
  readonly #needles: readonly Buffer[];

  constructor(texts: readonly string[]) {
    this.#needles = texts.map((text) => Buffer.from(JSON.stringify(text).slice(1, -1)));
  }

  find(page: Page, range: { from: number; to: number }, _marks: Uint8Array, hits: Uint8Array): void {
    for (const needle of this.#needles) this.#findOne(needle, page, range, hits);
  }

  #findOne(needle: Buffer, page: Page, { from, to }: { from: number; to: number }, hits: Uint8Array): void {
    const { bytes, words } = page.slab;
    const { start } = page;
    const text = bytes.subarray(0, page.recordEnd(to - 1));
    let record = from;
    let recordStart = page.recordStart(from);
    let endWord = page.endWord(from);
    let recordEnd = start + (words[endWord] as number);
    let hit = text.indexOf(needle, recordStart);
    while (hit >= 0) {
      while (recordEnd <= hit) {
        record++;
        endWord -= ENTRY_WORDS;
        recordStart = recordEnd;
        recordEnd = start + (words[endWord] as number);
      }
      const dataStart = dataStartAt(bytes, recordStart);
      let next = hit + 1;
      if (hit < dataStart) next = dataStart;
      else if (hit + needle.length <= recordEnd - DATA_TAIL_BYTES) {
        if (!startsInsideEscape(bytes, dataStart, hit)) {
          hits[record] = 1;
          next = recordEnd;
        }
      }
      hit = text.indexOf(needle, next);
    }
  }
}

/** The longest escape, `\u0000`, less its first byte. */
const ESCAPE_REST_BYTES = 5;

function readData(page: Page, record: number, reader: DataReader): string {
  const { bytes } = page.slab;
  return reader.read(
    bytes,
    dataStartAt(bytes, page.recordStart(record)),
    page.recordEnd(record) - DATA_TAIL_BYTES,
  );
}

function startsInsideEscape(bytes: Buffer, dataStart: number, at: number): boolean {
  if (isEscaped(bytes, dataStart, at)) return true;
  const earliest = Math.max(dataStart, at - ESCAPE_REST_BYTES);
  for (let back = at - 1; back >= earliest; back--) {
    if (bytes[back] !== BACKSLASH) continue;
    return bytes[back + 1] === LETTER_U && !isEscaped(bytes, dataStart, back);
  }
  return false;
}

/** Whether an odd number of backslashes stands before a place. */
function isEscaped(bytes: Buffer, dataStart: number, at: number): boolean {
  let first = at;
  while (first > dataStart && bytes[first - 1] === BACKSLASH) first--;
  return (at - first) % 2 === 1;
}
