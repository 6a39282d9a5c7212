/**
 * Compiled patterns of users, kept for the next request.
 *
 * They run on re2js, a port of RE2: time is linear in the text, whatever the pattern. The built-in engine backtracks,
 * and one pattern of 28 characters can hold it for half a second, so it never gets to see what a user wrote.
 */
import { RE2JS } from "re2js";
import { DatabaseError } from "../protocol/errors.ts";
import {
  PATTERN_CACHE_MAX,
  PATTERN_EXPANDED_MAX,
  PATTERN_INSTRUCTIONS_MAX,
  PATTERN_LENGTH_MAX,
  PATTERN_MEMORY_BYTES_MAX,
  PATTERN_STEPS_MAX,
  PATTERN_UNICODE_CLASSES_MAX,
} from "../protocol/limits.ts";
import type { Pattern } from "../protocol/pattern.ts";
import { literalsOf } from "./finite_pattern.ts";
import { expandedSize } from "./pattern_size.ts";

export class CompiledPattern {
  readonly pattern: Pattern;
  /** Where these say the same: a text matches when it contains one of them. */
  readonly literals: readonly string[] | undefined;
  /** How many steps a UTF-16 code unit of a text takes at most. A step is 10 ns, and 90 where much is new. */
  readonly stepsPerUnit: number;
  readonly #automaton: RE2JS;

  constructor(pattern: Pattern, automaton: RE2JS) {
    this.pattern = pattern;
    this.literals = literalsOf(pattern);
    this.stepsPerUnit = automaton.programSize();
    this.#automaton = automaton;
  }

  /** Whether the pattern matches anywhere in the text. @throws DatabaseError `bad_pattern` where both are too large */
  test(text: string): boolean {
    this.checkLength(text);
    return this.#automaton.test(text);
  }

  /** @throws DatabaseError `bad_pattern` */
  checkLength({ length }: { readonly length: number }): void {
    // Linear time is long where both are: a megabyte takes ten seconds with a thousand instructions.
    if (length * this.stepsPerUnit <= PATTERN_STEPS_MAX) return;
    const problem = `The pattern is too large for a text of ${length} characters: use smaller repetition counts`;
    throw new DatabaseError("bad_pattern", problem);
  }
}

export class PatternCache {
  /** In the order of their last use: a Map keeps the order of insertion. What was refused costs as much to find out. */
  readonly #compiled = new Map<string, CompiledPattern | DatabaseError>();
  readonly #sizeMax: number;
  readonly #lengthMax: number;

  constructor({
    sizeMax = PATTERN_CACHE_MAX,
    lengthMax = PATTERN_LENGTH_MAX,
  }: { sizeMax?: number; lengthMax?: number } = {}) {
    this.#sizeMax = sizeMax;
    this.#lengthMax = lengthMax;
  }

  /** @throws DatabaseError `bad_pattern` */
  get(pattern: Pattern): CompiledPattern {
    // Not kept: it may be as long as a frame.
    checkSource(pattern.source, this.#lengthMax);
    const key = `${pattern.flags}/${pattern.source}`;
    let compiled = this.#compiled.get(key);
    if (compiled === undefined) {
      compiled = compiledOrRefused(pattern, this.#lengthMax);
      if (this.#compiled.size >= this.#sizeMax) {
        const [oldest] = this.#compiled.keys();
        this.#compiled.delete(oldest as string);
      }
    } else this.#compiled.delete(key);
    this.#compiled.set(key, compiled);
    if (compiled instanceof DatabaseError) throw compiled;
    return compiled;
  }
}

function compiledOrRefused(pattern: Pattern, lengthMax: number): CompiledPattern | DatabaseError {
  try {
    return compilePattern(pattern, lengthMax);
  } catch (error) {
    if (error instanceof DatabaseError) return error;
    throw error;
  }
}

const FLAGS: Record<string, number> = {
  i: RE2JS.CASE_INSENSITIVE,
  m: RE2JS.MULTILINE,
  s: RE2JS.DOTALL,
};

/** @throws DatabaseError `bad_pattern` */
export function compilePattern(
  { source, flags }: Pattern,
  lengthMax: number = PATTERN_LENGTH_MAX,
): CompiledPattern {
  checkSource(source, lengthMax);
  if ((source.match(UNICODE_CLASS)?.length ?? 0) > PATTERN_UNICODE_CLASSES_MAX) {
    const most = `at most ${PATTERN_UNICODE_CLASSES_MAX} Unicode classes such as \\p{L}`;
    throw new DatabaseError("bad_pattern", `A pattern may have ${most}`);
  }
  if (expandedSize(source) > PATTERN_EXPANDED_MAX) throw tooLarge();
  let bits = 0;
  for (const flag of flags) bits |= FLAGS[flag] as number;
  const compiled = compileSource(source, bits);
  if (compiled.programSize() > PATTERN_INSTRUCTIONS_MAX) throw tooLarge();
  // By itself it takes 8 MiB, which is 18 of memory, for each of the patterns that are kept, and 90 ns for each step
  // that fills it.
  const { dfa } = compiled.re2Input;
  dfa.stateBudget = PATTERN_MEMORY_BYTES_MAX;
  dfa.memBudget = PATTERN_MEMORY_BYTES_MAX;
  return new CompiledPattern({ source, flags }, compiled);
}

/** @throws DatabaseError `bad_pattern` */
function checkSource({ length }: string, lengthMax: number): void {
  if (length <= lengthMax) return;
  const problem = `A pattern may have ${lengthMax} characters (--max-pattern), got ${length}`;
  throw new DatabaseError("bad_pattern", problem);
}

const tooLarge = (): DatabaseError =>
  new DatabaseError("bad_pattern", "The pattern is too large: use smaller repetition counts");

const UNICODE_CLASS = /\\[pP]/g;

/** Backreferences are what no linear engine has; the translation would make letters of them. */
const BACKREFERENCE = /\\[k1-9]/;

function compileSource(source: string, bits: number): RE2JS {
  try {
    return RE2JS.compile(source, bits);
  } catch (cause) {
    // JavaScript's own spellings, such as \u00e9, are not RE2's.
    const translated = BACKREFERENCE.test(source) ? source : tryTranslate(source);
    if (translated !== source) return compileSource(translated, bits);
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DatabaseError("bad_pattern", `Cannot compile the pattern /${source}/: ${reason}`, { cause });
  }
}

/** The pattern in RE2's spelling, or as it was when it cannot be translated either. */
function tryTranslate(source: string): string {
  try {
    const translated = RE2JS.translateRegExp(source);
    return RE2JS.translateRegExp(translated) === translated ? translated : source;
  } catch {
    return source;
  }
}
