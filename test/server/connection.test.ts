/**
 * The order of replies, and clients that read slowly.
 */
import { describe, expect, test } from "bun:test";
import { DatabaseError } from "../../src/protocol/errors.ts";
import {
  UNSENT_BYTES_PAUSE,
  WAITING_REPLIES_MAX,
  WAITING_REPLY_BYTES_MAX,
} from "../../src/protocol/limits.ts";
import type { TestClient } from "../support/test_client.ts";
import { DelayedDatabase } from "./delayed_database.ts";
import { RawClient } from "./raw_client.ts";
import { ask, frameOf, KEYS, MASTER_KEY, TestServer } from "./test_server.ts";

const ok = (id: string): string => `{"id":"${id}"}`;
const insert = (id: string): string => frameOf("ins", [{ ts: 1, doc: "d", data: "x", col: "c" }], id);

async function take(client: TestClient, count: number): Promise<string[]> {
  const replies: string[] = [];
  while (replies.length < count) replies.push(await client.next());
  return replies;
}

describe("pipelined requests", () => {
  test("are answered in their order", async () => {
    await using server = new TestServer();
    await using client = await server.connect();
    const ids = Array.from({ length: 5000 }, (_, index) => String(index));
    for (const id of ids) client.send(Number(id) % 3 === 0 ? insert(id) : frameOf("nope", {}, id));
    const replies = await take(client, ids.length);
    expect(replies.map((reply) => JSON.parse(reply).id)).toEqual(ids);
  });

  test("keep their place behind a write that waits for its commit", async () => {
    const database = new DelayedDatabase();
    await using server = new TestServer({ database });
    await using client = await server.connect();
    client.send(insert("a"));
    client.send(frameOf("gval", { col: "c", key: "k" }, "b"));
    client.send(frameOf("nope", {}, "c"));
    client.send(frameOf("sval", { col: "c", key: "k", value: "v" }, "d"));
    await database.called(3);
    // Another client's read waits for nobody.
    await using other = await server.connect({ key: KEYS.readonly });
    expect(await ask(other, "gval", { col: "c", key: "k" })).toBe('{"id":"1","value":"v"}');
    database.commit();
    expect(await take(client, 4)).toEqual([
      ok("a"),
      '{"id":"b","value":""}',
      '{"id":"c","error":"type: there is no message \\"nope\\"","code":"unknown_type"}',
      ok("d"),
    ]);
  });

  test("keep their place behind an answer that is promised", async () => {
    const database = new DelayedDatabase();
    await using server = new TestServer({ database });
    await using client = await server.connect();
    await using other = await server.connect();
    client.send(frameOf("cols", {}, "a"));
    client.send(insert("b"));
    client.send(frameOf("cols", {}, "c"));
    client.send(frameOf("cols", {}, "d"));
    client.send(frameOf("gkeys", { col: "c" }, "e"));
    // What comes behind such a request is not done before it has its answer.
    await database.called(1);
    expect(await ask(other, "gkeys", { col: "c" })).toBe('{"id":"1","keys":[]}');
    expect(database.callCount).toBe(2);
    database.answer('["first"]');
    await database.called(4);
    database.answerFailure(new DatabaseError("storage_failed", "The disk is gone"));
    database.commit();
    await database.called(5);
    database.answerFailure(new TypeError("a bug"));
    await database.called(6);
    expect(await take(client, 5)).toEqual([
      '{"id":"a","collections":["first"]}',
      ok("b"),
      '{"id":"c","error":"The disk is gone","code":"storage_failed"}',
      '{"id":"d","error":"Internal error; the server\'s log has the details","code":"internal"}',
      '{"id":"e","keys":[]}',
    ]);
    expect(server.log.of("bug")).toMatchObject([{ type: "cols" }]);
  });

  test("of one commit cost one continuation, on all connections", async () => {
    const database = new DelayedDatabase();
    await using server = new TestServer({ database });
    await using first = await server.connect();
    await using second = await server.connect();
    for (let index = 0; index < 100; index++) {
      first.send(insert(String(index)));
      second.send(frameOf("dcol", { col: "c" }, String(index)));
    }
    await database.called(200);
    expect(database.continuations).toBe(1);
    database.commit();
    const replies = Array.from({ length: 100 }, (_, index) => ok(String(index)));
    expect(await take(first, 100)).toEqual(replies);
    expect(await take(second, 100)).toEqual(replies);
  });

  test("wait each for their own commit", async () => {
    const database = new DelayedDatabase();
    await using server = new TestServer({ database });
    await using client = await server.connect();
    client.send(insert("a"));
    await database.called(1);
    database.commit();
    expect(await client.next()).toBe(ok("a"));
    client.send(insert("b"));
    await database.called(2);
    database.fail(new DatabaseError("storage_failed", "The disk is full"));
    client.send(insert("c"));
    await database.called(3);
    database.commit();
    expect(await take(client, 2)).toEqual([
      '{"id":"b","error":"The disk is full","code":"storage_failed"}',
      ok("c"),
    ]);
  });

  test("of a commit that fails are all told so, and a bug is logged once", async () => {
    const database = new DelayedDatabase();
    await using server = new TestServer({ database });
    await using client = await server.connect();
    for (const id of ["a", "b", "c"]) client.send(insert(id));
    await database.called(3);
    database.fail(new TypeError("a bug"));
    const end = '"error":"Internal error; the server\'s log has the details","code":"internal"}';
    expect(await take(client, 3)).toEqual(["a", "b", "c"].map((id) => `{"id":"${id}",${end}`));
    expect(server.log.of("bug")).toHaveLength(1);
  });

  test("are all answered before a bad frame behind them closes the connection", async () => {
    const database = new DelayedDatabase();
    await using server = new TestServer({ database });
    await using client = await server.connect();
    client.send(insert("a"));
    client.send("no JSON");
    client.send(insert("b"));
    await database.called(1);
    // The server has seen all three when it has answered a later client.
    await using other = await server.connect();
    await ask(other, "gkeys", { col: "c" });
    database.commit();
    expect(await take(client, 2)).toEqual([ok("a"), '{"error":"frame: expected JSON","code":"bad_frame"}']);
    expect((await client.closed).code).toBe(1008);
    expect(database.callCount).toBe(2);
  });

  test("go nowhere when their client has left", async () => {
    const database = new DelayedDatabase();
    await using server = new TestServer({ database });
    await using client = await server.connect();
    client.send(insert("a"));
    client.send(frameOf("cols", {}, "b"));
    await database.called(2);
    const closed = client.close();
    database.commit();
    database.answer("[]");
    await closed;
    await using other = await server.connect();
    expect(await ask(other, "gkeys", { col: "c" })).toBe('{"id":"1","keys":[]}');
    expect(server.log.of("bug")).toEqual([]);
  });

  test("do not hide that their client has left: its connection ends while its answer is put together", async () => {
    const database = new DelayedDatabase();
    await using server = new TestServer({ database });
    const client = await RawClient.connect(server.port, MASTER_KEY);
    client.send([frameOf("cols", {}, "a"), insert("b")]);
    await database.called(1);
    await client[Symbol.asyncDispose]();
    while (server.connectionCount > 0) await Bun.sleep(1);
    database.answer("[]");
    await using other = await server.connect();
    expect(await ask(other, "gkeys", { col: "c" })).toBe('{"id":"1","keys":[]}');
    // What came behind it was not done.
    expect(database.callCount).toBe(2);
    expect(server.log.of("bug")).toEqual([]);
  });

  test("beyond the limit of waiting replies are read when there is room again", async () => {
    const database = new DelayedDatabase();
    await using server = new TestServer({ database });
    await using client = await server.connect();
    const count = 3 * WAITING_REPLIES_MAX;
    for (let index = 0; index < count; index++) client.send(insert(String(index)));
    let answered = 0;
    while (answered < count) {
      await database.called(Math.min(count, answered + WAITING_REPLIES_MAX + 1));
      const called = database.callCount;
      expect(called - answered).toBeLessThanOrEqual(WAITING_REPLIES_MAX + 1);
      database.commit();
      for (; answered < called; answered++) expect(await client.next()).toBe(ok(String(answered)));
    }
  });

  test("beyond the limit of waiting bytes are read when there is room again", async () => {
    const database = new DelayedDatabase();
    await using server = new TestServer({ database });
    await using client = await server.connect();
    const value = "v".repeat(1_000_000);
    const set = (id: number): string => frameOf("sval", { col: "c", key: "k", value }, String(id));
    // One more than the limit holds is taken: only then is it passed.
    const taken = Math.ceil(WAITING_REPLY_BYTES_MAX / set(0).length);
    const count = 3 * taken;
    for (let id = 0; id < count; id++) client.send(set(id));
    for (let answered = 0; answered < count; answered += taken) {
      await database.called(answered + taken);
      // Each of these turns of the event loop could have taken more.
      await using other = await server.connect({ key: KEYS.readonly });
      for (let turn = 0; turn < 20; turn++) await ask(other, "conn", {});
      expect(database.callCount).toBe(answered + taken);
      database.commit();
      for (let id = answered; id < answered + taken; id++) expect(await client.next()).toBe(ok(String(id)));
    }
  });

  test("are not read while a promised answer waits", async () => {
    const database = new DelayedDatabase();
    await using server = new TestServer({ database });
    await using client = await server.connect();
    client.send(insert("w"));
    client.send(frameOf("cols", {}, "a"));
    await database.called(2);
    database.answer(JSON.stringify(["x".repeat(WAITING_REPLY_BYTES_MAX)]));
    for (const id of ["b", "c"]) {
      client.send(frameOf("gkeys", { col: "c" }, id));
      await using other = await server.connect({ key: KEYS.readonly });
      for (let turn = 0; turn < 20; turn++) await ask(other, "conn", {});
    }
    expect(database.callCount).toBe(2);
    database.commit();
    expect(await client.next()).toBe(ok("w"));
    expect((await client.next()).length).toBeGreaterThan(WAITING_REPLY_BYTES_MAX);
    expect(await take(client, 2)).toEqual(['{"id":"b","keys":[]}', '{"id":"c","keys":[]}']);
  });
});

