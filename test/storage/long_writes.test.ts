/**
 * Writes of much that has to be opened first: chunks are opened in portions before an insert, and a deletion of many
 * records is done in portions.
 */
import { expect, spyOn, test } from "bun:test";
import { InsertBatch } from "../../src/engine/insert_batch.ts";
import type { MemoryDatabase } from "../../src/engine/memory_database.ts";
import { nextTurn } from "../../src/engine/next_turn.ts";
import { NotReady } from "../../src/engine/not_ready.ts";
import { OPENED_AT_ONCE, REMOVED_AT_ONCE } from "../../src/protocol/limits.ts";
import { timestampFromBigInt } from "../../src/protocol/timestamp.ts";
import { StorageError } from "../../src/storage/storage.ts";
import { AT_ONCE, compareWhole, IN_PIECES, insertReady } from "../engine/harness.ts";
import { type InsertedRecord, ModelDatabase } from "../engine/model.ts";
import { World } from "./world.ts";

const DOCUMENTS = 2 * OPENED_AT_ONCE;
/** The newest chunk of each has room for one more. */
const RECORDS = 19;

const recordOf = (doc: number, ts: number, data = `${doc} ${ts}`): InsertedRecord => ({
  col: "c",
  doc: `d${doc}`,
  ts: timestampFromBigInt(BigInt(ts)),
  data,
});

function batchOf(records: readonly InsertedRecord[]): InsertBatch {
  const batch = new InsertBatch();
  for (const record of records) batch.add(record);
  return batch;
}

const eachDocument = (make: (doc: number) => InsertedRecord): InsertedRecord[] =>
  Array.from({ length: DOCUMENTS }, (_, doc) => make(doc));

/** Many documents, all of whose chunks are packed, or on disk only. */
async function restingWorld({
  isCold,
}: {
  isCold: boolean;
}): Promise<{ world: World; model: ModelDatabase }> {
  const world = await World.open();
  world.longWork = IN_PIECES;
  await world.close();
  await world.open();
  const model = new ModelDatabase();
  for (let ts = 0; ts < RECORDS; ts++) {
    const records = eachDocument((doc) => recordOf(doc, ts * 10));
    model.insert(records);
    await insertReady(world.database, batchOf(records));
  }
  await world.database.checkpoint();
  for (let seconds = 1; world.database.tidy(seconds * 1000); seconds++) {}
  while (isCold && world.database.reclaim()) {}
  expect(world.database.memory().coldChunks > 0).toBe(isCold);
  return { world, model };
}

function notReady(database: MemoryDatabase, batch: InsertBatch): Promise<void> {
  try {
    database.insert(batch);
  } catch (error) {
    if (error instanceof NotReady) return error.ready;
    throw error;
  }
  throw new Error("It was ready");
}

async function compareAfterCrash(world: World, model: ModelDatabase): Promise<void> {
  await world.crash();
  world.longWork = AT_ONCE;
  await world.open();
  compareWhole(world.database, model);
}

const WRITES: [string, (doc: number) => InsertedRecord][] = [
  ["late", (doc) => recordOf(doc, 35)],
  ["earlier than all", (doc) => recordOf(doc, -5)],
  ["that replace others", (doc) => recordOf(doc, 30, "another text, and a longer one")],
];
const APPENDED: (typeof WRITES)[number] = ["at the end", (doc) => recordOf(doc, RECORDS * 10)];

for (const isCold of [false, true]) {
  const where = isCold ? "on disk only" : "packed";
  // One that is on disk only is not read back to be added to.
  test.each(isCold ? WRITES : [...WRITES, APPENDED])(
    `records %s, of many documents that are ${where}, are stored when these are open`,
    async (_, make) => {
      const { world, model } = await restingWorld({ isCold });
      await using _world = world;
      const records = eachDocument(make);
      const batch = batchOf(records);
      let isOpen = false;
      const ready = notReady(world.database, batch).then(() => (isOpen = true));
      // Nothing is stored, and others have their turns.
      await nextTurn();
      expect(isOpen).toBe(false);
      expect(world.database.counts().records).toBe(DOCUMENTS * RECORDS);
      await ready;
      const written = world.database.insert(batch);
      model.insert(records);
      await written;
      world.longWork = AT_ONCE;
      await world.crash();
      await world.open();
      compareWhole(world.database, model);
    },
  );
}

