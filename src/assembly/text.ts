/**
 * Strings, sixteen bytes at once.
 */
import { BACKSLASH, LETTER_U, QUOTE, QUOTE_IN_STRING, SPACE } from "./ascii";
import { isShortEscape, letterEnd, writeLetters } from "./escape";
import { ESCAPED_QUOTE, PLAIN_QUOTE } from "./quote";

/* What stands in a string for what is an escape in the data, as little-endian integers. */
const QUOTE_IN_DATA: u32 = 0x225c_5c5c; // \\\"
const BACKSLASH_IN_DATA: u32 = 0x5c5c_5c5c; // \\\\
const BACKSLASH_IN_STRING: u16 = 0x5c5c; // \\

/** A bit for each of sixteen bytes that is a quote, a backslash or a control character: what ends a string's plain part. */
function specialsIn(bytes: v128): i32 {
  const quotes = i8x16.eq(bytes, i8x16.splat(QUOTE));
  const backslashes = i8x16.eq(bytes, i8x16.splat(BACKSLASH));
  return i8x16.bitmask(v128.or(v128.or(quotes, backslashes), i8x16.lt_u(bytes, i8x16.splat(SPACE))));
}

/** Where the plain part of a string ends that goes on at a place: at the first such byte, and there has to be one. */
export function plainEnd(start: usize): usize {
  let at = start;
  let specials = specialsIn(v128.load(at));
  while (specials === 0) {
    at += 16;
    specials = specialsIn(v128.load(at));
  }
  return at + ctz(specials);
}

/** By a bit for each of eight bytes that are to be left out, the places of the others. */
const KEPT_PLACES: usize = memory.data(256 * 8, 16);
for (let left = 0; left < 256; left++) {
  let to = KEPT_PLACES + left * 8;
  for (let byte = 0; byte < 8; byte++) if (((left >> byte) & 1) === 0) store<u8>(to++, byte as u8);
}

/** Where the text that was copied last ends. */
export let textEnd: usize = 0;

/**
 * Copies a record's data, from behind its quote on, and undoes one level of its escapes: what is left is canonical.
 *
 * A quote in data, `\\\"`, loses its first two bytes by a shuffle with a table, as simdjson's `minify` leaves out white
 * space (Langdale and Lemire, "Parsing gigabytes of JSON per second", 2019): so nothing waits for where the quote before
 * was. All else that is special, and a quote that goes on behind the sixteen bytes, is looked at by itself.
 *
 * Returns where the data ends, behind its quote, or 0.
 */
export function copyText(start: usize, target: usize): usize {
  let at = start;
  let to = target;
  for (;;) {
    const bytes = v128.load(at);
    const specials = specialsIn(bytes);
    if (specials === 0) {
      v128.store(to, bytes);
      at += 16;
      to += 16;
      continue;
    }
    const backslashes = i8x16.bitmask(i8x16.eq(bytes, i8x16.splat(BACKSLASH)));
    const quotes = i8x16.bitmask(i8x16.eq(bytes, i8x16.splat(QUOTE)));
    /** Where a quote in data begins. */
    const begins = backslashes & (backslashes >> 1) & (backslashes >> 2) & (quotes >> 3);
    const others = specials & ~(begins * 0b1111);
    if (begins === 0) v128.store(to, bytes);
    else {
      const left = begins * 0b11;
      const front = left & 0xff;
      const back = left >> 8;
      const backPlaces = i8x16.add(v128.load64_zero(KEPT_PLACES + back * 8), i8x16.splat(8));
      v128.store(to, i8x16.swizzle(bytes, v128.load64_zero(KEPT_PLACES + front * 8)));
      v128.store(to + 8 - popcnt(front), i8x16.swizzle(bytes, backPlaces));
    }
    if (others === 0) {
      at += 16;
      to += 16 - 2 * popcnt(begins);
      continue;
    }
    const size = ctz(others);
    at += size;
    to += size - 2 * popcnt(begins & ((1 << size) - 1));

    if (load<u32>(at) === QUOTE_IN_DATA) {
      store<u16>(to, QUOTE_IN_STRING);
      at += 4;
      to += 2;
      continue;
    }
    if (load<u16>(at) === QUOTE_IN_STRING) break;
    if (load<u16>(at) !== BACKSLASH_IN_STRING) return 0;
    // An escape of the record's own, which stays one.
    if (load<u32>(at) === BACKSLASH_IN_DATA) {
      store<u16>(to, BACKSLASH_IN_STRING);
      at += 4;
      to += 2;
      continue;
    }
    const letter = load<u8>(at, 2);
    if (letter === LETTER_U) {
      at = writeLetters(at, to, ESCAPED_QUOTE);
      if (at === 0) return 0;
      to = letterEnd;
      continue;
    }
    if (!isShortEscape(letter)) return 0;
    store<u8>(to, BACKSLASH);
    store<u8>(to, letter, 1);
    at += 3;
    to += 2;
  }
  textEnd = to;
  return at + 2;
}

/**
 * Copies a record's data whose escapes are those that it is stored with, from behind its quote on: `\"`, `\\` and what
 * JSON.stringify writes for control characters; letters that are escapes become themselves.
 *
 * Returns where the data ends, behind its quote, or 0.
 */
export function copyStoredText(start: usize, target: usize): usize {
  let at = start;
  let to = target;
  for (;;) {
    const bytes = v128.load(at);
    v128.store(to, bytes);
    const specials = specialsIn(bytes);
    if (specials === 0) {
      at += 16;
      to += 16;
      continue;
    }
    const backslashes = i8x16.bitmask(i8x16.eq(bytes, i8x16.splat(BACKSLASH)));
    const quotes = i8x16.bitmask(i8x16.eq(bytes, i8x16.splat(QUOTE)));
    /** Of sixteen bytes whose only escapes are those of quotes, nothing else is special. */
    const escapedQuotes = (backslashes << 1) & quotes;
    const others = specials & ~(escapedQuotes | (escapedQuotes >> 1));
    const size = others === 0 ? 16 : ctz(others);
    at += size;
    to += size;
    if (others === 0) continue;
    if (load<u8>(at) === QUOTE) break;
    if (load<u8>(at) !== BACKSLASH) return 0;
    const letter = load<u8>(at, 1);
    if (letter === LETTER_U) {
      at = writeLetters(at, to, PLAIN_QUOTE);
      if (at === 0) return 0;
      to = letterEnd;
      continue;
    }
    if (letter !== QUOTE && letter !== BACKSLASH && !isShortEscape(letter)) return 0;
    store<u8>(to, BACKSLASH);
    store<u8>(to, letter, 1);
    at += 2;
    to += 2;
  }
  textEnd = to;
  return at + 1;
}
