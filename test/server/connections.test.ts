import { describe, expect, test } from "bun:test";
import type { TestClient } from "../support/test_client.ts";
import { DelayedDatabase } from "./delayed_database.ts";
import { ask, exchange, KEYS, TestServer } from "./test_server.ts";

describe("conn", () => {
  test("shows who is connected since when, and who asks", async () => {
    let now = 1000;
    await using server = new TestServer({ nowMs: () => now });
    await using first = await server.connect({ name: 'a"b' });
    now = 1250.4;
    await using second = await server.connect({ key: KEYS.readonly });
    now = 1500;
    for (const data of ["", ',"data":null', ',"data":"{}"', ',"data":"no"', ',"data":[]']) {
      expect(await exchange(second, `{"id":"1","type":"conn"${data}}`)).toBe(
        '{"id":"1","connections":[{"ip":"127.0.0.1","since":500,"name":"a\\"b","self":false},' +
          '{"ip":"127.0.0.1","since":250,"name":null,"self":true}]}',
      );
    }
    expect(await ask(first, "conn", {})).toContain('"name":"a\\"b","self":true}');
  });

  test("forgets who has left", async () => {
    await using server = new TestServer();
    await using stays = await server.connect();
    await using leaves = await server.connect();
    expect(server.connectionCount).toBe(2);
    await leaves.close();
    expect(JSON.parse(await ask(stays, "conn", {})).connections).toHaveLength(1);
    expect(server.connectionCount).toBe(1);
    expect(server.log.of("connected")).toHaveLength(2);
    expect(server.log.of("disconnected")).toMatchObject([{ ip: "127.0.0.1", name: null, code: 1005 }]);
  });
});

describe("a key that is removed", () => {
  const removed = { code: 1008, reason: "API key revoked" };
  const remove = (client: TestClient, key: string): Promise<string> =>
    ask(client, "keys", { action: "remove", key });

  test("closes all its connections at once, and no others", async () => {
    await using server = new TestServer();
    await using admin = await server.connect();
    await using other = await server.connect({ key: KEYS.read_write });
    await using first = await server.connect({ key: KEYS.readonly });
    await using second = await server.connect({ key: KEYS.readonly });
    expect(await remove(admin, KEYS.readonly)).toBe('{"id":"1","status":"ok"}');
    expect(await Promise.all([first.closed, second.closed])).toEqual([removed, removed]);
    expect(await ask(other, "cols", {})).toBe('{"id":"1","collections":[]}');
    expect(await (await server.upgrade(`/?api-key=${KEYS.readonly}`)).text()).toBe("Unknown API key");
  });

  test("does not wait for the replies that its connections wait for", async () => {
    const database = new DelayedDatabase();
    await using server = new TestServer({ database });
    await using admin = await server.connect();
    await using client = await server.connect({ key: KEYS.read_write });
    client.send('{"id":"1","type":"sval","data":{"col":"c","key":"k","value":"v"}}');
    await database.called(1);
    expect(await remove(admin, KEYS.read_write)).toBe('{"id":"1","status":"ok"}');
    expect(await client.closed).toEqual(removed);
    database.commit();
    expect(await ask(admin, "gval", { col: "c", key: "k" })).toBe('{"id":"1","value":"v"}');
  });

  test("that is added again is another key", async () => {
    await using server = new TestServer();
    await using admin = await server.connect();
    await remove(admin, KEYS.readonly);
    await ask(admin, "keys", { action: "add", key: KEYS.readonly, scope: "readonly" });
    await using client = await server.connect({ key: KEYS.readonly });
    expect(await ask(client, "cols", {})).toBe('{"id":"1","collections":[]}');
  });
});
