/**
 * Patterns that stand for a few literals: `/state":"(landed|parked)/` is one of two texts, `/v[12]\.0/` too.
 *
 * Most patterns that people filter by are of this kind. A text has a match exactly when it contains one of the
 * literals, and these are searched for in a page's bytes all at once, which costs a tenth of running an automaton over
 * each record. Understood are characters, escaped punctuation, classes of ASCII characters, groups, `|` and `?`; a
 * pattern with anything else, or that stands for too many texts, is left to the automaton.
 */
import type { Pattern } from "../protocol/pattern.ts";

const LITERALS_MAX = 16;
/** Characters that mean something: unescaped they are not understood, but for those that are dealt with. */
const SPECIAL = /[\\^$.*+?()[\]{}|]/;
const PUNCTUATION = /[!-/:-@[-`{-~]/;
/** What is around a pattern without limiting it. */
const OPEN_ENDS = /^(?:\.\*)+|(?:(?<!\\)\.\*)+$/g;

/** The literals one of which a text must contain to match; undefined when the pattern is not of this kind. */
export function literalsOf({ source, flags }: Pattern): readonly string[] | undefined {
  // Case folding is the automaton's. The other flags are about characters that are not understood.
  if (flags.includes("i")) return undefined;
  const reader = new Reader(flags.includes("m") ? source : source.replace(OPEN_ENDS, ""));
  const literals = reader.alternatives();
  const isUnderstood = literals !== undefined && reader.isAtEnd && literals.every((text) => text !== "");
  return isUnderstood ? [...new Set(literals)] : undefined;
}

/** Each method returns all texts that what it has read may be, or undefined when that is not understood. */
class Reader {
  readonly #source: string;
  #at = 0;

  constructor(source: string) {
    this.#source = source;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#source.length;
  }

  alternatives(): string[] | undefined {
    const all: string[] = [];
    do {
      const texts = this.#sequence();
      if (texts === undefined || all.length + texts.length > LITERALS_MAX) return undefined;
      all.push(...texts);
    } while (this.#take("|"));
    return all;
  }

  #sequence(): string[] | undefined {
    let texts = [""];
    while (!this.isAtEnd && this.#next !== "|" && this.#next !== ")") {
      const item = this.#item();
      if (item === undefined) return undefined;
      if (this.#take("?")) item.push("");
      // A second one would make it a question of how much is matched, or is an error.
      if (this.#next === "?" || texts.length * item.length > LITERALS_MAX) return undefined;
      texts = texts.flatMap((text) => item.map((end) => text + end));
    }
    return texts;
  }

  #item(): string[] | undefined {
    if (this.#take("(")) return this.#group();
    if (this.#take("[")) return this.#class();
    const character = this.#character();
    return character === undefined ? undefined : [character];
  }

  #group(): string[] | undefined {
    if (this.#next === "?" && !this.#take("?:")) return undefined;
    const texts = this.alternatives();
    return this.#take(")") ? texts : undefined;
  }

  #class(): string[] | undefined {
    const members = new Set<string>();
    while (!this.#take("]")) {
      const first = this.#character();
      const last = this.#take("-") ? this.#character() : first;
      if (first === undefined || last === undefined || first > last || members.size > LITERALS_MAX)
        return undefined;
      const end = last.charCodeAt(0);
      for (let code = first.charCodeAt(0); code <= end && members.size <= LITERALS_MAX; code++) {
        members.add(String.fromCharCode(code));
      }
    }
    return members.size === 0 ? undefined : [...members];
  }

  /** One that stands for itself; beyond ASCII these may be halves of one, or be equal in other ways. */
  #character(): string | undefined {
    const isEscaped = this.#take("\\");
    const character = this.#next;
    if (character === undefined || character > "~" || character < " ") return undefined;
    if (isEscaped ? !PUNCTUATION.test(character) : SPECIAL.test(character)) return undefined;
    this.#at++;
    return character;
  }

  get #next(): string | undefined {
    return this.#source[this.#at];
  }

  #take(text: string): boolean {
    if (!this.#source.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }
}
