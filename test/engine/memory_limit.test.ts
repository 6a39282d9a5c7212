/**
 * The memory limit: what is on disk is let go and read back, what is not on disk is saved first, and what does not fit
 * is refused.
 */
import { expect, test } from "bun:test";
import { InsertBatch } from "../../src/engine/insert_batch.ts";
import { MemoryDatabase } from "../../src/engine/memory_database.ts";
import { TIMESTAMP_MAX, TIMESTAMP_MIN, timestampFromBigInt } from "../../src/protocol/timestamp.ts";
import { whenReady } from "../../src/server/waiting_write.ts";
import { SqliteStorage } from "../../src/storage/sqlite_storage.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";
import { AT_ONCE, insertReady, textOf } from "./harness.ts";

const MIB = 2 ** 20;
const batch = new InsertBatch();

/** Text that no codec makes small. */
function noise(seed: number, length: number): string {
  const bytes = new Uint8Array(length / 2);
  let state = seed + 1;
  for (let at = 0; at < bytes.length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return Buffer.from(bytes).toString("hex");
}

function fill(from: number, count: number): InsertBatch {
  batch.clear();
  for (let at = from; at < from + count; at++) {
    batch.add({ col: "c", doc: `d${at % 10}`, ts: timestampFromBigInt(BigInt(at)), data: noise(at, 1000) });
  }
  return batch;
}

function historyOf(
  database: MemoryDatabase,
  doc: string,
  from: number,
  to: number,
): { ts: number; data: string }[] {
  const range = { from: timestampFromBigInt(BigInt(from)), to: timestampFromBigInt(BigInt(to)) };
  const query = { col: "c", doc, limit: 0, reverse: false, where: "", filter: "", ...range };
  return JSON.parse(textOf(database.history(query)));
}

test("in memory only, what does not fit is refused whole, and deleting makes room", () => {
  // Room is given back in the same turn, however slow the machine is.
  const database = new MemoryDatabase({ memoryBytesMax: 8 * MIB, longWork: AT_ONCE });
  let inserted = 0;
  const insertUntilFull = (): unknown => {
    try {
      for (;;) {
        database.insert(fill(inserted, 100));
        inserted += 100;
        expect(database.memory().usedBytes).toBeLessThanOrEqual(8 * MIB);
      }
    } catch (error) {
      return error;
    }
  };
  const full = expect.objectContaining({ code: "memory_full" });
  expect(insertUntilFull()).toEqual(full);
  expect(database.counts().records).toBe(inserted);
  expect(inserted).toBeGreaterThan(4000);
  expect(() => database.setValue({ col: "c", key: "k", value: "x".repeat(9 * MIB) })).toThrow(
    "Memory is full",
  );
  // What is there is still there, and is still answered.
  expect(historyOf(database, "d3", 0, 100).map(({ ts }) => ts)).toEqual([
    3, 13, 23, 33, 43, 53, 63, 73, 83, 93,
  ]);

  const range = { fromTs: TIMESTAMP_MIN, toTs: TIMESTAMP_MAX };
  for (const doc of ["d0", "d1", "d2", "d3", "d4"]) database.deleteRange({ col: "c", doc, ...range });
  const before = inserted;
  expect(insertUntilFull()).toEqual(full);
  expect(inserted - before).toBeGreaterThan(before / 3);
});

test("key-values count, and removing them makes room", () => {
  const database = new MemoryDatabase({ memoryBytesMax: 4 * MIB });
  const value = "v".repeat(1000);
  let count = 0;
  expect(() => {
    for (;;) database.setValue({ col: "c", key: `k${count++}`, value });
  }).toThrow("Memory is full");
  expect(count).toBeGreaterThan(1000);
  for (let key = 0; key < count; key++) database.removeValue({ col: "c", key: `k${key}` });
  expect(database.memory().usedBytes).toBeLessThan(MIB);
  database.setValue({ col: "c", key: "k", value });
});

test("collections count, whatever little is in them, and deleting them makes room", () => {
  const database = new MemoryDatabase({ memoryBytesMax: 4 * MIB, longWork: AT_ONCE });
  let count = 0;
  expect(() => {
    for (;;) database.setValue({ col: `c${count++}`, key: "k", value: "" });
  }).toThrow("Memory is full");
  // Each has a table of documents and one of key-values.
  expect(count).toBeLessThan((4 * MIB) / 1500);
  for (let at = 0; at < count; at++) database.deleteCollection({ col: `c${at}` });
  expect(database.memory().usedBytes).toBe(0);
  database.setValue({ col: "c", key: "k", value: "" });
});

test("with a disk behind it, ten times the limit is taken, kept and answered", async () => {
  using folder = new TemporaryFolder();
  const limit = 8 * MIB;
  const open = async (): Promise<{ storage: SqliteStorage; database: MemoryDatabase }> => {
    const storage = await SqliteStorage.open({ directory: folder.join("data"), durability: "everysec" });
    const database = new MemoryDatabase({ storage, memoryBytesMax: limit, longWork: AT_ONCE });
    await database.load();
    return { storage, database };
  };
  const records = 80_000;
  const first = await open();
  for (let at = 0; at < records; at += 200) {
    await first.database.insert(fill(at, 200));
    expect(first.database.memory().heldBytes).toBeLessThanOrEqual(limit);
  }
  expect(first.database.memory().coldChunks).toBeGreaterThan(100);
  await first.database.close();
  await first.storage.close();

  const { storage, database } = await open();
  expect(database.counts()).toEqual({ collections: 1, documents: 10, records, keyValues: 0 });
  for (let at = 0; at < records; at += 997) {
    expect(historyOf(database, `d${at % 10}`, at, at)).toEqual([{ ts: at, data: noise(at, 1000) }]);
  }
  // What was let go is changed where it belongs: replaced, filled in, deleted.
  for (let at = 0; at < records; at += 5000) {
    batch.clear();
    batch.add({ col: "c", doc: `d${at % 10}`, ts: timestampFromBigInt(BigInt(at)), data: "new" });
    batch.add({ col: "c", doc: `d${at % 10}`, ts: timestampFromBigInt(BigInt(at + 1)), data: "between" });
    await database.insert(batch);
    await database.deleteRecords([
      { col: "c", doc: `d${at % 10}`, ts: timestampFromBigInt(BigInt(at + 10)) },
    ]);
    expect(database.memory().usedBytes).toBeLessThanOrEqual(limit);
  }
  for (let at = 0; at < records; at += 5000) {
    const found = historyOf(database, `d${at % 10}`, at - 5, at + 15);
    expect(found.map(({ ts, data }) => [ts, data.slice(0, 7)])).toEqual([
      [at, "new"],
      [at + 1, "between"],
    ]);
  }
  expect(database.counts().records).toBe(records);
  await database.close();
  await storage.close();
}, 60_000);

test.each([
  ["pages of all documents that grow at once", (round: number, at: number) => [`d${at}`, round] as const],
  ["records from the newest to the oldest", (round: number, at: number) => [`d${at}`, -round] as const],
  ["new documents", (round: number, at: number) => [`d${round}.${at}`, 0] as const],
  [
    "records between others",
    (round: number, at: number) => [`d${at}`, Math.imul(round, 40503) & 0xffff] as const,
  ],
  ["a document a batch", (round: number, at: number) => [`d${round % 7}`, round * 1000 + at] as const],
])("in memory only, the limit is never passed: %s", (_, placeOf) => {
  for (const [documents, dataLength, limit] of [
    [1000, 20, 8 * MIB],
    [100, 500, 4 * MIB],
  ] as const) {
    const database = new MemoryDatabase({ memoryBytesMax: limit, longWork: AT_ONCE });
    let isFull = false;
    let most = 0;
    for (let round = 0; !isFull; round++) {
      batch.clear();
      for (let at = 0; at < documents; at++) {
        const [doc, ts] = placeOf(round, at);
        batch.add({
          col: "c",
          doc,
          ts: timestampFromBigInt(BigInt(ts)),
          data: noise(round * 7 + at, dataLength),
        });
      }
      try {
        database.insert(batch);
      } catch (error) {
        expect(error).toMatchObject({ code: "memory_full" });
        isFull = true;
      }
      most = Math.max(most, database.memory().usedBytes);
      expect(database.memory().usedBytes).toBeLessThanOrEqual(limit);
    }
    // And not far from it either.
    expect(most).toBeGreaterThan(limit * 0.5);
  }
});

test.each(["in memory only", "on disk"])(
  "documents that rest are few bytes to add to, and a batch for all of them is taken: %s",
  async (where) => {
    using folder = new TemporaryFolder();
    const storage =
      where === "on disk"
        ? await SqliteStorage.open({ directory: folder.join("data"), durability: "everysec" })
        : undefined;
    const limit = 16 * MIB;
    const database = new MemoryDatabase({
      ...(storage && { storage }),
      memoryBytesMax: limit,
      longWork: AT_ONCE,
    });
    await database.load();
    const rest = async (): Promise<void> => {
      await database.checkpoint();
      for (let seconds = 1000; database.tidy(seconds); seconds += 1000) {}
      if (storage !== undefined) while (database.reclaim()) {}
    };
    const documents = 2000;
    for (let round = 0; round < 12; round++) {
      batch.clear();
      for (let at = 0; at < documents; at++) {
        const ts = timestampFromBigInt(BigInt(round));
        batch.add({ col: "c", doc: `d${at}`, ts, data: noise(round * documents + at, 50) });
      }
      await insertReady(database, batch);
      await rest();
    }
    expect(database.memory().coldChunks).toBe(storage === undefined ? 0 : documents);
    expect(database.counts().records).toBe(12 * documents);
    expect(database.memory().usedBytes).toBeLessThanOrEqual(limit);
    await database.close();
    await storage?.close();
  },
);

test("documents in step, whose open pages alone would pass the limit, are all added to", async () => {
  using folder = new TemporaryFolder();
  const storage = await SqliteStorage.open({ directory: folder.join("data"), durability: "everysec" });
  const limit = 16 * MIB;
  const database = new MemoryDatabase({ storage, memoryBytesMax: limit, longWork: AT_ONCE });
  await database.load();
  const documents = 1000;
  // All chunks are full with the same batch: 24 KiB of these.
  const rounds = 60;
  const together = 250;
  for (let from = 0; from < rounds * documents; from += together) {
    batch.clear();
    for (let at = from; at < from + together; at++) {
      const ts = timestampFromBigInt(BigInt(Math.floor(at / documents)));
      batch.add({ col: "c", doc: `d${at % documents}`, ts, data: noise(at, 600) });
    }
    await whenReady(async (isPrepared) => await database.insert(batch, isPrepared));
    expect(database.memory().usedBytes).toBeLessThanOrEqual(limit);
  }
  expect(database.counts().records).toBe(rounds * documents);
  const found = historyOf(database, "d777", 0, rounds);
  expect(found).toEqual(
    Array.from({ length: rounds }, (_, ts) => ({ ts, data: noise(ts * documents + 777, 600) })),
  );
  await database.close();
  await storage.close();
}, 60_000);
