/**
 * Each adjustable limit as a client meets it: what fits is taken, what does not gets an error with a code, and nothing
 * of it is applied.
 */
import { describe, expect, test } from "bun:test";
import { MemoryDatabase, type MemoryDatabaseOptions } from "../../src/engine/memory_database.ts";
import { ConnectionRate } from "../../src/server/connection_rate.ts";
import type { TestClient } from "../support/test_client.ts";
import { DelayedDatabase } from "./delayed_database.ts";
import { ask, exchange, frameOf, KEYS, large, TestServer } from "./test_server.ts";

const OK = '{"id":"1"}';

async function limitedServer(limits: MemoryDatabaseOptions) {
  const server = new TestServer({ database: new MemoryDatabase(limits) });
  const client = await server.connect();
  return {
    client,
    async [Symbol.asyncDispose]() {
      await client.close();
      await server.stop();
    },
  };
}

const record = (col: string, doc: string, data: string = "x", ts: unknown = 1) => ({ ts, doc, data, col });

type Row = ReturnType<typeof record>;

/** By each path: escaped text, plain JSON, what is left to the schema, and a frame that another thread reads. */
async function insertEachWay(client: TestClient, records: readonly object[]): Promise<unknown[]> {
  const replies = [
    await exchange(client, frameOf("ins", records)),
    await exchange(client, JSON.stringify({ id: "1", type: "ins", data: records })),
    await exchange(client, JSON.stringify({ id: "1", type: "ins", data: records, more: 1 })),
    await exchange(client, large(frameOf("ins", records))),
  ];
  return replies.map((reply) => JSON.parse(reply));
}

const eachTime = (error: string, code: string): unknown[] => Array(4).fill({ id: "1", error, code });

async function stateOf(client: TestClient): Promise<string> {
  const { collections } = JSON.parse(await ask(client, "cols", {})) as { collections: string[] };
  const contents = collections.flatMap((col) => [
    ask(client, "qry", { col, ts: 9 }),
    ask(client, "gvals", { col }),
  ]);
  return [collections, ...(await Promise.all(contents))].join();
}

describe("frameRecordsMax", () => {
  test("bounds the records of ins and of dmrec", async () => {
    await using world = await limitedServer({ frameRecordsMax: 2 });
    const { client } = world;
    expect(await ask(client, "ins", [record("c", "a"), record("c", "b")])).toBe(OK);
    const before = await stateOf(client);
    expect(
      await insertEachWay(
        client,
        ["x", "y", "z"].map((doc) => record("c", doc)),
      ),
    ).toEqual(eachTime("ins: expected at most 2 records (--max-records), got 3", "too_large"));
    const keys = ["a", "b", "c"].map((doc) => ({ col: "c", doc, ts: 1 }));
    expect(JSON.parse(await ask(client, "dmrec", keys))).toEqual({
      id: "1",
      error: "dmrec: expected at most 2 records (--max-records), got 3",
      code: "too_large",
    });
    expect(await stateOf(client)).toBe(before);
  });
});

describe("recordBytesMax", () => {
  test("bounds a record with its time, and a value", async () => {
    await using world = await limitedServer({ recordBytesMax: 64 });
    const { client } = world;
    // `,{"ts":1,"data":"…"}` is 19 characters beside the data; a quote in it takes two.
    const fits = record("c", "d", `"${"x".repeat(43)}`);
    const larger = record("c", "d", `"${"x".repeat(44)}`);
    expect(await ask(client, "ins", [fits, record("c", "e")])).toBe(OK);
    const before = await stateOf(client);
    expect(await insertEachWay(client, [record("c", "f"), larger])).toEqual(
      eachTime("ins[1]: expected at most 64 bytes (--max-record), got 65", "too_large"),
    );
    // Of several the first in the request, also where they are sorted by documents before.
    const mixed = Array.from({ length: 12 }, (_, at) => record("c", `m${at % 2}`, "x", at));
    const [odd, even] = [5, 8].map((at) => ({ ...larger, doc: `m${at % 2}`, ts: at }));
    expect(await insertEachWay(client, mixed.with(5, odd as Row).with(8, even as Row))).toEqual(
      eachTime("ins[5]: expected at most 64 bytes (--max-record), got 65", "too_large"),
    );
    const set = (value: string) => ask(client, "sval", { col: "c", key: "k", value });
    expect(JSON.parse(await set("ü".repeat(33)))).toEqual({
      id: "1",
      error: "sval.value: expected at most 64 bytes (--max-record), got 66",
      code: "too_large",
    });
    expect(await stateOf(client)).toBe(before);
    expect(await set("ü".repeat(32))).toBe(OK);
  });
});

