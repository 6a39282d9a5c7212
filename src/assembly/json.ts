/**
 * JSON at the level of bytes: white space, and where strings end.
 */
import { BACKSLASH, QUOTE, SPACE } from "./ascii";
import { plainEnd } from "./text";

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

export function skipSpace(start: usize): usize {
  let at = start;
  while (isSpace(load<u8>(at))) at++;
  return at;
}

function isSpace(byte: u8): boolean {
  return byte <= SPACE && (byte === SPACE || byte === 0x0a || byte === 0x0d || byte === 0x09);
}

/**
 * Where the plain part of a string ends: at the first quote, backslash or control character, and there has to be one.
 *
 * Without vectors it is eight bytes at once, as in Warren, Hacker's Delight, 6-1 (find first 0-byte).
 */
export function plainEndOf(start: usize): usize {
  if (ASC_FEATURE_SIMD) return plainEnd(start);
  let at = start;
  let specials = specialsIn(load<u64>(at));
  while (specials === 0) {
    at += 8;
    specials = specialsIn(load<u64>(at));
  }
  return at + ((ctz(specials) >> 3) as usize);
}

/** The high bit of each byte that ends a string's plain part; the lowest is right, those above may be set by mistake. */
function specialsIn(word: u64): u64 {
  const quotes = word ^ (ONES * QUOTE);
  const backslashes = word ^ (ONES * BACKSLASH);
  return (
    (((quotes - ONES) & ~quotes) | ((backslashes - ONES) & ~backslashes) | ((word - ONES * SPACE) & ~word)) &
    HIGH_BITS
  );
}
