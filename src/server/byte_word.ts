/**
 * JSON looked at four bytes at a time, each word the integer that a little-endian read of them gives.
 *
 * A scanner's loop over bytes takes 1.2 ns for each of them; over words of four, 0.6 for text and 0.9 for JSON of short
 * names and numbers. The arithmetic works on all bytes of a word at once, as in Warren, Hacker's Delight, 6-1 (find
 * first 0-byte).
 */
import { fourBytes } from "../protocol/ascii.ts";

export const WORD_BYTES = 4;

const BACKSLASHES = fourBytes("\\\\\\\\");
const QUOTES = fourBytes('""""');
const SPACES = fourBytes("    ");
const ONES = 0x0101_0101;
const HIGH_BITS = 0x8080_8080 | 0;

/**
 * Not 0 where one of a word's bytes is a quote, a backslash or a control character: what ends a string's plain part.
 *
 * The lowest bit that is set is the high bit of the first such byte; those above it may be set by mistake.
 */
function specialIn(word: number): number {
  const backslashes = word ^ BACKSLASHES;
  const quotes = word ^ QUOTES;
  return (
    (((backslashes - ONES) & ~backslashes) | ((quotes - ONES) & ~quotes) | ((word - SPACES) & ~word)) &
    HIGH_BITS
  );
}

/**
 * How many bytes of a word come before the first special one, of which there is one.
 *
 * By branches, not by counting bits: in texts of the same shape they are foreseen, and nothing waits for a count.
 */
function plainBefore(special: number): number {
  if ((special & 0x80) !== 0) return 0;
  if ((special & 0x8000) !== 0) return 1;
  return (special & 0x80_0000) !== 0 ? 2 : 3;
}

/** Where the plain part of a string ends: at the first quote, backslash or control character, and there has to be one. */
export function plainEnd(view: DataView, start: number): number {
  for (let at = start; ; at += WORD_BYTES) {
    const special = specialIn(view.getInt32(at, true));
    if (special !== 0) return at + plainBefore(special);
  }
}

/**
 * Copies the plain part of a string that goes on at a place, and up to three bytes behind it, which whatever comes next is
 * written over. Returns how long the plain part is.
 */
export function copyPlain(source: DataView, start: number, target: DataView, to: number): number {
  for (let size = 0; ; size += WORD_BYTES) {
    const word = source.getInt32(start + size, true);
    target.setInt32(to + size, word, true);
    const special = specialIn(word);
    if (special !== 0) return size + plainBefore(special);
  }
}
