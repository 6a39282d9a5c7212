/**
 * Names of collections and documents: where they end, and whether two are the same.
 */
import { nameBytesMax } from "./host";
import { isQuote } from "./quote";
import { plainEnd } from "./text";

/** Where a name ends that begins at a place, before its quote; 0 for one that is empty, too long, or has escapes. */
export function nameEnd<Quote>(start: usize): usize {
  const at = plainEnd(start);
  const size = at - start;
  return isQuote<Quote>(at) && size > 0 && size <= (nameBytesMax as usize) ? at : 0;
}

/** Whether two names are the same bytes. */
export function isSame(start: usize, end: usize, otherStart: usize, otherEnd: usize): boolean {
  const size = end - start;
  if (otherEnd - otherStart !== size) return false;
  for (let at: usize = 0; at < size; at += 16) {
    const same = i8x16.eq(v128.load(start + at), v128.load(otherStart + at));
    const counted: i32 = size - at < 16 ? (1 << (size - at)) - 1 : 0xffff;
    if ((i8x16.bitmask(same) & counted) !== counted) return false;
  }
  return true;
}