describe("a client that does not read", () => {
  const DATA = "x".repeat(100_000);
  const query = (id: number): string => frameOf("qdoc", { col: "c", doc: "d" }, String(id));

  test("is not read from, and gets everything in order when it reads again", async () => {
    const database = new DelayedDatabase();
    await using server = new TestServer({ database });
    await using other = await server.connect();
    const records = Array.from({ length: 10 }, (_, ts) => ({ ts, doc: "d", data: DATA, col: "c" }));
    other.send(frameOf("ins", records));
    await database.called(1);
    database.commit();
    await other.next();

    await using slow = await RawClient.connect(server.port, MASTER_KEY);
    const count = 200;
    slow.send(Array.from({ length: count }, (_, index) => query(index)));
    slow.send([insert("last")]);
    await database.called(2);
    // Each of these turns of the event loop could have answered more.
    for (let turn = 0; turn < 100; turn++) await ask(other, "gval", { col: "c", key: "k" });
    const answered = database.callCount - 101;
    expect(answered).toBeLessThan(count / 2);

    const text = `[${records.map(({ ts }) => `{"ts":${ts},"data":"${DATA}"}`)}]`;
    for (let index = 0; index < count; index++) {
      const isRight = (await slow.next()) === `{"id":"${index}","records":${text}}`;
      expect(isRight).toBe(true);
    }
    await database.called(102 + count);
    database.commit();
    expect(await slow.next()).toBe(ok("last"));
  });

  test("gets one reply that is larger than all limits of what may wait", async () => {
    await using server = new TestServer();
    await using other = await server.connect();
    for (let ts = 0; ts < 40; ts++) {
      await ask(other, "ins", [{ ts, doc: "d", data: "x".repeat(1_000_000), col: "c" }]);
    }
    await using slow = await RawClient.connect(server.port, MASTER_KEY);
    slow.send([query(1), query(2)]);
    for (let turn = 0; turn < 10; turn++) await ask(other, "cols", {});
    for (const id of ["1", "2"]) {
      const reply = JSON.parse((await slow.next()) as string);
      expect(reply.id).toBe(id);
      expect(reply.records).toHaveLength(40);
    }
  });

  test("is dropped when it has read nothing for as long as a silent one may be silent", async () => {
    const startedAtMs = performance.now();
    // A clock that runs a hundred times as fast.
    const nowMs = (): number => startedAtMs + (performance.now() - startedAtMs) * 100;
    await using server = new TestServer({ nowMs });
    await using other = await server.connect();
    for (let ts = 0; ts < 20; ts++) {
      await ask(other, "ins", [{ ts, doc: "d", data: "x".repeat(1_000_000), col: "c" }]);
    }
    await using idle = await RawClient.connect(server.port, MASTER_KEY);
    idle.send([query(1)]);
    const dropped = (): number[] => server.log.of("readerGivenUp").map((event) => Number(event.unsentBytes));
    while (dropped().length === 0) await Bun.sleep(5);
    expect(dropped()[0]).toBeGreaterThan(UNSENT_BYTES_PAUSE);
    // Nor may many hold a little each: of clients with half a megabyte more each, some have just more than the network takes.
    await ask(other, "ins", [{ ts: 1, doc: "half", data: "x".repeat(500_000), col: "c" }]);
    await using clients = new AsyncDisposableStack();
    for (let count = 1; count <= 24; count++) {
      const client = clients.use(await RawClient.connect(server.port, MASTER_KEY));
      client.send(Array.from({ length: count }, () => frameOf("qdoc", { col: "c", doc: "half" }, "s")));
    }
    while (!dropped().some((bytes) => bytes <= UNSENT_BYTES_PAUSE)) await Bun.sleep(5);
    expect(await ask(other, "gval", { col: "c", key: "k" })).toBe('{"id":"1","value":""}');
  }, 20_000);

  test("gets the replies of a commit in order too", async () => {
    const database = new DelayedDatabase();
    await using server = new TestServer({ database });
    await using slow = await RawClient.connect(server.port, MASTER_KEY);
    const count = 10;
    const value = DATA.repeat(10);
    await using other = await server.connect();
    other.send(frameOf("sval", { col: "c", key: "k", value }, "value"));
    await database.called(1);
    database.commit();
    expect(await other.next()).toBe(ok("value"));
    const query = (_: unknown, index: number): string =>
      frameOf("gval", { col: "c", key: "k" }, String(index));
    slow.send([insert("first"), ...Array.from({ length: count }, query)]);
    await database.called(2 + count);
    database.commit();
    expect(await slow.next()).toBe(ok("first"));
    for (let index = 0; index < count; index++) {
      const isRight = (await slow.next()) === `{"id":"${index}","value":"${value}"}`;
      expect(isRight).toBe(true);
    }
  });
});