describe("nameLengthMax", () => {
  test("bounds new names, in characters", async () => {
    await using world = await limitedServer({ nameLengthMax: 4 });
    const { client } = world;
    expect(await ask(client, "ins", [record("ü".repeat(4), '"\\"\n')])).toBe(OK);
    const before = await stateOf(client);
    const problem = "expected at most 4 characters, got a string of 5 characters";
    expect(await insertEachWay(client, [record("c", "d"), record("c", "12345")])).toEqual(
      eachTime(`ins[1].doc: ${problem}`, "bad_request"),
    );
    expect(await insertEachWay(client, [record("ü".repeat(5), "d")])).toEqual(
      eachTime(`ins[0].col: ${problem}`, "bad_request"),
    );
    for (const [field, request] of [
      ["col", { col: "12345", key: "k", value: "" }],
      ["key", { col: "c", key: "12345", value: "" }],
    ] as const) {
      expect(JSON.parse(await ask(client, "sval", request))).toEqual({
        id: "1",
        error: `sval.${field}: ${problem}`,
        code: "bad_request",
      });
    }
    expect(await stateOf(client)).toBe(before);
  });
});

describe("patternLengthMax", () => {
  test("bounds patterns, and no literals", async () => {
    await using world = await limitedServer({ patternLengthMax: 4 });
    const { client } = world;
    await ask(client, "ins", [record("c", "d")]);
    for (const data of [{ doc: "/abcde/" }, { where: "/abcde/" }, { filter: "/abcde/i" }]) {
      expect(JSON.parse(await ask(client, "qry", { col: "c", ts: 1, ...data }))).toEqual({
        id: "1",
        error: "A pattern may have 4 characters (--max-pattern), got 5",
        code: "bad_pattern",
      });
    }
    expect(await ask(client, "qry", { col: "c", ts: 1, filter: "abcde", doc: "/abc|/" })).not.toContain(
      "error",
    );
  });
});

describe("collectionsMax", () => {
  test("bounds collections, and deleting makes room again", async () => {
    await using world = await limitedServer({ collectionsMax: 2 });
    const { client } = world;
    expect(await ask(client, "ins", [record("a", "d"), record("b", "d"), record("b", "e")])).toBe(OK);
    const before = await stateOf(client);
    const full = {
      error: "There may be 2 collections, and no more (--max-collections)",
      code: "limit_reached",
    };
    expect(await insertEachWay(client, [record("a", "e"), record("c", "d")])).toEqual(
      eachTime(full.error, full.code),
    );
    expect(JSON.parse(await ask(client, "sval", { col: "c", key: "k", value: "" }))).toEqual({
      id: "1",
      ...full,
    });
    expect(await stateOf(client)).toBe(before);
    expect(await ask(client, "ins", [record("a", "f"), record("b", "f")])).toBe(OK);
    expect(await ask(client, "sval", { col: "a", key: "k", value: "" })).toBe(OK);
    await ask(client, "dcol", { col: "b" });
    expect(await ask(client, "sval", { col: "c", key: "k", value: "" })).toBe(OK);
  });
});

