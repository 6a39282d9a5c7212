/**
 * A record's data that comes as a JSON value instead of text, as `{"t":20.5}`: written as what is stored, which is its
 * compact text, escaped.
 *
 * Quotes and escapes are copied, white space is left out, and the zeros at the end of a fraction, which Python writes. What
 * would be written in another way once it was parsed is left to the schema: numbers with an exponent, smaller than
 * 10^-6, or minus zero, escapes that need not be, names that look like an index, since JavaScript moves those to the
 * front, and a name that comes twice.
 */
import { neverInline } from "../engine/never_inline.ts";
import {
  asciiText,
  BACKSLASH,
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COLON,
  COMMA,
  DOT,
  ESCAPES,
  LETTER_F,
  LETTER_N,
  LETTER_T,
  MINUS,
  OPEN_BRACE,
  OPEN_BRACKET,
  QUOTE,
  SLASH,
  SPACE,
  twoBytes,
  ZERO,
} from "../protocol/ascii.ts";
import { isDigit } from "../protocol/integer_text.ts";
import { copyPlain, WORD_BYTES } from "./byte_word.ts";
import { skipSpace } from "./json_bytes.ts";

/** Deeper values are left to the schema. */
const DEPTH_MAX = 32;
/*
 * So is what would take long: each name is held against those before it. Of a frame that is read at once, that is 15 ms at
 * the most.
 */
const NAMES_MAX = 64;
const NAME_BYTES_MAX = 64;
const COMPARED_MAX = 256;
/** Numbers of so many digits, the point counted, are kept as they came: see json.ts. */
const KEPT_DIGITS = 16;
/** A fraction that begins with so many zeros is written with an exponent. */
const SMALL_ZEROS = 6;

const TRUE = asciiText("true").bytes;
const FALSE = asciiText("false").bytes;
const NULL = asciiText("null").bytes;
const PROTO = asciiText("__proto__").bytes;
const ESCAPED_QUOTE = twoBytes('\\"');

export class JsonValueWriter {
  /** Where the value that was written last ended: where it was read, and where it was written. */
  sourceEnd = 0;
  targetEnd = 0;

  #bytes: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #target = this.#bytes;
  #targetView = this.#view;
  /** Whether what is read stands in a JSON string itself, where a quote is `\"`. */
  #isEscaped = false;
  /** The names of all objects that are open: where each begins and ends. */
  readonly #names = new Int32Array(2 * NAMES_MAX);
  readonly #marks = new Int32Array(NAMES_MAX);
  #nameCount = 0;
  /** How many names of the same mark were compared. */
  #compared = 0;

  constructor() {
    neverInline(this.write, this.#writeObject, this.#writeArray, this.#writeString);
  }

  /**
   * Writes the value that begins at a place; false when the schema is to decide, and then what was written is void.
   *
   * What is written takes up to twice the room of what is read, in a string up to as much, and three bytes more.
   */
  write(
    bytes: Uint8Array,
    view: DataView,
    start: number,
    isEscaped: boolean,
    target: Uint8Array,
    targetView: DataView,
    to: number,
  ): boolean {
    this.#bytes = bytes;
    this.#view = view;
    this.#target = target;
    this.#targetView = targetView;
    this.#isEscaped = isEscaped;
    this.sourceEnd = start;
    this.targetEnd = to;
    this.#nameCount = 0;
    this.#compared = 0;
    return this.#writeValue(0);
  }

  #writeValue(depth: number): boolean {
    switch (this.#bytes[this.sourceEnd]) {
      case OPEN_BRACE:
        return depth < DEPTH_MAX && this.#writeObject(depth + 1);
      case OPEN_BRACKET:
        return depth < DEPTH_MAX && this.#writeArray(depth + 1);
      case QUOTE:
      case BACKSLASH:
        return this.#writeString();
      case LETTER_T:
        return this.#writeWord(TRUE);
      case LETTER_F:
        return this.#writeWord(FALSE);
      case LETTER_N:
        return this.#writeWord(NULL);
      default:
        return this.#writeNumber();
    }
  }

