/**
 * What the store keeps of chunks that are gone: nothing for long, or whoever only adds and deletes fills memory.
 */
import { expect, test } from "bun:test";
import type { Chunk, ChunkOwner } from "../../src/engine/chunk.ts";
import { ChunkStore } from "../../src/engine/chunk_store.ts";
import { Page } from "../../src/engine/page.ts";
import { noRecord, takeSource } from "../../src/engine/rendered.ts";

const OWNER: ChunkOwner = {
  id: 1,
  isGone: false,
  isNewest: () => true,
  readChunk: () => {
    throw new Error("Nothing is on disk");
  },
};
const record = noRecord();
takeSource(record, Buffer.from(',{"ts":1,"data":""}'));
record.to = record.source.length;

function makeChunks(store: ChunkStore, count: number): Chunk[] {
  return Array.from({ length: count }, () => {
    const chunk = store.create(OWNER, undefined);
    chunk.page = new Page(store.slabs, 64);
    chunk.page.append(store.slabs, record);
    chunk.measure(chunk.page);
    return chunk;
  });
}

const storeOf = (restSeconds: number): ChunkStore =>
  new ChunkStore({ chunkRecordsMax: 256, chunkTextBytesMax: 24_000, restSeconds, isSaved: true });

/** As housekeeping does: at once again as long as there is more to do. */
function tidy(store: ChunkStore, seconds: number): void {
  while (store.tidy(seconds)) {}
}

test("documents' newest chunks that are gone before they rest are forgotten the next time", () => {
  const store = storeOf(1000);
  const stay = makeChunks(store, 10);
  for (const chunk of stay) store.watch(chunk);
  for (let round = 0; round < 5; round++) {
    for (const chunk of makeChunks(store, 20_000)) {
      store.watch(chunk);
      store.free(chunk);
    }
    tidy(store, round);
    // Of a few thousand it does not go on at once.
    expect(store.waitingCount).toBeLessThan(4000);
  }
  tidy(store, 5);
  expect(store.waitingCount).toBe(stay.length);
});

test("packed chunks that are gone are forgotten although memory is not short, and the others are not", () => {
  const store = storeOf(0);
  const chunks = makeChunks(store, 12_000);
  for (const chunk of chunks) store.seal(chunk);
  tidy(store, 1);
  expect(chunks.every(({ isPacked }) => isPacked)).toBe(true);
  expect(store.waitingCount).toBe(chunks.length);
  const [gone, stay] = [chunks.slice(0, 9000), chunks.slice(9000)];
  for (const chunk of gone) store.free(chunk);
  tidy(store, 2);
  // No more are gone than are there.
  expect(store.waitingCount).toBeLessThanOrEqual(2 * stay.length);
  for (const chunk of stay) chunk.isOnDisk = true;
  while (store.reclaim()) {}
  expect(stay.every(({ isCold }) => isCold)).toBe(true);
  expect([store.waitingCount, store.coldCount]).toEqual([0, stay.length]);
});

test.each([true, false])(
  "a chunk that was opened for a write that does not come is packed again; the newest: %p",
  (isNewest) => {
    const store = storeOf(10);
    const [chunk] = makeChunks(store, 1) as [Chunk];
    Object.assign(chunk, { owner: { ...OWNER, isNewest: () => isNewest } });
    store.seal(chunk);
    tidy(store, 20);
    expect(chunk.isPacked).toBe(true);
    store.openAhead(chunk);
    expect([chunk.isPacked, chunk.isOpen]).toEqual([false, true]);
    tidy(store, 25);
    expect(chunk.isOpen).toBe(true);
    // A newest one that grows on rests twice as long.
    tidy(store, 45);
    expect(chunk.isPacked).toBe(true);
  },
);

test("a chunk that is gone is not opened", () => {
  const store = storeOf(0);
  const [chunk, other] = makeChunks(store, 2) as [Chunk, Chunk];
  for (const each of [chunk, other]) store.seal(each);
  tidy(store, 1);
  store.free(chunk);
  Object.assign(other, { owner: { ...OWNER, isGone: true } });
  for (const each of [chunk, other]) store.openAhead(each);
  expect([chunk.isOpen, other.isOpen]).toEqual([false, false]);
});
