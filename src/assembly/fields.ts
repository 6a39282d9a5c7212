/**
 * The fields of a request's payload, read from its bytes: `{"col":"config","key":"a"}`.
 *
 * It takes objects of the fields that frequent requests have, with texts, integers, booleans and `null` for values, and
 * leaves everything else to the schema. What it has read is laid out in VALUES: src/server/fields.ts says which fields
 * there are, and makes of them what requests are made of.
 */
import {
  BACKSLASH,
  CLOSE_BRACE,
  COLON,
  COMMA,
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
} from "./ascii";
import { isShortEscape, NO_HEX, readHex } from "./escape";
import { hash, keyedHash } from "./hash";
import { plainEndOf, skipSpace } from "./json";
import { isName, NAME_ROW_BYTES, NAMES_MAX, nameBytes, nameUse } from "./name_table";
import { PLAIN_QUOTE } from "./quote";
import { copyText, textEnd } from "./text";
import { areDigits, digitsValue, fractionEnd, isDigit } from "./timestamp";
import { PAYLOAD } from "./window";

/** By their first two letters, one more than the number of the field whose name may begin so. Filled by the host. */
export const BY_LETTERS: usize = memory.data(1024, 8);
/** The fields' names, each with what is to be done with its value. Filled by the host. */
export const NAMES: usize = memory.data(NAMES_MAX * 24, 8);
/** A time: its fraction is cut off. */
const IS_TIME: u32 = 1;
/** A name that is going to be looked up, or a key: its hash is told. */
const IS_NAME: u32 = 2;
const IS_KEY: u32 = 4;

/** By field, what kind of value it has, where that begins and ends, its hash; and the number that it is. */
export const VALUES: usize = memory.data(NAMES_MAX * 24, 8);
const VALUE_ROW_BYTES: usize = 24;
const VALUE_START: usize = 4;
const VALUE_END: usize = 8;
const VALUE_HASH: usize = 12;
const VALUE_NUMBER: usize = 16;

/* Kinds of values, as src/server/fields.ts numbers them. */
/** Without escapes. */
const TEXT: i32 = 1;
/** With no escapes but those that it is stored with. */
const STORED_TEXT: i32 = 2;
/** With others, which are valid. */
const ESCAPED_TEXT: i32 = 3;
const NUMBER: i32 = 4;
/** An integer that a double may not hold. */
const LONG: i32 = 5;
const TRUE: i32 = 6;
const FALSE: i32 = 7;
const NULL: i32 = 8;
/** More digits are none that a double holds for sure. */
const DOUBLE_DIGITS: usize = 15;

const WORD_TRUE: u32 = 0x6575_7274;
const WORD_ALSE: u32 = 0x6573_6c61;
const WORD_NULL: u32 = 0x6c6c_756e;

/** Which fields there were, a bit for each. */
export let seenFields: u32 = 0;
/** Where the last value ended. */
let valueEnd: usize = 0;
/** Where texts are put whose escapes have to be undone. */
let textsEnd: usize = PAYLOAD;
/** The kind of text that `escapesEnd` has seen. */
let escapedKind: i32 = ESCAPED_TEXT;

/**
 * Reads the object that begins at a place; with ESCAPED_QUOTE inside a JSON string, `{\"col\":\"config\"}`, where no white
 * space is taken but blanks, and texts with escapes of their own only as far as the records' scanner takes them.
 *
 * Returns where it ends, or 0 when it is not taken.
 */
export function scanObject(start: usize, quoteBytes: usize): usize {
  seenFields = 0;
  textsEnd = PAYLOAD;
  if (load<u8>(start) !== OPEN_BRACE) return 0;
  let at = skipBetween(start + 1, quoteBytes);
  if (load<u8>(at) === CLOSE_BRACE) return at + 1;
  while (isQuote(at, quoteBytes)) {
    const field = fieldAt(at + quoteBytes);
    if (field < 0 || (seenFields & (1 << field)) !== 0) return 0;
    seenFields |= 1 << field;
    const name = NAMES + (field as usize) * NAME_ROW_BYTES;
    const value = VALUES + (field as usize) * VALUE_ROW_BYTES;
    at += quoteBytes + nameBytes(name);
    if (!isQuote(at, quoteBytes)) return 0;
    at = skipBetween(at + quoteBytes, quoteBytes);
    if (load<u8>(at) !== COLON) return 0;
    at = skipBetween(at + 1, quoteBytes);
    const use = nameUse(name);
    const isTaken = isQuote(at, quoteBytes)
      ? scanText(at + quoteBytes, quoteBytes, use, value)
      : scanPlain(at, use, value);
    if (!isTaken) return 0;
    at = skipBetween(valueEnd, quoteBytes);
    if (load<u8>(at) === CLOSE_BRACE) return at + 1;
    if (load<u8>(at) !== COMMA) return 0;
    at = skipBetween(at + 1, quoteBytes);
  }
  return 0;
}

