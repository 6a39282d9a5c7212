/**
 * The blocks of a poll's text, from one list of documents to the next: they hold what the list holds, and those in which
 * nothing came or went are the same ones.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { BLOCK_DOCUMENTS, type LatestBlock } from "../../src/engine/latest_block.ts";
import { LatestBlocks } from "../../src/engine/latest_blocks.ts";
import type { Series } from "../../src/engine/series.ts";

/** All that a list of documents is looked at for. */
class Document {
  isGone = false;
  constructor(readonly name: number) {}
}

type List = readonly Document[];
const asSeries = (list: List): readonly Series[] => list as unknown as readonly Series[];

function range(from: number, to: number): Document[] {
  return Array.from({ length: to - from }, (_, index) => new Document(from + index));
}

function blocksOf(blocks: LatestBlocks, list: List): LatestBlock[] {
  const found: LatestBlock[] = [];
  for (let place = 0; place < list.length; ) {
    const block = blocks.startingAt(asSeries(list), place) as LatestBlock;
    expect(block?.first).toBe(place);
    found.push(block);
    place += block.count;
    expect(place).toBeLessThanOrEqual(list.length);
  }
  expect(new Set(found.map(({ number }) => number)).size).toBe(found.length);
  expect(blocks.bytes).toBe(found.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0));
  return found;
}

function holds(block: LatestBlock, list: List, document: Document): boolean {
  return list.slice(block.first, block.first + block.count).includes(document);
}

const step = fc.record({
  added: fc.array(fc.double({ min: -10, max: 1000, noNaN: true }), { maxLength: 40 }),
  inARow: fc.nat(100),
  removed: fc.array(fc.nat(), { maxLength: 30 }),
});

test("after documents have come and gone the blocks hold the new list, and the others are those that there were", () => {
  fc.assert(
    fc.property(fc.nat(400), fc.array(step, { minLength: 1, maxLength: 12 }), (count, steps) => {
      const blocks = new LatestBlocks();
      let list: List = range(0, count);
      blocks.follow(asSeries(list));
      for (const { added, inARow, removed } of steps) {
        const before = blocksOf(blocks, list);
        const gone = removed.flatMap((index) => list[index % Math.max(1, list.length)] ?? []);
        for (const document of gone) document.isGone = true;
        const last = list.at(-1)?.name ?? 0;
        const come = [...added.map((name) => new Document(name)), ...range(last + 1, last + 1 + inARow)];
        const next = [...list.filter(({ isGone }) => !isGone), ...come].sort((a, b) => a.name - b.name);
        // Who comes right before a block's first document comes into that block.
        const untouched = before.filter((block) => {
          const documents = list.slice(Math.max(0, block.first - 1), block.first + block.count);
          const first = next.indexOf(documents[0] as Document);
          return (
            (block.first > 0 ? first >= 0 : first === 0) &&
            documents.every((each, index) => next[first + index] === each)
          );
        });
        blocks.follow(asSeries(next));
        const after = blocksOf(blocks, next);
        // All are made anew where they have become too many.
        const isSpread = after.length < before.length / 2;
        // The last one may have been filled up.
        for (const block of untouched.slice(0, -1)) if (!isSpread) expect(after).toContain(block);
        list = next;
      }
    }),
    { numRuns: 300 },
  );
});

test("a block keeps its number, and by it the places of its documents", () => {
  const blocks = new LatestBlocks();
  const list = range(0, 3 * BLOCK_DOCUMENTS);
  blocks.follow(asSeries(list));
  const last = blocksOf(blocks, list)[2] as LatestBlock;
  last.staleCount = 0;
  const more = [new Document(-1), ...list];
  blocks.follow(asSeries(more));
  const after = blocksOf(blocks, more);
  expect(after.map(({ count }) => count)).toEqual([33, 32, BLOCK_DOCUMENTS, BLOCK_DOCUMENTS]);
  expect(after[3]).toBe(last);
  expect(holds(last, more, list.at(-1) as Document)).toBe(true);
});

test("names that come in order leave full blocks behind, and a list of others is begun anew", () => {
  const blocks = new LatestBlocks();
  const list = range(0, 10);
  blocks.follow(asSeries(list));
  for (let count = 11; count <= 4 * BLOCK_DOCUMENTS; count++) {
    list.push(new Document(count));
    blocks.follow(asSeries(list.slice()));
  }
  const grown = list.slice();
  blocks.follow(asSeries(grown));
  expect(blocksOf(blocks, grown).every(({ count }) => count === BLOCK_DOCUMENTS)).toBe(true);
  // Not one of them is there, and none is gone.
  const others = range(0, 100);
  blocks.follow(asSeries(others));
  expect(blocksOf(blocks, others)).toHaveLength(2);
  expect(blocks.startingAt(asSeries(grown), 0)).toBeUndefined();
  blocks.clear();
  expect([blocks.bytes, blocks.isEmpty]).toEqual([0, true]);
});

test("where most have gone, few blocks are left", () => {
  const blocks = new LatestBlocks();
  let list: List = range(0, 100 * BLOCK_DOCUMENTS);
  blocks.follow(asSeries(list));
  for (let left = 32; left >= 1; left >>= 1) {
    for (const document of list) if (document.name % BLOCK_DOCUMENTS >= left) document.isGone = true;
    list = list.filter(({ isGone }) => !isGone);
    blocks.follow(asSeries(list));
  }
  expect(list).toHaveLength(100);
  expect(blocksOf(blocks, list).length).toBeLessThan(30);
});
