/**
 * Searching a page where a record is expected finds what searching all of it finds.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { Chunk } from "../../src/engine/chunk.ts";
import { Page } from "../../src/engine/page.ts";
import { SlabAllocator } from "../../src/engine/slab.ts";
import { timestampFromBigInt } from "../../src/protocol/timestamp.ts";

const owner = { id: 1, isGone: false, isNewest: () => true, readChunk: () => new Uint8Array() };
const time = fc.oneof(
  fc.bigInt({ min: -50n, max: 50n }),
  fc.bigInt({ min: 2n ** 32n - 50n, max: 2n ** 32n + 50n }),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
);

test("the record after a time is the same, wherever it is looked for first", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(time, { minLength: 2, maxLength: 40 }),
      time,
      fc.nat(),
      (times, asked, seed) => {
        const slabs = new SlabAllocator();
        const page = new Page(slabs, 128);
        const source = Buffer.from(',{"ts":1,"data":""}');
        const view = new DataView(source.buffer, source.byteOffset, source.length);
        for (const each of times.sort((a, b) => (a < b ? -1 : 1))) {
          page.append(slabs, { source, view, from: 0, to: source.length, ...timestampFromBigInt(each) });
        }
        const { high, low } = timestampFromBigInt(asked);
        const expected = times.filter((each) => each <= asked).length;
        expect(page.firstAfter(high, low)).toBe(expected);
        expect(page.firstAfterNear(seed % times.length, high, low)).toBe(expected);
        const chunk = new Chunk(owner, 0);
        chunk.measure(page);
        if (expected === 0 || expected === times.length) return;
        expect(page.firstAfterNear(chunk.indexNear(high, low), high, low)).toBe(expected);
      },
    ),
    { numRuns: 3000 },
  );
});
