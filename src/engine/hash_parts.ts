/**
 * Which part of a hash table an entry is in: parts are told by the highest bits of the hash, and one that has become
 * large is cut in two (extendible hashing: Fagin, Nievergelt, Pippenger and Strong, 1979). So no change costs more than
 * moving one part.
 *
 * The list of parts is as long as a power of two. A part that is told by fewer bits than the longest stands in it more
 * than once.
 */

/** How many bits tell the parts of a list, at the most. */
export const depthOf = (parts: readonly unknown[]): number => 31 - Math.clz32(parts.length);

/** The part that a hash is in; undefined where there are none. */
export function partOf<Part>(parts: readonly Part[], hash: number): Part | undefined {
  // `indexOf`, with the list's own depth.
  return parts[(hash >>> 1) >>> Math.clz32(parts.length)];
}

/** The highest bits of a hash; none of them are 0. */
const indexOf = (hash: number, depth: number): number => (hash >>> 1) >>> (31 - depth);

/** Puts a part to the place of the one that a hash is in, and that is told by `depth` bits. */
export function putPart<Part>(parts: Part[], hash: number, depth: number, part: Part): void {
  const spread = 1 << (depthOf(parts) - depth);
  const first = indexOf(hash, depth) * spread;
  parts.fill(part, first, first + spread);
}

/**
 * Puts two halves to the place of the part that a hash is in, and that is told by `depth` bits: the next bit tells them
 * apart. Returns the list, which is another one where it had to grow.
 */
export function putHalves<Part>(
  parts: Part[],
  hash: number,
  depth: number,
  [zero, one]: readonly [Part, Part],
): Part[] {
  const list = depth === depthOf(parts) ? parts.flatMap((each) => [each, each]) : parts;
  const bit = 1 << (31 - depth);
  putPart(list, hash & ~bit, depth + 1, zero);
  putPart(list, hash | bit, depth + 1, one);
  return list;
}

/** Of a part that is told by `depth` bits, which of its halves a hash is in. */
export const halfOf = (hash: number, depth: number): 0 | 1 => ((hash >>> (31 - depth)) & 1) as 0 | 1;