describe("documentsMax", () => {
  test("bounds documents of all collections, however they come and go", async () => {
    await using world = await limitedServer({ documentsMax: 3 });
    const { client } = world;
    const full = eachTime("There may be 3 documents, and no more (--max-documents)", "limit_reached");
    expect(await ask(client, "ins", [record("a", "1"), record("a", "1"), record("b", "1")])).toBe(OK);
    const before = await stateOf(client);
    expect(await insertEachWay(client, [record("a", "2"), record("b", "2")])).toEqual(full);
    expect(await stateOf(client)).toBe(before);
    expect(await ask(client, "ins", [record("c", "1"), record("a", "1")])).toBe(OK);
    expect(await insertEachWay(client, [record("c", "2")])).toEqual(full);
    // Each way in which a document goes.
    for (const [type, data] of [
      ["ddoc", { col: "a", doc: "1" }],
      ["dcol", { col: "b" }],
      ["drec", { col: "c", doc: "1", ts: 1 }],
    ] as const) {
      await ask(client, type, data);
      expect(await ask(client, "ins", [record("d", type)])).toBe(OK);
      expect(await insertEachWay(client, [record("d", `${type} 2`)])).toEqual(full);
    }
  });
});

describe("keyValuesMax", () => {
  test("bounds the key-values of a collection, and not those that are there already", async () => {
    await using world = await limitedServer({ keyValuesMax: 2 });
    const { client } = world;
    const set = (col: string, key: string) => ask(client, "sval", { col, key, value: "v" });
    expect([await set("c", "a"), await set("c", "b"), await set("c", "b"), await set("d", "a")]).toEqual(
      Array(4).fill(OK),
    );
    expect(JSON.parse(await set("c", "x"))).toEqual({
      id: "1",
      error: "There may be 2 key-values in this collection, and no more (--max-values)",
      code: "limit_reached",
    });
    await ask(client, "rval", { col: "c", key: "a" });
    expect(await set("c", "x")).toBe(OK);
  });
});

describe("requestsInFlightMax", () => {
  test("bounds what is taken of a connection that waits for the disk, and loses nothing", async () => {
    const database = new DelayedDatabase();
    await using server = new TestServer({ database, requestsInFlightMax: 4 });
    await using client = await server.connect();
    await using other = await server.connect({ key: KEYS.readonly });
    for (let id = 0; id < 12; id++) client.send(frameOf("sval", { col: "c", key: "k", value: "" }, `${id}`));
    for (const [from, to] of [
      [0, 5],
      [5, 10],
      [10, 12],
    ] as const) {
      await database.called(to);
      // Each of these turns of the event loop could have taken more.
      for (let turn = 0; turn < 20; turn++) await ask(other, "conn", {});
      expect(database.callCount).toBe(to);
      database.commit();
      for (let id = from; id < to; id++) expect(await client.next()).toBe(`{"id":"${id}"}`);
    }
  });
});

describe("connectionsPerSecondMax", () => {
  test("lets ten seconds' worth in at once, and then so many a second, by address", () => {
    let nowMs = 0;
    const rate = new ConnectionRate(2, () => nowMs);
    const takenOf = (count: number, address = "10.0.0.1"): number =>
      Array.from({ length: count }, () => rate.take(address)).filter(Boolean).length;
    expect(takenOf(30)).toBe(20);
    expect(takenOf(5, "10.0.0.2")).toBe(5);
    nowMs = 499;
    expect(takenOf(5)).toBe(0);
    nowMs = 1500;
    expect(takenOf(5)).toBe(3);
    nowMs = 1e9;
    expect(takenOf(30)).toBe(20);
  });

  test("remembers a bounded number of addresses", () => {
    const rate = new ConnectionRate(1, () => 0);
    for (let at = 0; at < 10; at++) rate.take("first");
    expect(rate.take("first")).toBe(false);
    for (let at = 0; at < 10_000; at++) rate.take(`10.1.${at >> 8}.${at & 255}`);
    expect(rate.take("first")).toBe(true);
  });

  test("answers 429 beyond it, and wrong keys use nothing of it", async () => {
    await using server = new TestServer({ connectionsPerSecondMax: 1, nowMs: () => 0 });
    for (let at = 0; at < 5; at++) await server.upgrade("/?api-key=wrong");
    const statuses: number[] = [];
    for (let at = 0; at < 12; at++)
      statuses.push((await server.upgrade(`/?api-key=${KEYS.readonly}`)).status);
    expect(statuses).toEqual([...Array(10).fill(101), 429, 429]);
    const refused = await server.upgrade(`/?api-key=${KEYS.readonly}`);
    expect(await refused.text()).toBe("Too many new connections");
    expect(refused.headers.get("retry-after")).toBe("1");
  });
});
