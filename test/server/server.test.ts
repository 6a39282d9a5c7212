import { describe, expect, test } from "bun:test";
import { once } from "node:events";
import { connect } from "node:net";
import { WAITING_REPLIES_MAX } from "../../src/protocol/limits.ts";
import { DelayedDatabase } from "./delayed_database.ts";
import { RawClient } from "./raw_client.ts";
import { ask, exchange, frameOf, KEYS, MASTER_KEY, TestServer } from "./test_server.ts";

const insert = (id: string): string => frameOf("ins", [{ ts: 1, doc: "d", data: "x", col: "c" }], id);

describe("a connection", () => {
  test("is closed with 1003 for a binary frame, behind the replies before it", async () => {
    const database = new DelayedDatabase();
    await using server = new TestServer({ database });
    await using client = await server.connect();
    client.send(insert("a"));
    client.send(new Uint8Array([1, 2, 3]));
    await database.called(1);
    database.commit();
    expect(await client.next()).toBe('{"id":"a"}');
    expect((await client.closed).code).toBe(1003);
  });

  test("is closed with 1009 for a frame beyond the limit", async () => {
    await using server = new TestServer({ frameBytesMax: 1000 });
    await using client = await server.connect();
    const padding = (bytes: number): string => `{"id":"1","type":"cols","x":"${"y".repeat(bytes - 31)}"}`;
    expect(await exchange(client, padding(1000))).toBe('{"id":"1","collections":[]}');
    client.send(padding(1001));
    expect((await client.closed).code).toBe(1009);
  });

  test("takes frames up to 16 MiB", async () => {
    await using server = new TestServer();
    await using client = await server.connect();
    const data = "y".repeat(16 * 1024 * 1024 - 200);
    expect(await ask(client, "ins", [{ ts: 1, doc: "d", data, col: "c" }])).toBe('{"id":"1"}');
    const isWhole = (await ask(client, "qdoc", { col: "c", doc: "d" })).includes(data);
    expect(isWhole).toBe(true);
  });

  test("is told to the log with its name, and again when it is over", async () => {
    let now = 0;
    await using server = new TestServer({ nowMs: () => now });
    await using client = await server.connect({ key: KEYS.readonly, name: "pump" });
    now = 2500;
    await client.close();
    await server.stop();
    const label = { ip: "127.0.0.1", name: "pump" } as const;
    expect(server.log.events).toEqual([
      { event: "connected", ...label },
      { event: "disconnected", ...label, code: 1005, seconds: 2.5 },
    ]);
  });
});

describe("stop()", () => {
  test("closes connections with 1001 and takes no more", async () => {
    const server = new TestServer();
    await using client = await server.connect();
    await server.stop();
    expect(await client.closed).toEqual({ code: 1001, reason: "Server stopping" });
    expect(server.connectionCount).toBe(0);
    await expect(server.connect()).rejects.toThrow();
  });

  test("answers what came in first", async () => {
    const database = new DelayedDatabase();
    const server = new TestServer({ database });
    await using client = await server.connect();
    for (const id of ["a", "b"]) client.send(insert(id));
    await database.called(2);
    const stopped = server.stop();
    database.commit();
    expect([await client.next(), await client.next()]).toEqual(['{"id":"a"}', '{"id":"b"}']);
    expect((await client.closed).code).toBe(1001);
    await stopped;
  });

  test("sends a slow reader all of its replies", async () => {
    const server = new TestServer();
    await using other = await server.connect();
    const data = "x".repeat(5_000_000);
    for (let ts = 0; ts < 4; ts++) await ask(other, "ins", [{ ts, doc: "d", data, col: "c" }]);
    await using slow = await RawClient.connect(server.port, MASTER_KEY);
    slow.send(["1", "2"].map((id) => frameOf("qdoc", { col: "c", doc: "d" }, id)));
    for (let turn = 0; turn < 10; turn++) await ask(other, "cols", {});
    const stopped = server.stop();
    await other.closed;
    for (const id of ["1", "2"]) {
      const reply = JSON.parse((await slow.next()) as string);
      expect(reply.id).toBe(id);
      expect(reply.records).toHaveLength(4);
    }
    expect(await slow.next()).toBe(1001);
    await stopped;
  });

  test("takes no reply back from a client that reads late and has sent more than was read", async () => {
    const database = new DelayedDatabase();
    const server = new TestServer({ database });
    await using idle = await server.connect();
    await using waiting = await server.connect();
    await using late = await RawClient.connect(server.port, MASTER_KEY);
    waiting.send(insert("w"));
    late.send(Array.from({ length: 4 * WAITING_REPLIES_MAX }, (_, index) => insert(String(index))));
    await database.called(WAITING_REPLIES_MAX + 2);
    const stopped = server.stop();
    await idle.closed;
    // The second commit is of the writes that were held back behind the first.
    for (let turn = 0; turn < 10; turn++) {
      database.commit();
      await new Promise(setImmediate);
    }
    // Nothing waits for a commit any more: the network has taken all replies, and this client has read its own.
    await waiting.closed;
    let count = 0;
    for (let reply = await late.next(); reply !== 1001; reply = await late.next()) {
      expect(reply).toBe(`{"id":"${count++}"}`);
    }
    expect(count).toBe(database.callCount - 1);
    await stopped;
  });

  test("does not wait for a client that never says that it has read", async () => {
    let now = 0;
    const server = new TestServer({ nowMs: () => now });
    await using silent = await RawClient.connect(server.port, MASTER_KEY);
    let isStopped = false;
    const stopped = server.stop().then(() => {
      isStopped = true;
    });
    while (!isStopped) {
      now += 100;
      await new Promise(setImmediate);
    }
    await stopped;
    expect(server.connectionCount).toBe(0);
    expect(await silent.next()).toBe(1001);
  });

  test("does not wait for an HTTP request that is half sent", async () => {
    const server = new TestServer();
    const socket = connect(server.port, "127.0.0.1");
    await once(socket, "connect");
    socket.write("GET / HTTP/1.1\r\nHost: loc");
    const closed = once(socket, "close");
    // The server has read it when it has answered a later client.
    await using client = await server.connect();
    await ask(client, "cols", {});
    await server.stop();
    await closed;
  });
});