test("a batch is stored at once where it is to be, whatever it has to open", async () => {
  const { world, model } = await restingWorld({ isCold: true });
  await using _world = world;
  const records = eachDocument((doc) => recordOf(doc, 35));
  await world.database.insert(batchOf(records), true);
  model.insert(records);
  await compareAfterCrash(world, model);
});

test("what can't be read refuses the whole batch, when it is to be stored", async () => {
  const { world } = await restingWorld({ isCold: true });
  await using _world = world;
  const batch = batchOf(eachDocument((doc) => recordOf(doc, 35)));
  world.storage.readChunk = () => {
    throw new StorageError("The disk has a bad day");
  };
  await notReady(world.database, batch);
  await notReady(world.database, batch);
  expect(() => world.database.insert(batch, true)).toThrow("The disk has a bad day");
  expect(world.database.counts().records).toBe(DOCUMENTS * RECORDS);
});

test("a collection that is deleted while its chunks are opened is begun anew", async () => {
  const { world } = await restingWorld({ isCold: true });
  await using _world = world;
  const records = eachDocument((doc) => recordOf(doc, 35));
  const ready = notReady(world.database, batchOf(records));
  await world.database.deleteCollection({ col: "c" });
  await ready;
  await world.database.insert(batchOf(records));
  const model = new ModelDatabase();
  model.insert(records);
  await compareAfterCrash(world, model);
});

test.each([false, true])(
  "many records are deleted in portions, in the order of the journal; on disk only: %p",
  async (isCold) => {
    const { world, model } = await restingWorld({ isCold });
    await using _world = world;
    const keys = eachDocument((doc) => recordOf(doc, 30)).map(({ col, doc, ts }) => ({ col, doc, ts }));
    expect(keys.length).toBeGreaterThan(REMOVED_AT_ONCE);
    const removed = world.database.deleteRecords(keys);
    // The first portion is done, the last one is not: what is stored again meanwhile stays, or goes.
    const [first, last] = [recordOf(0, 30, "first"), recordOf(DOCUMENTS - 1, 30, "last")];
    expect(world.database.counts().records).toBe(DOCUMENTS * RECORDS - REMOVED_AT_ONCE);
    const inserted = world.database.insert(batchOf([first, last]));
    await removed;
    await inserted;
    for (const { col, doc, ts } of keys) model.deleteRange({ col, doc, fromTs: ts, toTs: ts });
    model.insert([first]);
    expect(world.database.counts().records).toBe(DOCUMENTS * (RECORDS - 1) + 1);
    await compareAfterCrash(world, model);
  },
);

test("many records that are deleted in one turn are one commit", async () => {
  const { world } = await restingWorld({ isCold: false });
  await using _world = world;
  await world.close();
  world.longWork = AT_ONCE;
  await world.open();
  const commits = spyOn(world.storage, "commitGroup");
  await world.database.deleteRecords(eachDocument((doc) => recordOf(doc, 30)));
  expect(commits).toHaveBeenCalledTimes(1);
});

test("a deletion of many records is told when the disk takes one of its portions and not the next", async () => {
  const { world } = await restingWorld({ isCold: true });
  await using _world = world;
  const keys = eachDocument((doc) => recordOf(doc, 30));
  const { readChunk } = world.storage;
  let reads = 0;
  world.storage.readChunk = (...args) => {
    if (++reads > REMOVED_AT_ONCE) throw new StorageError("The disk has a bad day");
    return readChunk.apply(world.storage, args);
  };
  expect(await Promise.resolve(world.database.deleteRecords(keys)).catch((error) => error.message)).toBe(
    "The disk has a bad day",
  );
  expect(world.database.counts().records).toBe(DOCUMENTS * RECORDS - REMOVED_AT_ONCE);
});
