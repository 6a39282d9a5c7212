/**
 * The fields of a request's payload, read from its bytes: `{"col":"config","key":"a"}`.
 *
 * It takes objects of the fields that frequent requests have, with texts, integers and booleans for values, and leaves
 * everything else to the schema, `null` too. What it has read, fast_request.ts checks and turns into requests.
 */
import {
  BACKSLASH,
  CLOSE_BRACE,
  COMMA,
  ESCAPES,
  LETTER_F,
  LETTER_T,
  LETTER_U,
  MINUS,
  OPEN_BRACE,
  QUOTE,
  SPACE,
  ZERO,
} from "../protocol/ascii.ts";
import type { Timestamp } from "../protocol/timestamp.ts";
import { readHex, readLongInteger, type Scratch, skipSpace, valueAfter } from "./json_bytes.ts";

const NOT_TAKEN = -1;
const ASCII_END = 0x80;
/** So many digits are exact in a double, and so many can a 64-bit integer have. */
const EXACT_DIGITS = 15;
const DIGITS_MAX = 19;

/** An integer beyond 15 digits comes as a timestamp: nothing else is so long. */
type FieldValue = string | number | boolean | Timestamp | undefined;

/** What a payload may hold; undefined is what it does not. */
export class Fields {
  col: FieldValue = undefined;
  doc: FieldValue = undefined;
  ts: FieldValue = undefined;
  from: FieldValue = undefined;
  to: FieldValue = undefined;
  where: FieldValue = undefined;
  filter: FieldValue = undefined;
  limit: FieldValue = undefined;
  reverse: FieldValue = undefined;
  key: FieldValue = undefined;
  value: FieldValue = undefined;
}

const NAMES = Object.keys(new Fields()) as (keyof Fields)[];
const NAME_BYTES = NAMES.map((name) => Buffer.from(`${name}"`));
/** Their first two letters tell the names apart: 1 more than the index of the one that may begin with them. */
const BY_LETTERS = new Uint8Array(1024);
for (const [index, [first, second]] of NAME_BYTES.entries()) {
  BY_LETTERS[lettersAt([first, second], 0)] = index + 1;
}

export class FieldScanner {
  /** Of the payload scanned last. */
  fields = new Fields();
  /** Where the last value ended. */
  #end = 0;
  #value: FieldValue;

  /** Reads the object that begins at a place; returns where it ends, or -1 when the schema is to decide. */
  scan({ bytes, buffer }: Scratch, start: number): number {
    const fields = new Fields();
    this.fields = fields;
    let seen = 0;
    let at = skipSpace(bytes, start + 1);
    if (bytes[start] !== OPEN_BRACE) return NOT_TAKEN;
    if (bytes[at] === CLOSE_BRACE) return at + 1;
    for (;;) {
      if (bytes[at] !== QUOTE) return NOT_TAKEN;
      const index = (BY_LETTERS[lettersAt(bytes, at + 1)] as number) - 1;
      if (index < 0 || (seen & (1 << index)) !== 0) return NOT_TAKEN;
      seen |= 1 << index;
      const name = NAME_BYTES[index] as Buffer;
      for (let letter = 0; letter < name.length; letter++) {
        if (bytes[at + 1 + letter] !== name[letter]) return NOT_TAKEN;
      }
      at = valueAfter(bytes, at + 1 + name.length);
      const first = bytes[at] as number;
      if (first === QUOTE ? !this.#scanText(bytes, buffer, at) : !this.#scanPlain(bytes, at))
        return NOT_TAKEN;
      fields[NAMES[index] as keyof Fields] = this.#value;
      at = this.#end;
      if (bytes[at] !== COMMA) at = skipSpace(bytes, at);
      if (bytes[at] === CLOSE_BRACE) return at + 1;
      if (bytes[at] !== COMMA) return NOT_TAKEN;
      at = skipSpace(bytes, at + 1);
    }
  }

  #scanText(bytes: Uint8Array, buffer: Buffer, start: number): boolean {
    let bits = 0;
    let hasEscapes = false;
    let at = start + 1;
    for (; ; at++) {
      const byte = bytes[at] as number;
      if (byte === QUOTE) break;
      if (byte < SPACE) return false;
      bits |= byte;
      if (byte !== BACKSLASH) continue;
      hasEscapes = true;
      const letter = bytes[++at] as number;
      if (letter === LETTER_U ? readHex(bytes, at + 1) < 0 : ESCAPES[letter] === 0) return false;
    }
    this.#end = at + 1;
    if (hasEscapes) this.#value = JSON.parse(buffer.toString("utf8", start, at + 1));
    else if (bits < ASCII_END) this.#value = buffer.toString("latin1", start + 1, at);
    else this.#value = buffer.toString("utf8", start + 1, at);
    return true;
  }

  /** An integer as JSON.stringify writes it, or a boolean. */
  #scanPlain(bytes: Uint8Array, start: number): boolean {
    if (bytes[start] === LETTER_T) return this.#scanWord(bytes, start, true);
    if (bytes[start] === LETTER_F) return this.#scanWord(bytes, start, false);
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
    if (digits === 0 || digits > DIGITS_MAX || !endsValue(bytes[at] as number)) return false;
    if (bytes[firstDigit] === ZERO && (digits > 1 || isNegative)) return false;
    this.#end = at;
    this.#value = isNegative ? -value : value;
    if (digits <= EXACT_DIGITS) return true;
    const magnitude = { high: 0, low: 0 };
    // Long negative numbers are rare, and left to the schema.
    if (isNegative || !readLongInteger(bytes, { start: firstDigit, end: at }, magnitude)) return false;
    this.#value = magnitude;
    return true;
  }

  #scanWord(bytes: Uint8Array, start: number, value: boolean): boolean {
    const word = value ? TRUE : FALSE;
    for (let at = 0; at < word.length; at++) if (bytes[start + at] !== word[at]) return false;
    this.#end = start + word.length;
    this.#value = value;
    return endsValue(bytes[this.#end] as number);
  }
}

const TRUE = Buffer.from("true");
const FALSE = Buffer.from("false");

const endsValue = (byte: number): boolean =>
  byte === COMMA || byte === CLOSE_BRACE || (byte <= SPACE && byte !== 0);

function lettersAt(bytes: ArrayLike<number | undefined>, at: number): number {
  return (((bytes[at] as number) & 31) << 5) | ((bytes[at + 1] as number) & 31);
}