  #writeObject(depth: number): boolean {
    const bytes = this.#bytes;
    const firstName = this.#nameCount;
    /** A bit for each kind of mark: most names are of a kind of their own. */
    let kinds = 0;
    this.#writeByte(OPEN_BRACE);
    if (bytes[this.#skip()] !== CLOSE_BRACE) {
      for (;;) {
        const start = this.sourceEnd + (this.#isEscaped ? 2 : 1);
        if (!this.#writeString()) return false;
        const end = this.sourceEnd - (this.#isEscaped ? 2 : 1);
        const mark = markOf(bytes, this.#view, start, end);
        const kind = 1 << mark;
        if (!this.#addName(start, end, mark, (kinds & kind) === 0 ? this.#nameCount : firstName))
          return false;
        kinds |= kind;
        if (bytes[this.#skip()] !== COLON) return false;
        this.#writeByte(COLON);
        this.#skip();
        if (!this.#writeValue(depth)) return false;
        if (bytes[this.#skip()] !== COMMA) break;
        this.#writeByte(COMMA);
        this.#skip();
      }
    }
    this.#nameCount = firstName;
    if (bytes[this.sourceEnd] !== CLOSE_BRACE) return false;
    this.#writeByte(CLOSE_BRACE);
    return true;
  }

  #writeArray(depth: number): boolean {
    const bytes = this.#bytes;
    this.#writeByte(OPEN_BRACKET);
    if (bytes[this.#skip()] !== CLOSE_BRACKET) {
      for (;;) {
        if (!this.#writeValue(depth)) return false;
        if (bytes[this.#skip()] !== COMMA) break;
        this.#writeByte(COMMA);
        this.#skip();
      }
    }
    if (bytes[this.sourceEnd] !== CLOSE_BRACKET) return false;
    this.#writeByte(CLOSE_BRACKET);
    return true;
  }

  /** False for a name that is there already, from `firstName` on, or that parsing would treat in its own way. */
  #addName(start: number, end: number, mark: number, firstName: number): boolean {
    const bytes = this.#bytes;
    const names = this.#names;
    const marks = this.#marks;
    const { length } = PROTO;
    // What begins with a digit may be an index.
    if (isDigit(bytes[start] as number)) return false;
    if (this.#nameCount === NAMES_MAX || end - start > NAME_BYTES_MAX) return false;
    if (end - start === length && isSame(bytes, start, PROTO, 0, length)) return false;
    for (let index = firstName; index < this.#nameCount; index++) {
      if (marks[index] !== mark) continue;
      if (++this.#compared > COMPARED_MAX) return false;
      const other = names[2 * index] as number;
      const isAsLong = (names[2 * index + 1] as number) - other === end - start;
      if (isAsLong && isSame(bytes, start, bytes, other, end - start)) return false;
    }
    marks[this.#nameCount] = mark;
    names[2 * this.#nameCount] = start;
    names[2 * this.#nameCount + 1] = end;
    this.#nameCount++;
    return true;
  }

  #writeString(): boolean {
    const bytes = this.#bytes;
    const view = this.#view;
    const target = this.#target;
    const targetView = this.#targetView;
    const isEscaped = this.#isEscaped;
    let at = this.sourceEnd;
    let to = this.targetEnd;
    if (isEscaped && bytes[at++] !== BACKSLASH) return false;
    if (bytes[at++] !== QUOTE) return false;
    targetView.setInt16(to, ESCAPED_QUOTE, true);
    to += 2;
    for (;;) {
      const plain = copyPlain(view, at, targetView, to);
      at += plain;
      to += plain;
      if (isEscaped && bytes[at++] !== BACKSLASH) return false;
      if (bytes[at] === QUOTE) break;
      // What is an escape in the value is one behind two backslashes in the text.
      if (bytes[at++] !== BACKSLASH) return false;
      if (isEscaped) {
        const isThird = bytes[at] === BACKSLASH;
        if (isThird) at++;
        if (isThird !== (bytes[at] === QUOTE || bytes[at] === BACKSLASH)) return false;
      }
      const letter = bytes[at++] as number;
      if (letter === SLASH || ESCAPES[letter] === 0) return false;
      target[to++] = BACKSLASH;
      target[to++] = BACKSLASH;
      if (letter === QUOTE || letter === BACKSLASH) target[to++] = BACKSLASH;
      target[to++] = letter;
    }
    targetView.setInt16(to, ESCAPED_QUOTE, true);
    this.sourceEnd = at + 1;
    this.targetEnd = to + 2;
    return true;
  }

  #writeNumber(): boolean {
    const bytes = this.#bytes;
    const start = this.sourceEnd;
    const first = bytes[start] === MINUS ? start + 1 : start;
    let at = first;
    while (isDigit(bytes[at] as number)) at++;
    const wholeEnd = at;
    if (wholeEnd === first || (bytes[first] === ZERO && wholeEnd > first + 1)) return false;
    if (bytes[at] === DOT) {
      at++;
      while (isDigit(bytes[at] as number)) at++;
      if (at === wholeEnd + 1) return false;
    }
    let end = at;
    if (at - first < KEPT_DIGITS) {
      if (at > wholeEnd) {
        while (bytes[end - 1] === ZERO) end--;
        if (end === wholeEnd + 1) end = wholeEnd;
      }
      if (bytes[first] === ZERO && isSmall(bytes, first, end, first > start)) return false;
    }
    this.#copy(start, end);
    this.sourceEnd = at;
    return true;
  }

  #writeWord(word: Uint8Array): boolean {
    if (!isSame(this.#bytes, this.sourceEnd, word, 0, word.length)) return false;
    this.#copy(this.sourceEnd, this.sourceEnd + word.length);
    this.sourceEnd += word.length;
    return true;
  }

  #copy(start: number, end: number): void {
    const bytes = this.#bytes;
    const target = this.#target;
    let to = this.targetEnd;
    for (let at = start; at < end; at++) target[to++] = bytes[at] as number;
    this.targetEnd = to;
  }

  #writeByte(byte: number): void {
    this.#target[this.targetEnd++] = byte;
    this.sourceEnd++;
  }

  /** Leaves white space out; in a string only blanks can stand for themselves. Returns where what follows begins. */
  #skip(): number {
    const bytes = this.#bytes;
    let at = this.sourceEnd;
    if ((bytes[at] as number) <= SPACE) {
      if (this.#isEscaped) while (bytes[at] === SPACE) at++;
      else at = skipSpace(bytes, at);
      this.sourceEnd = at;
    }
    return at;
  }
}

/** Whether a number that begins with 0 is 0 with a sign, or so small that it is written with an exponent. */
function isSmall(bytes: Uint8Array, first: number, end: number, isNegative: boolean): boolean {
  if (end === first + 1) return isNegative;
  const decimals = first + 2;
  for (let at = decimals; at < decimals + SMALL_ZEROS; at++)
    if (at >= end || bytes[at] !== ZERO) return false;
  return true;
}

/** Tells most names apart: made of their first and last letters, and their length. */
function markOf(bytes: Uint8Array, view: DataView, start: number, end: number): number {
  const size = end - start;
  if (size >= WORD_BYTES) {
    const last = view.getInt32(end - WORD_BYTES, true);
    return mixed(Math.imul(view.getInt32(start, true), 0x01000193) ^ last ^ size);
  }
  let mark = size;
  for (let at = start; at < end; at++) mark = (mark << 8) | (bytes[at] as number);
  return mixed(mark);
}

const mixed = (mark: number): number => {
  const product = Math.imul(mark, 0x2c1b3c6d);
  return product ^ (product >>> 16);
};

function isSame(
  bytes: Uint8Array,
  start: number,
  other: Uint8Array,
  otherStart: number,
  length: number,
): boolean {
  for (let at = 0; at < length; at++) if (bytes[start + at] !== other[otherStart + at]) return false;
  return true;
}
