import { describe, expect, test } from "bun:test";
import { FluxionDB } from "../../src/client/fluxiondb.ts";
import { KEYS, MASTER_KEY, TestServer } from "../server/test_server.ts";

const NANOSECONDS = 1747604423123456789n;

async function connect(server: TestServer): Promise<FluxionDB> {
  return FluxionDB.connect({ url: server.url, apiKey: MASTER_KEY, name: "test" });
}

async function list<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe("FluxionDB", () => {
  test("stores records and reads them in each way there is", async () => {
    await using server = new TestServer();
    await using db = await connect(server);
    await db.insert({ collection: "c", document: "a", ts: 1, data: { t: 1 } });
    await db.insert([
      { collection: "c", document: "a", ts: 2, data: "two" },
      { collection: "c", document: "b", ts: -5n, data: "" },
      { collection: "d", document: "__proto__", ts: NANOSECONDS, data: [1, "é😀"] },
    ]);
    expect(await db.collections()).toEqual(["c", "d"]);
    expect([...(await db.latest("c"))]).toEqual([
      ["a", { ts: 2, data: "two" }],
      ["b", { ts: -5, data: "" }],
    ]);
    expect([...(await db.latest("c", { at: 1, document: "a", where: "t" }))]).toEqual([
      ["a", { ts: 1, data: '{"t":1}' }],
    ]);
    expect([...(await db.latest("d"))]).toEqual([["__proto__", { ts: NANOSECONDS, data: '[1,"é😀"]' }]]);
    expect(await db.records("c", "a", { reverse: true })).toEqual([
      { ts: 2, data: "two" },
      { ts: 1, data: '{"t":1}' },
    ]);
    expect(await db.records("c", "b")).toEqual([{ ts: -5, data: "" }]);
    expect(await list(db.history("c", "a"))).toEqual(await db.records("c", "a"));
    expect(await db.records("none", "none")).toEqual([]);
  });

  test("gives times beyond 2^53 as bigint, digit for digit, and others as number", async () => {
    await using server = new TestServer();
    await using db = await connect(server);
    const times = [2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n, -(2n ** 53n), NANOSECONDS];
    const exact = [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 0, 1747604423];
    const sly = '{"ts":9007199254740993,"x":"\\"ts\\":9007199254740993"}';
    await db.insert([...times, ...exact].map((ts) => ({ collection: "c", document: "d", ts, data: sly })));
    const sorted = [...times, ...exact.map(BigInt)].sort((a, b) => Number(a - b));
    const records = await db.records("c", "d");
    expect(records.map(({ ts }) => BigInt(ts))).toEqual(sorted);
    for (const { ts, data } of records) {
      expect(typeof ts).toBe(Number.isSafeInteger(Number(ts)) ? "number" : "bigint");
      expect(data).toBe(sly);
    }
  });

  test("deletes", async () => {
    await using server = new TestServer();
    await using db = await connect(server);
    const record = (document: string, ts: number) => ({ collection: "c", document, ts, data: "x" });
    await db.insert([1, 2, 3, 4, 5].flatMap((ts) => [record("a", ts), record("b", ts)]));
    await db.deleteRecords(record("a", 1));
    await db.deleteRecords([record("a", 3), record("a", 33)]);
    await db.deleteRange("c", "a", { from: 4, to: 4n });
    expect((await db.records("c", "a")).map(({ ts }) => ts)).toEqual([2, 5]);
    await db.insert({ ...record("b", 1), collection: "other" });
    await db.deleteDocument("b", { collection: "c" });
    expect([...(await db.latest("c")).keys()]).toEqual(["a"]);
    expect(await db.collections()).toEqual(["c", "other"]);
    await db.deleteDocument("b");
    await db.deleteCollection("c");
    expect(await db.collections()).toEqual([]);
  });

  test("keeps key-values", async () => {
    await using server = new TestServer();
    await using db = await connect(server);
    await db.setValue("c", "k1", "v1");
    await db.setValue("c", "k2", "é\n");
    expect(await db.value("c", "k2")).toBe("é\n");
    expect(await db.value("c", "none")).toBe("");
    expect([...(await db.values("c"))]).toEqual([
      ["k1", "v1"],
      ["k2", "é\n"],
    ]);
    expect([...(await db.values("c", "/1$/"))]).toEqual([["k1", "v1"]]);
    expect(await db.valueKeys("c")).toEqual(["k1", "k2"]);
    await db.deleteValue("c", "k1");
    expect(await db.valueKeys("c")).toEqual(["k2"]);
  });

  test("manages API keys, and says who is connected and how the server is", async () => {
    await using server = new TestServer();
    await using db = await connect(server);
    expect(await db.addApiKey("new", "read_write")).toBe("read_write");
    expect(await db.apiKeys()).toContainEqual({ key: "new", scope: "read_write", deletable: true });
    await db.removeApiKey("new");
    expect((await db.apiKeys()).map(({ key }) => key)).toEqual([MASTER_KEY, ...Object.values(KEYS)].sort());
    expect(await db.connections()).toEqual([
      { ip: "127.0.0.1", since: expect.any(Number), name: "test", self: true },
    ]);
    expect(await db.status()).toMatchObject({ version: "1.2.3", connections: 1 });
  });

  test("limits API keys, and notices a server that does not know how", async () => {
    await using server = new TestServer();
    await using db = await connect(server);
    const until = new Date(Date.now() + 3_600_000);
    await db.addApiKey("new", "readonly", { expiresAt: until, collections: ["a"], timeoutMs: 10_000 });
    expect(await db.apiKeys()).toContainEqual({
      key: "new",
      scope: "readonly",
      deletable: true,
      expiresAt: until.getTime(),
      collections: ["a"],
    });
    await using limited = await FluxionDB.connect({ url: server.url, apiKey: "new", reconnect: false });
    expect(await limited.collections()).toEqual([]);
    expect(await db.putApiKey("new", "readonly")).toMatchObject({
      scope: "readonly",
      expiresAt: until.getTime(),
      collections: ["a"],
    });
    await db.addApiKey("new", "readonly", { expiresAt: "never", collections: "all" });
    expect(await db.apiKeys()).toContainEqual({ key: "new", scope: "readonly", deletable: true });

    await using older = new OlderServer();
    await using there = await FluxionDB.connect({ url: older.url, apiKey: "x" });
    expect(await there.addApiKey("new", "readonly")).toBe("readonly");
    await expect(there.addApiKey("new", "readonly", { collections: ["a"] })).rejects.toMatchObject({
      code: "unsupported",
    });
  });

  test("is told that its key has expired, and does not try again", async () => {
    await using server = new TestServer();
    await using admin = await connect(server);
    await admin.addApiKey("short", "readonly", { expiresAt: Date.now() + 100 });
    const { promise: ended, resolve } = Promise.withResolvers<unknown>();
    await using _db = await FluxionDB.connect({
      url: server.url,
      apiKey: "short",
      onStateChange: (state, error) => {
        if (state === "closed") resolve(error);
      },
    });
    expect(await ended).toMatchObject({ code: "unauthorized", message: expect.stringContaining("expired") });
    await expect(FluxionDB.connect({ url: server.url, apiKey: "short" })).rejects.toMatchObject({
      code: "unauthorized",
    });
  });

  test("throws the server's errors, with their code", async () => {
    await using server = new TestServer();
    await using db = await FluxionDB.connect({ url: server.url, apiKey: KEYS.readonly });
    await expect(db.latest("c", { where: "/(/" })).rejects.toMatchObject({
      name: "FluxionError",
      code: "bad_pattern",
    });
    await expect(db.setValue("c", "k", "v")).rejects.toMatchObject({
      code: "permission_denied",
      message: "permission denied",
    });
    await expect(db.apiKeys()).rejects.toMatchObject({ code: "permission_denied" });
  });
});

/** Answers all requests to add keys as servers do that do not know of limits. */
class OlderServer implements AsyncDisposable {
  readonly #server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request, server) => (server.upgrade(request) ? undefined : new Response("", { status: 426 })),
    websocket: {
      open: (socket) => void socket.sendText('{"message":"Authentication successful","type":"ready"}'),
      message: (socket, frame) => {
        const { id } = JSON.parse(String(frame)) as { id: string };
        socket.sendText(JSON.stringify({ id, scope: "readonly", status: "ok" }));
      },
    },
  });

  get url(): string {
    return `ws://127.0.0.1:${this.#server.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop(true);
  }
}
