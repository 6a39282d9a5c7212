/**
 * Escapes: those that stay what they are, and letters that are written as one, `\u00e9`, and are stored as themselves.
 */
import { BACKSLASH, LETTER_B, LETTER_F, LETTER_N, LETTER_R, LETTER_T, LETTER_U, QUOTE, SPACE } from "./ascii";

/** What is no number of four hexadecimal digits. */
export const NO_HEX: u32 = 0xffff_ffff;
const HEX_BYTES: usize = 4;

/** Where the letters end that were written last. */
export let letterEnd: usize = 0;

/**
 * Writes the letters that the escapes from a place on stand for: where one is, others mostly follow.
 *
 * Returns where the escapes end, or 0 for half a surrogate pair, for what is no escape, and for characters that are stored
 * as escapes.
 */
export function writeLetters(start: usize, to: usize, backslashes: usize): usize {
  let at = start;
  letterEnd = to;
  do {
    at = writeLetter(at, letterEnd, backslashes);
  } while (at !== 0 && isEscape(at, backslashes));
  return at;
}

/** Whether one begins at a place; its backslashes are one, or two in JSON that is itself in a string. */
function isEscape(at: usize, backslashes: usize): boolean {
  const last = at + backslashes - 1;
  return load<u8>(at) === BACKSLASH && load<u8>(last) === BACKSLASH && load<u8>(last, 1) === LETTER_U;
}

function writeLetter(start: usize, to: usize, backslashes: usize): usize {
  const digits = start + backslashes + 1;
  const unit = readHex(digits);
  if (unit === NO_HEX) return 0;
  const next = digits + HEX_BYTES;
  if (unit < 0xd800 || unit > 0xdfff) {
    if (unit < (SPACE as u32) || unit === (QUOTE as u32) || unit === (BACKSLASH as u32)) return 0;
    letterEnd = writeCodePoint(to, unit);
    return next;
  }
  if (unit > 0xdbff || !isEscape(next, backslashes)) return 0;
  const second = readHex(next + backslashes + 1);
  if (second < 0xdc00 || second > 0xdfff) return 0;
  letterEnd = writeCodePoint(to, 0x1_0000 + ((unit & 0x3ff) << 10) + (second & 0x3ff));
  return next + backslashes + 1 + HEX_BYTES;
}

/** Four hexadecimal digits, or NO_HEX. */
export function readHex(start: usize): u32 {
  let value: u32 = 0;
  for (let at = start; at < start + 4; at++) {
    const byte = load<u8>(at) as u32;
    const digit = byte - 0x30;
    const letter = (byte | 0x20) - 0x61;
    if (digit > 9 && letter > 5) return NO_HEX;
    value = (value << 4) | (digit > 9 ? letter + 10 : digit);
  }
  return value;
}

/** Writes it in UTF-8; returns where it ends. */
function writeCodePoint(to: usize, codePoint: u32): usize {
  if (codePoint < 0x80) {
    store<u8>(to, codePoint);
    return to + 1;
  }
  if (codePoint < 0x800) {
    store<u8>(to, 0xc0 | (codePoint >> 6));
    store<u8>(to, 0x80 | (codePoint & 0x3f), 1);
    return to + 2;
  }
  if (codePoint < 0x1_0000) {
    store<u8>(to, 0xe0 | (codePoint >> 12));
    store<u8>(to, 0x80 | ((codePoint >> 6) & 0x3f), 1);
    store<u8>(to, 0x80 | (codePoint & 0x3f), 2);
    return to + 3;
  }
  store<u8>(to, 0xf0 | (codePoint >> 18));
  store<u8>(to, 0x80 | ((codePoint >> 12) & 0x3f), 1);
  store<u8>(to, 0x80 | ((codePoint >> 6) & 0x3f), 2);
  store<u8>(to, 0x80 | (codePoint & 0x3f), 3);
  return to + 4;
}

/** Whether it is one that JSON.stringify writes behind a backslash, for a control character. */
export function isShortEscape(letter: u8): boolean {
  return (
    letter === LETTER_B ||
    letter === LETTER_F ||
    letter === LETTER_N ||
    letter === LETTER_R ||
    letter === LETTER_T
  );
}
