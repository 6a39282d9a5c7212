/**
 * What names and keys are looked up by.
 */

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

/** The two halves of the key of `keyedHash`. Filled by the host. */
export const HASH_KEY: usize = memory.data(8, 4);

/** The same as keyedHash in src/engine/keyed_hash.ts: HalfSipHash-2-4 (Aumasson and Bernstein, 2012). */
export function keyedHash(start: usize, end: usize): u32 {
  let v0 = load<u32>(HASH_KEY);
  let v1 = load<u32>(HASH_KEY, 4);
  let v2 = 0x6c79_6765 ^ v0;
  let v3 = 0x7465_6462 ^ v1;
  const wordsEnd = start + ((end - start) & ~3);
  // Behind the last whole word come the bytes that are left with the length, and then the end of it all.
  for (let at = start; at <= wordsEnd + 4; at += 4) {
    const isEnd = at > wordsEnd;
    let word: u32 = 0;
    if (at < wordsEnd) word = load<u32>(at);
    else if (isEnd) v2 ^= 0xff;
    else {
      const left = ((end - at) << 3) as u32;
      word = (load<u32>(at) & (((1 as u32) << left) - 1)) | (((end - start) as u32) << 24);
    }
    v3 ^= word;
    for (let turn = isEnd ? 0 : 2; turn < 4; turn++) {
      v0 += v1;
      v1 = rotl(v1, 5) ^ v0;
      v0 = rotl(v0, 16);
      v2 += v3;
      v3 = rotl(v3, 8) ^ v2;
      v0 += v3;
      v3 = rotl(v3, 7) ^ v0;
      v2 += v1;
      v1 = rotl(v1, 13) ^ v2;
      v2 = rotl(v2, 16);
    }
    v0 ^= word;
  }
  return v1 ^ v3;
}
