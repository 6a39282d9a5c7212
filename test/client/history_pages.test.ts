import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { FluxionDB } from "../../src/client/fluxiondb.ts";
import type { DataRecord } from "../../src/client/types.ts";
import { MemoryDatabase } from "../../src/engine/memory_database.ts";
import { MASTER_KEY, TestServer } from "../server/test_server.ts";

const connect = (server: TestServer) => FluxionDB.connect({ url: server.url, apiKey: MASTER_KEY });

async function list<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

const fill = (db: FluxionDB, times: readonly (number | bigint)[], data = "x") =>
  db.insert(times.map((ts) => ({ collection: "c", document: "d", ts, data })));

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);

const timesOf = (records: readonly DataRecord[]) => records.map(({ ts }) => ts);

describe("history()", () => {
  test("gives what records() gives, however it is cut into pages", async () => {
    await using server = new TestServer();
    await using db = await connect(server);
    const ends = [-(2n ** 63n), 2n ** 63n - 1n];
    await fill(db, [...numbers(-20, 20), ...ends]);
    const time = fc.oneof(fc.integer({ min: -25, max: 25 }), fc.constantFrom(...ends));
    await fc.assert(
      fc.asyncProperty(
        fc.tuple(time, time).map(([a, b]) => (BigInt(a) < BigInt(b) ? [a, b] : [b, a])),
        fc.integer({ min: 1, max: 50 }),
        fc.option(fc.integer({ min: -1, max: 50 }), { nil: undefined }),
        fc.boolean(),
        async ([from, to], pageRecords, limit, reverse) => {
          const query = { from, to, reverse, ...(limit !== undefined && { limit }) } as const;
          const history = db.history("c", "d", { ...query, pageRecords } as never);
          expect(await list(history)).toEqual(await db.records("c", "d", query as never));
        },
      ),
      { numRuns: 100 },
    );
    const filtered = db.history("c", "d", { pageRecords: 1, filter: "x" });
    expect(await list(filtered)).toEqual([]);
  });

  test("asks for less when a reply would be too large", async () => {
    const replyBytesMax = 1000;
    await using server = new TestServer({ database: new MemoryDatabase({ replyBytesMax }), replyBytesMax });
    await using db = await connect(server);
    await fill(db, numbers(0, 100), "x".repeat(100));
    expect(timesOf(await list(db.history("c", "d")))).toEqual(numbers(0, 100));
    expect(timesOf(await list(db.history("c", "d", { reverse: true, limit: 30 })))).toEqual(
      numbers(70, 100).reverse(),
    );
    await fill(db, [50], "x".repeat(2000));
    await expect(list(db.history("c", "d"))).rejects.toMatchObject({ code: "reply_too_large" });
  });

  test("pages grow to about 2 MiB, and not beyond", async () => {
    await using server = new TestServer();
    await using db = await connect(server);
    await fill(db, numbers(0, 20_000), "x".repeat(400));
    const lengths = (await list(db.historyPages("c", "d"))).map((page) => page.length);
    expect(lengths[0]).toBe(1000);
    expect(lengths.reduce((sum, length) => sum + length)).toBe(20_000);
    expect(Math.max(...lengths)).toBeWithin(4000, 5500);
  });

  test("can be left early, and be ended from outside", async () => {
    await using server = new TestServer();
    await using db = await connect(server);
    await fill(db, numbers(0, 100));
    const seen: unknown[] = [];
    for await (const { ts } of db.history("c", "d", { pageRecords: 10 })) {
      seen.push(ts);
      if (ts === 15) break;
    }
    expect(seen).toEqual(numbers(0, 16));
    const stop = new AbortController();
    const reading = (async () => {
      for await (const { ts } of db.history("c", "d", { pageRecords: 10 }, { signal: stop.signal })) {
        if (ts === 25) stop.abort();
      }
    })();
    await expect(reading).rejects.toMatchObject({ code: "aborted" });
    expect(await db.collections()).toEqual(["c"]);
  });

  test("sees what is written ahead of where it is, and not what is behind", async () => {
    await using server = new TestServer();
    await using db = await connect(server);
    await fill(db, numbers(0, 300));
    const seen: unknown[] = [];
    for await (const { ts } of db.history("c", "d", { pageRecords: 10 })) {
      if (ts === 0) await fill(db, [-1, 299, 300]);
      seen.push(ts);
    }
    expect(seen).toEqual(numbers(0, 301));
  });

  test.each([0, -1, 1.5])("refuses pages of %p records", async (pageRecords) => {
    await using server = new TestServer();
    await using db = await connect(server);
    await expect(list(db.history("c", "d", { pageRecords }))).rejects.toMatchObject({ code: "bad_request" });
  });
});
