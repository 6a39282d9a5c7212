import { describe, expect, test } from "bun:test";
import { FluxionDB, type FluxionDBOptions } from "../../src/client/fluxiondb.ts";
import type { NewRecord } from "../../src/client/types.ts";
import { KEYS, MASTER_KEY, TestServer } from "../server/test_server.ts";

const record = (ts: number, rest: Partial<NewRecord> = {}): NewRecord => ({
  collection: "c",
  document: "d",
  ts,
  data: "x",
  ...rest,
});

/** A client that tells which frames it has sent. */
async function connect(server: TestServer, options: Partial<FluxionDBOptions> = {}) {
  const frames: string[] = [];
  class CountingSocket extends WebSocket {
    override send(frame: string): void {
      frames.push(frame);
      super.send(frame);
    }
  }
  const db = await FluxionDB.connect({
    url: server.url,
    apiKey: MASTER_KEY,
    WebSocket: CountingSocket,
    ...options,
  });
  return { db, frames, [Symbol.asyncDispose]: () => db.close() };
}

const typesOf = (frames: readonly string[]): string[] => frames.map((frame) => JSON.parse(frame).type);

describe("insert()", () => {
  test("joins what is called in one go", async () => {
    await using server = new TestServer();
    await using client = await connect(server);
    await Promise.all(Array.from({ length: 2500 }, (_, ts) => client.db.insert(record(ts))));
    expect(client.frames).toHaveLength(3);
    expect(await client.db.records("c", "d")).toHaveLength(2500);
  });

  test("joins over time, if it is told to", async () => {
    await using server = new TestServer();
    await using client = await connect(server, { batch: { delayMs: 20, recordsMax: 3 } });
    const inserts = [client.db.insert(record(1))];
    await Bun.sleep(0);
    inserts.push(client.db.insert(record(2)));
    await Promise.all(inserts);
    expect(client.frames).toHaveLength(1);
    // A full batch does not wait.
    await Promise.all([3, 4, 5, 6].map((ts) => client.db.insert(record(ts))));
    expect(client.frames).toHaveLength(3);
  });

  test("is seen by what is asked after it, in the same go", async () => {
    await using server = new TestServer();
    await using client = await connect(server, { batch: { delayMs: 10_000 } });
    void client.db.insert(record(1));
    const first = client.db.records("c", "d");
    void client.db.insert(record(2));
    const second = client.db.records("c", "d");
    expect((await first).map(({ ts }) => ts)).toEqual([1]);
    expect((await second).map(({ ts }) => ts)).toEqual([1, 2]);
    expect(typesOf(client.frames)).toEqual(["ins", "qdoc", "ins", "qdoc"]);
  });

  test("fails for the one that is wrong, not for those that travelled with it", async () => {
    await using server = new TestServer();
    await using client = await connect(server);
    const outcomes = await Promise.allSettled([
      client.db.insert(record(1)),
      client.db.insert(record(2, { document: "x".repeat(5000) })),
      client.db.insert(record(3)),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(outcomes[1]).toMatchObject({
      reason: { code: "bad_request", message: expect.stringContaining("ins[0].doc: expected at most 4096") },
    });
    expect(await client.db.records("c", "d")).toHaveLength(2);
  });

  test("refuses at once what cannot be sent", async () => {
    await using server = new TestServer();
    await using client = await connect(server);
    for (const [wrong, message] of [
      [{ ts: 1.5 }, "insert[0].ts: expected a 64-bit integer, got 1.5"],
      [
        { ts: 2 ** 53 },
        "insert[0].ts: expected a 64-bit integer, got 9007199254740992: beyond 2^53 it has to be a bigint",
      ],
      [{ ts: 2n ** 63n }, "insert[0].ts: expected a 64-bit integer, got 9223372036854775808"],
      [{ ts: Number.NaN }, "insert[0].ts: expected a 64-bit integer, got NaN"],
      [{ document: "" }, 'insert[0].document: expected a non-empty string, got ""'],
      [{ collection: "" }, 'insert[0].collection: expected a non-empty string, got ""'],
      [{ data: undefined as never }, "insert[0].data: expected a string or a JSON value, got nothing"],
    ] satisfies [Partial<NewRecord>, string][]) {
      await expect(client.db.insert(record(1, wrong))).rejects.toMatchObject({
        code: "bad_request",
        message,
      });
    }
    await expect(client.db.insert(record(1, { data: "x".repeat(17 << 20) }))).rejects.toMatchObject({
      code: "too_large",
      message: "Cannot send ins: it is larger than 16 MiB",
    });
    expect(client.frames).toEqual([]);
  });

  test("takes an array of any length, and none", async () => {
    await using server = new TestServer();
    await using client = await connect(server);
    await client.db.insert([]);
    await client.db.insert(Array.from({ length: 100 }, (_, ts) => record(ts, { data: "x".repeat(100_000) })));
    expect(client.frames.length).toBeGreaterThan(2);
    for (const frame of client.frames) expect(frame.length).toBeLessThan(5 << 20);
    expect((await client.db.latest("c")).get("d")?.ts).toBe(99);
    expect(client.db.bufferedBytes).toBe(0);
  });

  test("fails for all that travelled together when the key may not write", async () => {
    await using server = new TestServer();
    await using client = await connect(server, { apiKey: KEYS.readonly });
    const outcomes = await Promise.allSettled([client.db.insert(record(1)), client.db.insert(record(2))]);
    for (const outcome of outcomes) expect(outcome).toMatchObject({ reason: { code: "permission_denied" } });
    expect(client.frames).toHaveLength(1);
  });
});
