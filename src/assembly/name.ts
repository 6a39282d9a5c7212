/**
 * Names of collections and documents: where they end, whether two are the same, and their hash.
 */
import { QUOTE_IN_STRING } from "./ascii";
import { nameBytesMax } from "./host";
import { plainEnd } from "./text";

/** Where a name ends that begins at a place, before its quote; 0 for one that is empty, too long, or has escapes. */
export function nameEnd(start: usize): usize {
  const at = plainEnd(start);
  const size = at - start;
  return load<u16>(at) === QUOTE_IN_STRING && size > 0 && size <= (nameBytesMax as usize) ? at : 0;
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

/** The same as hashBytes in src/engine/name.ts: MurmurHash3_x86_32 (Austin Appleby, 2011). */
export function hash(start: usize, end: usize): u32 {
  let state: u32 = 0;
  let at = start;
  for (; at + 4 <= end; at += 4) state = rotl(state ^ mixed(load<u32>(at)), 13) * 5 + 0xe654_6b64;
  const left = ((end - at) << 3) as u32;
  state ^= mixed(load<u32>(at) & (((1 as u32) << left) - 1)) ^ ((end - start) as u32);
  state = (state ^ (state >>> 16)) * 0x85eb_ca6b;
  state = (state ^ (state >>> 13)) * 0xc2b2_ae35;
  return state ^ (state >>> 16);
}

function mixed(word: u32): u32 {
  return rotl(word * 0xcc9e_2d51, 15) * 0x1b87_3593;
}
