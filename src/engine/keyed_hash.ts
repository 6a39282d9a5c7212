/**
 * HalfSipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012), with a key that nobody knows: no
 * client can choose names that collide. It takes some ten times as long as the hash that names have by themselves.
 */
export type HashKey = readonly [number, number];

const FINAL = 0xff;

/** A key of this process. */
export function randomKey(): HashKey {
  const [first, second] = crypto.getRandomValues(new Int32Array(2)) as unknown as [number, number];
  return [first, second];
}

/** Of `bytes[start, end)`, as a signed 32-bit integer. */
export function keyedHash([k0, k1]: HashKey, bytes: Uint8Array, start: number, end: number): number {
  let v0 = k0;
  let v1 = k1;
  let v2 = 0x6c796765 ^ k0;
  let v3 = 0x74656462 ^ k1;
  const wordsEnd = start + ((end - start) & ~3);
  // Behind the last whole word come the bytes that are left with the length, and then the end of it all.
  for (let at = start; at <= wordsEnd + 4; at += 4) {
    const isEnd = at > wordsEnd;
    const isWhole = at < wordsEnd;
    const word = isEnd
      ? 0
      : isWhole
        ? wordAt(bytes, at, 4)
        : wordAt(bytes, at, end - at) | ((end - start) << 24);
    if (isEnd) v2 ^= FINAL;
    v3 ^= word;
    for (let round = isEnd ? 0 : 2; round < 4; round++) {
      v0 = (v0 + v1) | 0;
      v1 = rotate(v1, 5) ^ v0;
      v0 = rotate(v0, 16);
      v2 = (v2 + v3) | 0;
      v3 = rotate(v3, 8) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = rotate(v3, 7) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = rotate(v1, 13) ^ v2;
      v2 = rotate(v2, 16);
    }
    v0 ^= word;
  }
  return v1 ^ v3;
}

/** Up to four bytes, the lowest first. */
function wordAt(bytes: Uint8Array, at: number, count: number): number {
  let word = 0;
  for (let index = 0; index < count; index++) word |= (bytes[at + index] as number) << (8 * index);
  return word;
}

const rotate = (value: number, bits: number): number => (value << bits) | (value >>> (32 - bits));