/** The text that begins at a place, behind its quote. */
function scanText(start: usize, quoteBytes: usize, use: u32, value: usize): boolean {
  let textStart = start;
  let end = plainEndOf(start);
  let kind = TEXT;
  if (isQuote(end, quoteBytes)) valueEnd = end + quoteBytes;
  else if (quoteBytes === PLAIN_QUOTE) {
    end = escapesEnd(end);
    if (end === 0) return false;
    kind = escapedKind;
    valueEnd = end + PLAIN_QUOTE;
  } else {
    textStart = textsEnd + 1;
    valueEnd = ASC_FEATURE_SIMD ? copyText(start, textStart) : 0;
    if (valueEnd === 0) return false;
    end = textEnd;
    kind = STORED_TEXT;
    // The host may want it as a JSON string.
    store<u8>(textsEnd, QUOTE);
    store<u8>(end, QUOTE);
    textsEnd = end + 1;
  }
  store<i32>(value, kind);
  store<usize>(value, textStart, VALUE_START);
  store<usize>(value, end, VALUE_END);
  if ((use & IS_NAME) !== 0) store<u32>(value, hash(textStart, end), VALUE_HASH);
  else if ((use & IS_KEY) !== 0) store<u32>(value, keyedHash(textStart, end), VALUE_HASH);
  return true;
}

/** Where a text ends, before its quote, that has escapes from a place on, or 0. */
function escapesEnd(firstEscape: usize): usize {
  let at = firstEscape;
  escapedKind = STORED_TEXT;
  while (load<u8>(at) !== QUOTE) {
    if (load<u8>(at) !== BACKSLASH) return 0;
    const letter = load<u8>(at, 1);
    at += 2;
    if (letter === LETTER_U) {
      if (readHex(at) === NO_HEX) return 0;
    } else if (letter !== SLASH && letter !== QUOTE && letter !== BACKSLASH && !isShortEscape(letter))
      return 0;
    if (letter === LETTER_U || letter === SLASH) escapedKind = ESCAPED_TEXT;
    at = plainEndOf(at);
  }
  return at;
}

/** An integer as JSON.stringify writes it, a time, which may have a fraction, a boolean or null. */
function scanPlain(start: usize, use: u32, value: usize): boolean {
  const letter = load<u8>(start);
  if (letter === LETTER_T) return load<u32>(start) === WORD_TRUE && endWord(start + 4, TRUE, value);
  if (letter === LETTER_F) return load<u32>(start, 1) === WORD_ALSE && endWord(start + 5, FALSE, value);
  if (letter === LETTER_N) return load<u32>(start) === WORD_NULL && endWord(start + 4, NULL, value);
  const isNegative = letter === MINUS;
  const firstDigit = isNegative ? start + 1 : start;
  let at = firstDigit;
  let number: i64 = 0;
  for (let word = load<u64>(at); areDigits(word); word = load<u64>(at)) {
    number = number * 100_000_000 + digitsValue(word);
    at += 8;
  }
  for (; isDigit(load<u8>(at)); at++) number = number * 10 + (load<u8>(at) - ZERO);
  const digits = at - firstDigit;
  if (digits === 0 || (load<u8>(firstDigit) === ZERO && (digits > 1 || isNegative))) return false;
  const end = (use & IS_TIME) !== 0 ? fractionEnd(at) : at;
  if (!endsValue(load<u8>(end))) return false;
  store<i32>(value, digits > DOUBLE_DIGITS ? LONG : NUMBER);
  store<usize>(value, start, VALUE_START);
  store<usize>(value, at, VALUE_END);
  store<f64>(value, (isNegative ? -number : number) as f64, VALUE_NUMBER);
  valueEnd = end;
  return true;
}

function endWord(end: usize, kind: i32, value: usize): boolean {
  store<i32>(value, kind);
  valueEnd = end;
  return endsValue(load<u8>(end));
}

/** Which field a name stands for; -1 for none. What is behind the name is not looked at. */
function fieldAt(at: usize): i32 {
  const first: usize = load<u8>(at) & 31;
  const second: usize = load<u8>(at, 1) & 31;
  const field = (load<u8>(BY_LETTERS + (first << 5) + second) as i32) - 1;
  if (field < 0) return -1;
  return isName(NAMES + (field as usize) * NAME_ROW_BYTES, at) ? field : -1;
}

function isQuote(at: usize, quoteBytes: usize): boolean {
  if (quoteBytes === PLAIN_QUOTE) return load<u8>(at) === QUOTE;
  return load<u8>(at) === BACKSLASH && load<u8>(at, 1) === QUOTE;
}

/** White space; inside a string only blanks can stand for themselves. Mostly there is none. */
function skipBetween(start: usize, quoteBytes: usize): usize {
  let at = start;
  if (load<u8>(at) > SPACE) return at;
  if (quoteBytes === PLAIN_QUOTE) return skipSpace(at);
  while (load<u8>(at) === SPACE) at++;
  return at;
}

function endsValue(byte: u8): boolean {
  return byte === COMMA || byte === CLOSE_BRACE || (byte <= SPACE && byte !== 0);
}
