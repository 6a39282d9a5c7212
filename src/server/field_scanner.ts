/**
 * The fields of a request's payload, read from its bytes: `{"col":"config","key":"a"}`.
 *
 * It takes objects of the fields that frequent requests have, with texts, integers, booleans and `null` for values, and
 * leaves everything else to the schema. What it has read, fast_request.ts checks and turns into requests.
 */
import { neverInline } from "../engine/never_inline.ts";
import { RawText } from "../engine/raw_text.ts";
import {
  asciiText,
  BACKSLASH,
  CLOSE_BRACE,
  COLON,
  COMMA,
  ESCAPES,
  LETTER_F,
  LETTER_N,
  LETTER_T,
  LETTER_U,
  MINUS,
  OPEN_BRACE,
  QUOTE,
  SLASH,
  SPACE,
  ZERO,
} from "../protocol/ascii.ts";
import { fractionEnd, readLongTimestamp } from "../protocol/integer_text.ts";
import type { Timestamp } from "../protocol/timestamp.ts";
import { plainEnd, WORD_BYTES } from "./byte_word.ts";
import { readHex, type Scratch, skipSpace } from "./json_bytes.ts";

const NOT_TAKEN = -1;

/**
 * Names, keys and values stay where they are in the frame, unless they have escapes. An integer beyond 2^53 comes as
 * a timestamp: nothing else is so large.
 */
export type FieldValue = string | RawText | number | boolean | Timestamp | undefined;

/** What a payload may hold, in the order of `Fields`. */
const NAMES = [
  "col",
  "doc",
  "ts",
  "from",
  "to",
  "where",
  "filter",
  "limit",
  "reverse",
  "key",
  "value",
] as const;
/** Where each of them stands. */
export const FIELD = Object.fromEntries(NAMES.map((name, index) => [name, index])) as {
  readonly [Name in (typeof NAMES)[number]]: number;
};
/**
 * A payload's fields; undefined is what it does not have.
 *
 * An array, reused for all payloads: an object with as many members takes a hundred nanoseconds to make.
 */
export type Fields = FieldValue[];
const NAME_LENGTHS = Int32Array.from(NAMES, (name) => name.length);
/* Names are compared as two words, of which only the bytes count that a name has. */
const FIRST_WORDS = Int32Array.from(NAMES, (name) => wordOf(name, 0));
const SECOND_WORDS = Int32Array.from(NAMES, (name) => wordOf(name, WORD_BYTES));
const FIRST_MASKS = Int32Array.from(NAMES, (name) => wordOf("\xff".repeat(name.length), 0));
const SECOND_MASKS = Int32Array.from(NAMES, (name) => wordOf("\xff".repeat(name.length), WORD_BYTES));
/** What is looked up or kept by its bytes. */
const IS_RAW = Uint8Array.from(NAMES, (name) => Number(["col", "doc", "key", "value"].includes(name)));
const [TRUE, FALSE, NULL] = [asciiText("true").bytes, asciiText("false").bytes, asciiText("null").bytes];
/** Whose fractions are cut off. */
const IS_TIME = Uint8Array.from(NAMES, (name) => Number(["ts", "from", "to"].includes(name)));
/** Their first two letters tell the names apart: 1 more than the index of the one that may begin with them. */
const BY_LETTERS = new Uint8Array(1024);
for (const [index, name] of NAMES.entries()) {
  BY_LETTERS[placeOf(name.charCodeAt(0), name.charCodeAt(1))] = index + 1;
}

/** So much of a text is looked at byte by byte, which is faster for names and keys: the processor foresees where they end. */
const SHORT_TEXT_BYTES = 24;

/** What stands before and behind a text: a quote, or in a payload that is itself a JSON string, an escaped one. */
const PLAIN_QUOTE_BYTES = 1;
const ESCAPED_QUOTE_BYTES = 2;

export class FieldScanner {
  /** Of the payload scanned last. */
  readonly fields: Fields = NAMES.map(() => undefined);
  /** Where the last value ended. */
  #end = 0;
  #value: FieldValue;

