/**
 * What the hostile clients of the benchmark ask for.
 */

/** A document whose history is one large reply. */
export const LARGE = { col: "large", doc: "document" };
export const LARGE_REPLY_BYTES = 100_000_000;

/** Texts that patterns can hardly tell from ones that match; a record of each length has a document of its own. */
export const DEAR = [
  { col: "dear", doc: "many", count: 200, length: 900, where: "/(a?){1000}[ab]{900}c/" },
  { col: "dear", doc: "long", count: 8, length: 20_000, where: "/a[ab]{900}c/" },
];

/** A text of `a` and `b` without a pattern to it, for a seed. */
export function dearText(length: number, seed: number): string {
  let state = seed;
  const letters = Array.from({ length }, () => {
    // The C standard's example of rand(), of which the upper bits are good.
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state & 0x1_0000) === 0 ? "a" : "b";
  });
  return `c${letters.join("")}`;
}

/** A document of many records. */
export const SCANNED = { col: "scanned", doc: "document" };
export const SCANNED_RECORDS = 10_000_000;
