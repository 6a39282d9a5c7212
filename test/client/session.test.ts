/**
 * What the client does when the network or the server fails it: against a real server, over a network that can be cut.
 */
import { describe, expect, test } from "bun:test";
import { FluxionDB, type FluxionDBOptions } from "../../src/client/fluxiondb.ts";
import { KEYS, MASTER_KEY, TestServer } from "../server/test_server.ts";
import { UnreliableNetwork } from "./unreliable_network.ts";

const record = (ts: number, data = "x") => ({ collection: "c", document: "d", ts, data });

/** A server, a network to it, and a client that comes back at once. */
class World implements AsyncDisposable {
  readonly server = new TestServer();
  readonly network = new UnreliableNetwork(() => this.server.port);
  readonly db: FluxionDB;
  readonly states: string[] = [];

  constructor(options: Partial<FluxionDBOptions> = {}) {
    this.db = new FluxionDB({
      url: this.network.url,
      apiKey: MASTER_KEY,
      reconnect: { minMs: 1, maxMs: 5 },
      onStateChange: (state) => this.states.push(state),
      ...options,
    });
  }

  /** The times that the server has, seen from beside. */
  async times(): Promise<unknown[]> {
    await using beside = await FluxionDB.connect({ url: this.server.url, apiKey: MASTER_KEY });
    return (await beside.records("c", "d")).map(({ ts }) => ts);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.network.goDown();
    await this.db.close();
    await this.server.stop();
  }
}