  /** By field, its text where it stands; reused for all payloads. */
  readonly #raw = NAMES.map(() => new RawText());

  constructor() {
    neverInline(this.#scanObject);
  }

  /** Reads the object that begins at a place; returns where it ends, or -1 when the schema is to decide. */
  scan(source: Scratch, start: number): number {
    return this.#scanObject(source, start, PLAIN_QUOTE_BYTES);
  }

  /**
   * The same inside a JSON string, `{\"col\":\"config\"}`: it need not be copied to undo its escapes.
   *
   * @returns -1 also for texts with escapes of their own and any white space but blanks.
   */
  scanEscaped(source: Scratch, start: number): number {
    return this.#scanObject(source, start, ESCAPED_QUOTE_BYTES);
  }

  #scanObject(source: Scratch, start: number, quoteBytes: number): number {
    const { bytes } = source;
    const { fields } = this;
    for (let index = 0; index < NAMES.length; index++) fields[index] = undefined;
    let seen = 0;
    if (bytes[start] !== OPEN_BRACE) return NOT_TAKEN;
    let at = skipBetween(bytes, start + 1, quoteBytes);
    if (bytes[at] === CLOSE_BRACE) return at + 1;
    for (;;) {
      if (!isQuote(bytes, at, quoteBytes)) return NOT_TAKEN;
      const index = fieldAt(source, at + quoteBytes);
      if (index < 0 || (seen & (1 << index)) !== 0) return NOT_TAKEN;
      seen |= 1 << index;
      at += quoteBytes + (NAME_LENGTHS[index] as number);
      if (!isQuote(bytes, at, quoteBytes)) return NOT_TAKEN;
      at = skipBetween(bytes, at + quoteBytes, quoteBytes);
      if (bytes[at] !== COLON) return NOT_TAKEN;
      at = skipBetween(bytes, at + 1, quoteBytes);
      const isTaken = isQuote(bytes, at, quoteBytes)
        ? this.#scanText(source, at + quoteBytes, quoteBytes, index)
        : this.#scanPlain(bytes, at, index);
      if (!isTaken) return NOT_TAKEN;
      fields[index] = this.#value;
      at = skipBetween(bytes, this.#end, quoteBytes);
      if (bytes[at] === CLOSE_BRACE) return at + 1;
      if (bytes[at] !== COMMA) return NOT_TAKEN;
      at = skipBetween(bytes, at + 1, quoteBytes);
    }
  }

  /** The text that begins at a place, behind its quote. */
  #scanText(source: Scratch, start: number, quoteBytes: number, field: number): boolean {
    const { bytes, view } = source;
    const shortEnd = start + SHORT_TEXT_BYTES;
    let at = start;
    for (; at < shortEnd; at++) {
      const byte = bytes[at] as number;
      if (byte === QUOTE || byte === BACKSLASH) break;
      if (byte < SPACE) return false;
    }
    if (at === shortEnd) at = plainEnd(view, at);
    if ((bytes[at] as number) < SPACE) return false;
    if (!isQuote(bytes, at, quoteBytes)) {
      return quoteBytes === PLAIN_QUOTE_BYTES && this.#scanEscapes(source, start, at);
    }
    this.#end = at + quoteBytes;
    // Patterns are kept by their text, so that is not to be a part of the frame, which would be kept with it.
    if (bytes[start] === SLASH) this.#value = source.copy(start, at);
    else if (at === start) this.#value = "";
    else if (IS_RAW[field] === 0) this.#value = source.part(start, at);
    else this.#value = (this.#raw[field] as RawText).point(source.buffer, start, at);
    return true;
  }

