/**
 * `where` and `filter`: which records of a page a query keeps.
 *
 * Literals are searched for in the rendered bytes, all of a page at once: `data` is stored in one canonical escaped
 * form, so its needle is escaped the same way. Care is needed where the bytes say more than the text: a hit may lie
 * in what stands around `data`, or begin inside an escape (`n` in `\n`); such hits are not counted. Patterns that
 * stand for a few literals are searched for the same way; others get each record's text, unescaped.
 */
import { BACKSLASH, LETTER_U } from "../protocol/ascii.ts";
import { PATTERN_STEPS_AT_ONCE, PREDICATE_CACHE_MAX } from "../protocol/limits.ts";
import { readPattern } from "../protocol/pattern.ts";
import type { Page } from "./page.ts";
import { ENTRY_WORDS } from "./page_index.ts";
import type { CompiledPattern, PatternCache } from "./pattern_cache.ts";
import type { PatternThread } from "./pattern_thread.ts";
import { DATA_TAIL_BYTES, DataReader, dataStartAt } from "./record_text.ts";

type Test = {
  /** How many steps of an automaton a byte of a record takes at most; 0 where none runs. */
  readonly stepsPerByte: number;
  /** Sets `hits[record]` to 1 for the records in `[from, to)` that match and have `marks[record]` set. */
  find(page: Page, range: { from: number; to: number }, marks: Uint8Array, hits: Uint8Array): void;
  /** The same of one record's text, which may be a long one. @throws DatabaseError `bad_pattern` */
  testLong(text: string, thread: PatternThread): boolean | Promise<boolean>;
};

type Condition = { readonly test: Test; readonly keepsHits: boolean };

/** More are not faster. */
const PATTERN_RECORDS_AT_ONCE = 8;

export class Predicate {
  readonly #conditions: readonly Condition[];
  /** How long the records may be that are looked at before the clock is. */
  readonly #bytesAtOnce: number;
  readonly #reader: DataReader;
  /** Reused for every page; as long as the fullest one. */
  #marks = new Uint8Array(0);
  #hits = new Uint8Array(0);

  constructor(conditions: readonly Condition[], reader: DataReader) {
    this.#conditions = conditions;
    const steps = conditions.reduce((sum, { test }) => sum + test.stepsPerByte, 0);
    this.#bytesAtOnce = PATTERN_STEPS_AT_ONCE / steps;
    this.#reader = reader;
  }

  /** How much of what may be looked at before the clock is a record takes; more than 1 where it is for `keepsLong`. */
  shareOf(page: Page, record: number): number {
    return (page.recordEnd(record) - page.recordStart(record)) / this.#bytesAtOnce;
  }

  /** How many of the records `[from, to)`, or of the last of them, should be selected at a time: 1 or more. */
  countAtOnce(page: Page, { from, to, reverse }: { from: number; to: number; reverse: boolean }): number {
    if (this.#bytesAtOnce === Number.POSITIVE_INFINITY) return to - from;
    const most = Math.min(to - from, PATTERN_RECORDS_AT_ONCE);
    let count = 0;
    for (let share = 0; count < most; count++) {
      share += this.shareOf(page, reverse ? to - 1 - count : from + count);
      if (share > 1) break;
    }
    return Math.max(count, 1);
  }

  textOf(page: Page, record: number): string {
    return readData(page, record, this.#reader);
  }

  /** Whether a record of such a text is kept. @throws DatabaseError `bad_pattern` */
  async keepsLong(text: string, thread: PatternThread): Promise<boolean> {
    for (const { test, keepsHits } of this.#conditions) {
      if ((await test.testLong(text, thread)) !== keepsHits) return false;
    }
    return true;
  }

  /** Marks (1) those of the records `[from, to)` that are kept. The array is valid until the next call. */
  select(page: Page, from: number, to: number): Uint8Array {
    const marks = this.#marksFor(page);
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

  /** The same of one record, when it is known whether it is kept. */
  selectKnown(page: Page, record: number, isKept: boolean): Uint8Array {
    const marks = this.#marksFor(page);
    marks[record] = isKept ? 1 : 0;
    return marks;
  }

  #marksFor(page: Page): Uint8Array {
    if (this.#marks.length < page.count) {
      this.#marks = new Uint8Array(page.count);
      this.#hits = new Uint8Array(page.count);
    }
    return this.#marks;
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
    return new Predicate(conditions, this.#reader);
  }
}

type PredicateTools = { readonly patterns: PatternCache; readonly reader: DataReader };

function testFor(text: string, { patterns, reader }: PredicateTools): Test {
  const pattern = readPattern(text);
  if (pattern !== undefined) {
    const compiled = patterns.get(pattern);
    const { literals } = compiled;
    return literals === undefined ? new PatternTest(compiled, reader) : new LiteralTest(literals);
  }
  return text.isWellFormed() ? new LiteralTest([text]) : new HalfTest(text, reader);
}

class PatternTest implements Test {
  readonly stepsPerByte: number;
  readonly #pattern: CompiledPattern;
  readonly #reader: DataReader;

  constructor(pattern: CompiledPattern, reader: DataReader) {
    this.stepsPerByte = pattern.stepsPerUnit;
    this.#pattern = pattern;
    this.#reader = reader;
  }

  find(page: Page, { from, to }: { from: number; to: number }, marks: Uint8Array, hits: Uint8Array): void {
    for (let record = from; record < to; record++) {
      if (marks[record] === 1 && this.#pattern.test(readData(page, record, this.#reader))) hits[record] = 1;
    }
  }

  testLong(text: string, thread: PatternThread): boolean | Promise<boolean> {
    // It is long for all conditions together.
    const isLong = text.length * this.stepsPerByte > PATTERN_STEPS_AT_ONCE;
    return isLong ? thread.test(this.#pattern, text) : this.#pattern.test(text);
  }
}

/** Half of a pair may be looked for: within an emoji's UTF-8 it cannot be found, within its text it can. */
class HalfTest implements Test {
  /** It is no automaton, but reads each record's text. */
  readonly stepsPerByte = 1;
  readonly #text: string;
  readonly #reader: DataReader;

  constructor(text: string, reader: DataReader) {
    this.#text = text;
    this.#reader = reader;
  }

  find(page: Page, { from, to }: { from: number; to: number }, marks: Uint8Array, hits: Uint8Array): void {
    for (let record = from; record < to; record++) {
      if (marks[record] === 1 && this.testLong(readData(page, record, this.#reader))) hits[record] = 1;
    }
  }

  testLong(text: string): boolean {
    return text.includes(this.#text);
  }
}

/** Whether a record's data contains one of some texts. */
class LiteralTest implements Test {
  readonly stepsPerByte = 0;
  readonly #texts: readonly string[];
  readonly #needles: readonly Buffer[];

  constructor(texts: readonly string[]) {
    this.#texts = texts;
    this.#needles = texts.map((text) => Buffer.from(JSON.stringify(text).slice(1, -1)));
  }

  find(page: Page, range: { from: number; to: number }, _marks: Uint8Array, hits: Uint8Array): void {
    for (const needle of this.#needles) this.#findOne(needle, page, range, hits);
  }

  testLong(text: string): boolean {
    return this.#texts.some((literal) => text.includes(literal));
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