/** Until the server has got what was sent. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await Bun.sleep(1);
}

describe("a client whose connection breaks", () => {
  test("connects again", async () => {
    await using world = new World();
    await world.db.insert(record(1));
    world.network.cut();
    await until(() => world.db.state !== "ready");
    await world.db.insert(record(2));
    expect(await world.times()).toEqual([1, 2]);
    expect(world.states).toEqual(["ready", "waiting", "connecting", "ready"]);
    expect(world.network.connectionCount).toBe(2);
  });

  test("sends again what does no harm, and tells of the rest that its fate is unknown", async () => {
    await using world = new World();
    await world.db.insert(record(1));
    world.network.fallSilent();
    const insert = world.db.insert(record(2));
    const read = world.db.collections();
    const removal = world.db.deleteRecords(record(1)).catch((error) => error);
    world.network.comeBack();
    world.network.cut();
    expect(await removal).toMatchObject({ name: "FluxionError", code: "connection_lost" });
    await insert;
    expect(await read).toEqual(["c"]);
    expect(await world.times()).toEqual([1, 2]);
  });

  test("with retry: none tells of all", async () => {
    await using world = new World({ retry: "none" });
    await world.db.insert(record(1));
    world.network.fallSilent();
    const insert = world.db.insert(record(2)).catch((error) => error);
    world.network.comeBack();
    world.network.cut();
    expect(await insert).toMatchObject({ code: "connection_lost" });
    await world.db.insert(record(3));
    expect(await world.times()).toEqual([1, 3]);
  });

  test("with reconnect: false is at its end", async () => {
    await using world = new World({ reconnect: false });
    await world.db.insert(record(1));
    world.network.cut();
    await until(() => world.db.state === "closed");
    await expect(world.db.insert(record(2))).rejects.toMatchObject({ code: "connection_lost" });
  });

  test("notices by a timeout when it is silent, and leaves it", async () => {
    await using world = new World({ timeoutMs: 200 });
    await world.db.insert(record(1));
    world.network.fallSilent();
    await expect(world.db.collections()).rejects.toMatchObject({ code: "timeout" });
    world.network.comeBack();
    expect(await world.db.collections()).toEqual(["c"]);
    expect(world.network.connectionCount).toBeGreaterThan(1);
  });
});

describe("a client without a connection", () => {
  test("keeps what it is asked, in order, until there is one", async () => {
    await using world = new World();
    world.network.goDown();
    await until(() => world.db.state === "waiting");
    const calls = [
      world.db.insert(record(1)),
      world.db.insert(record(2)),
      world.db.deleteRange("c", "d", { from: 1, to: 2 }),
      world.db.insert(record(2, "again")),
    ];
    const read = world.db.records("c", "d");
    world.network.comeBack();
    await Promise.all(calls);
    expect(await read).toEqual([{ ts: 2, data: "again" }]);
  });

  test("refuses more inserts than its buffer holds", async () => {
    await using world = new World({ buffer: { bytesMax: 1000 } });
    world.network.goDown();
    const first = world.db.insert(record(1, "x".repeat(800)));
    await expect(world.db.insert(record(2, "x".repeat(800)))).rejects.toMatchObject({ code: "buffer_full" });
    expect(world.db.bufferedBytes).toBeWithin(800, 1001);
    world.network.comeBack();
    await first;
    expect(world.db.bufferedBytes).toBe(0);
    expect(await world.times()).toEqual([1]);
  });

  test("drops the oldest instead, if it is told to", async () => {
    await using world = new World({ buffer: { bytesMax: 1000, whenFull: "drop_oldest" } });
    await world.db.insert(record(0));
    world.network.goDown();
    await until(() => world.db.state === "waiting");
    const inserts = [1, 2, 3, 4].map((ts) => world.db.insert(record(ts, "x".repeat(400))));
    const outcomes = Promise.allSettled(inserts);
    world.network.comeBack();
    expect((await outcomes).map(({ status }) => status)).toEqual([
      "rejected",
      "rejected",
      "fulfilled",
      "fulfilled",
    ]);
    await expect(inserts[0]).rejects.toMatchObject({ code: "buffer_full" });
    expect(await world.times()).toEqual([0, 3, 4]);
  });

  test("refuses more requests than may wait", async () => {
    await using world = new World({ pendingMax: 2 });
    world.network.goDown();
    const reads = [world.db.collections(), world.db.collections()];
    await expect(world.db.collections()).rejects.toMatchObject({ code: "buffer_full" });
    world.network.comeBack();
    expect(await Promise.all(reads)).toEqual([[], []]);
  });

  test("gives up a request when its time is over or its signal says so, but keeps inserts", async () => {
    await using world = new World({ timeoutMs: 20 });
    world.network.goDown();
    const insert = world.db.insert(record(1));
    await expect(world.db.insert(record(2), { timeoutMs: 5 })).rejects.toMatchObject({ code: "timeout" });
    await expect(world.db.collections()).rejects.toMatchObject({ code: "timeout" });
    const stop = new AbortController();
    const aborted = world.db.insert(record(3), { signal: stop.signal }).catch((error) => error);
    stop.abort(new Error("enough"));
    expect(await aborted).toMatchObject({ code: "aborted", cause: { message: "enough" } });
    await expect(world.db.collections({ signal: stop.signal })).rejects.toMatchObject({ code: "aborted" });
    world.network.comeBack();
    await insert;
    expect(await world.times()).toEqual([1]);
  });
});

describe("connect()", () => {
  test("is unauthorized with a key that is none, and does not show it", async () => {
    await using server = new TestServer();
    const failed = FluxionDB.connect({ url: server.url, apiKey: "nobody" });
    await expect(failed).rejects.toMatchObject({
      code: "unauthorized",
      message: expect.stringContaining("refused the API key"),
    });
    await expect(failed).rejects.not.toMatchObject({ message: expect.stringContaining("nobody") });
  });

  test("fails where nobody listens, and does not show the key", async () => {
    const network = new UnreliableNetwork(() => 0);
    network.goDown();
    const failed = FluxionDB.connect({ url: network.url, apiKey: "hidden" });
    await expect(failed).rejects.toMatchObject({
      code: "connection_failed",
      message: expect.stringContaining(`Cannot connect to ${network.url}`),
    });
    await expect(failed).rejects.not.toMatchObject({ message: expect.stringContaining("hidden") });
  });

  test("fails where something else listens", async () => {
    using http = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("hello") });
    using chat = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: (request, self) => (self.upgrade(request) ? undefined : new Response("no")),
      websocket: { open: (socket) => void socket.send("hello"), message: () => {} },
    });
    for (const { port } of [http, chat]) {
      const failed = FluxionDB.connect({ url: `ws://127.0.0.1:${port}`, apiKey: "key" });
      await expect(failed).rejects.toMatchObject({ code: "connection_failed" });
    }
  });

  test("fails where somebody listens and says nothing", async () => {
    await using server = new TestServer();
    using network = new UnreliableNetwork(() => server.port);
    network.fallSilent();
    const failed = FluxionDB.connect({ url: network.url, apiKey: MASTER_KEY, timeoutMs: 50 });
    await expect(failed).rejects.toMatchObject({ code: "connection_failed" });
  });

  test.each(["", "localhost", "ftp://localhost", "ws//x"])("refuses the address %p", (url) => {
    expect(() => new FluxionDB({ url, apiKey: "key" })).toThrow("url: expected ws://HOST:PORT, got");
  });

  test("refuses an empty key", () => {
    expect(() => new FluxionDB({ url: "ws://127.0.0.1:1", apiKey: "" })).toThrow("apiKey: expected");
  });
});

describe("a client whose key is revoked", () => {
  test("is told so, and does not come back", async () => {
    await using world = new World({ apiKey: KEYS.read_write });
    await world.db.insert(record(1));
    await using master = await FluxionDB.connect({ url: world.server.url, apiKey: MASTER_KEY });
    await master.removeApiKey(KEYS.read_write);
    await until(() => world.db.state === "closed");
    await expect(world.db.collections()).rejects.toMatchObject({
      code: "unauthorized",
      message: expect.stringContaining("has revoked the API key"),
    });
    expect(world.network.connectionCount).toBe(1);
  });
});

describe("close()", () => {
  test("sends what is buffered and waits for it", async () => {
    await using world = new World();
    await world.db.collections();
    const insert = world.db.insert(record(1));
    await world.db.close();
    await insert;
    expect(await world.times()).toEqual([1]);
    await expect(world.db.insert(record(2))).rejects.toMatchObject({ code: "closed" });
    expect(world.db.state).toBe("closed");
  });

  test("without a connection fails what waits, at the timeout", async () => {
    await using world = new World({ timeoutMs: 20 });
    world.network.goDown();
    const insert = world.db.insert(record(1)).catch((error) => error);
    await world.db.close();
    expect(await insert).toMatchObject({ code: "closed" });
  });

  test("can be called twice", async () => {
    await using world = new World();
    await Promise.all([world.db.close(), world.db.close()]);
    await world.db.close();
  });
});