  /** The rest of a plain text that has escapes, from the first of them on. */
  #scanEscapes({ bytes, view, buffer }: Scratch, start: number, firstEscape: number): boolean {
    let at = firstEscape;
    for (; bytes[at] !== QUOTE; at = plainEnd(view, at)) {
      if (bytes[at++] !== BACKSLASH) return false;
      const letter = bytes[at++] as number;
      if (letter === LETTER_U ? readHex(bytes, at) < 0 : ESCAPES[letter] === 0) return false;
    }
    this.#end = at + 1;
    this.#value = JSON.parse(buffer.toString("utf8", start - 1, at + 1));
    return true;
  }

  /** An integer as JSON.stringify writes it, a time, which may have a fraction, a boolean or null. */
  #scanPlain(bytes: Uint8Array, start: number, field: number): boolean {
    const letter = bytes[start];
    if (letter === LETTER_T) return this.#scanWord(bytes, start, TRUE, true);
    if (letter === LETTER_F) return this.#scanWord(bytes, start, FALSE, false);
    // A field that is null is one that is not there, as clients in Python send it.
    if (letter === LETTER_N) return this.#scanWord(bytes, start, NULL, undefined);
    const isNegative = bytes[start] === MINUS;
    const firstDigit = isNegative ? start + 1 : start;
    let at = firstDigit;
    let value = 0;
    for (; ; at++) {
      const digit = (bytes[at] as number) - ZERO;
      if (!(digit >= 0 && digit <= 9)) break;
      value = value * 10 + digit;
    }
    const digits = at - firstDigit;
    const end = IS_TIME[field] === 1 ? fractionEnd(bytes, at) : at;
    if (digits === 0 || !endsValue(bytes[end] as number)) return false;
    if (bytes[firstDigit] === ZERO && (digits > 1 || isNegative)) return false;
    this.#end = end;
    this.#value = isNegative ? -value : value;
    if (value <= Number.MAX_SAFE_INTEGER) return true;
    const timestamp = { high: 0, low: 0 };
    this.#value = timestamp;
    return readLongTimestamp(bytes, firstDigit, at, isNegative, timestamp);
  }

  #scanWord(bytes: Uint8Array, start: number, word: Uint8Array, value: FieldValue): boolean {
    for (let at = 0; at < word.length; at++) if (bytes[start + at] !== word[at]) return false;
    this.#end = start + word.length;
    this.#value = value;
    return endsValue(bytes[this.#end] as number);
  }
}

/** Which field a name stands for, the index in `Fields`; -1 for none. What is behind the name is not looked at. */
function fieldAt({ bytes, view }: Scratch, at: number): number {
  const index = (BY_LETTERS[placeOf(bytes[at] as number, bytes[at + 1] as number)] as number) - 1;
  if (index < 0) return -1;
  const first = view.getInt32(at, true) & (FIRST_MASKS[index] as number);
  const second = view.getInt32(at + WORD_BYTES, true) & (SECOND_MASKS[index] as number);
  return first === FIRST_WORDS[index] && second === SECOND_WORDS[index] ? index : -1;
}

/** Four letters of a name, from one of them on, as they stand in a frame; 0 for what it does not have. */
function wordOf(name: string, from: number): number {
  return Buffer.from(name.slice(from).padEnd(WORD_BYTES, "\0"), "latin1").readInt32LE();
}

function isQuote(bytes: Uint8Array, at: number, quoteBytes: number): boolean {
  if (quoteBytes === PLAIN_QUOTE_BYTES) return bytes[at] === QUOTE;
  return bytes[at] === BACKSLASH && bytes[at + 1] === QUOTE;
}

/** White space; inside a string only blanks can stand for themselves. Mostly there is none: what is copied is short. */
function skipBetween(bytes: Uint8Array, start: number, quoteBytes: number): number {
  return (bytes[start] as number) > SPACE ? start : skipBlanks(bytes, start, quoteBytes);
}

function skipBlanks(bytes: Uint8Array, start: number, quoteBytes: number): number {
  if (quoteBytes === PLAIN_QUOTE_BYTES) return skipSpace(bytes, start);
  let at = start;
  while (bytes[at] === SPACE) at++;
  return at;
}

const endsValue = (byte: number): boolean =>
  byte === COMMA || byte === CLOSE_BRACE || (byte <= SPACE && byte !== 0);

function placeOf(first: number, second: number): number {
  return ((first & 31) << 5) | (second & 31);
}
