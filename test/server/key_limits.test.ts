/**
 * API keys that expire and that are limited to collections, as a client meets them.
 */
import { describe, expect, test } from "bun:test";
import { MESSAGES, type MessageType } from "../../src/protocol/messages.ts";
import type { TestClient } from "../support/test_client.ts";
import { ask, exchange, frameOf, large, TestServer } from "./test_server.ts";

const DENIED = '{"id":"1","error":"permission denied"}';
const OK = '{"id":"1"}';
const EXPIRED = { code: 1008, reason: "API key expired" };

const add = (admin: TestClient, key: string, limits: object): Promise<string> =>
  ask(admin, "keys", { action: "add", key, scope: "read_write_delete", ...limits });

/** Two tenants' data, and a client that may know of `mine` and `ours-…`. */
async function limitedWorld() {
  const server = new TestServer();
  const admin = await server.connect({ name: "admin" });
  await ask(admin, "ins", [
    { ts: 1, doc: "d", data: "x", col: "mine" },
    { ts: 1, doc: "d", data: "x", col: "ours-1" },
    { ts: 1, doc: "d", data: "secret", col: "theirs" },
    { ts: 1, doc: "e", data: "secret", col: "theirs" },
  ]);
  await ask(admin, "sval", { col: "theirs", key: "k", value: "secret" });
  await add(admin, "limited", { collections: ["mine", "/^ours-/"] });
  const client = await server.connect({ key: "limited", name: "tenant" });
  return {
    server,
    admin,
    client,
    async [Symbol.asyncDispose]() {
      await Promise.all([client.close(), admin.close()]);
      await server.stop();
    },
  };
}

/** What each message asks of a collection; undefined for those that name none. */
const REQUESTS: { readonly [Type in MessageType]: ((col: string) => unknown) | undefined } = {
  ins: (col) => [{ ts: 2, doc: "d", data: "y", col }],
  qry: (col) => ({ col, ts: 9 }),
  qdoc: (col) => ({ col, doc: "d", from: 0, to: 9 }),
  cols: undefined,
  ddoc: (col) => ({ col, doc: "nobody" }),
  dcol: (col) => ({ col }),
  drec: (col) => ({ col, doc: "d", ts: 5 }),
  dmrec: (col) => [{ col, doc: "d", ts: 5 }],
  drrng: (col) => ({ col, doc: "d", fromTs: 5, toTs: 6 }),
  sval: (col) => ({ col, key: "k", value: "v" }),
  gval: (col) => ({ col, key: "k" }),
  gvalues: (col) => ({ col, key: "/./" }),
  rval: (col) => ({ col, key: "other" }),
  gvals: (col) => ({ col }),
  gkeys: (col) => ({ col }),
  keys: undefined,
  conn: undefined,
  stat: undefined,
};
const NAMING = (Object.keys(MESSAGES) as MessageType[]).filter((type) => REQUESTS[type] !== undefined);

describe("a key that is limited to collections", () => {
  test.each(NAMING)(
    "%s: is refused outside, there or not, by whichever path, and answered inside",
    async (type) => {
      await using world = await limitedWorld();
      const { admin, client } = world;
      const request = REQUESTS[type] as (col: string) => unknown;
      const stateOf = async (): Promise<string[]> =>
        Promise.all([
          ask(admin, "qry", { col: "theirs", ts: 9 }),
          ask(admin, "gvals", { col: "theirs" }),
          ask(admin, "cols", {}),
        ]);
      const before = await stateOf();
      for (const col of ["theirs", "not there", "Mine", "mine2", "ours", "/^ours-/"]) {
        // As text and as JSON; a member nobody knows leaves the fast path.
        for (const frame of [
          frameOf(type, request(col)),
          JSON.stringify({ id: "1", type, data: request(col) }),
          JSON.stringify({ id: "1", type, data: request(col), more: 1 }),
          large(frameOf(type, request(col))),
        ]) {
          expect(await exchange(client, frame)).toBe(DENIED);
        }
      }
      expect(await stateOf()).toEqual(before);
      for (const col of ["mine", "ours-1", "ours-new"]) {
        expect(await ask(client, type, request(col))).not.toContain('"error"');
        expect(await exchange(client, large(frameOf(type, request(col))))).not.toContain('"error"');
      }
    },
  );

  test("is refused a whole batch for one record outside", async () => {
    await using world = await limitedWorld();
    const { admin, client } = world;
    const inside = { ts: 7, doc: "d", data: "y", col: "mine" };
    const outside = { ts: 7, doc: "d", data: "y", col: "theirs" };
    for (const batch of [
      [inside, outside],
      [outside, inside],
      [inside, inside, outside, inside],
      [inside, { ...outside, ts: "7" }],
    ]) {
      expect(await ask(client, "ins", batch)).toBe(DENIED);
    }
    const keys = [inside, outside].map(({ ts, doc, col }) => ({ ts, doc, col }));
    expect(await ask(client, "dmrec", [{ ...keys[0], ts: 1 }, keys[1]])).toBe(DENIED);
    expect(await ask(admin, "qry", { col: "mine", ts: 9 })).toContain('{"ts":1,"data":"x"}');
    expect(await ask(client, "ins", [inside, { ...inside, col: "ours-2" }])).toBe(OK);
  });

  test("sees its own collections only", async () => {
    await using world = await limitedWorld();
    expect(await ask(world.client, "cols", {})).toBe('{"id":"1","collections":["mine","ours-1"]}');
    expect(await ask(world.admin, "cols", {})).toBe('{"id":"1","collections":["mine","ours-1","theirs"]}');
  });

  test("deletes a document without a collection in its own ones only", async () => {
    await using world = await limitedWorld();
    expect(await ask(world.client, "ddoc", { doc: "d" })).toBe(OK);
    expect(await ask(world.admin, "cols", {})).toBe('{"id":"1","collections":["theirs"]}');
    expect(await ask(world.admin, "qry", { col: "theirs", ts: 9, doc: "d" })).toContain("secret");
    expect(await ask(world.client, "ddoc", { doc: "e" })).toBe(OK);
    expect(await ask(world.admin, "qry", { col: "theirs", ts: 9, doc: "e" })).toContain("secret");
  });

  test("sees its own connections only", async () => {
    await using world = await limitedWorld();
    await using _other = await world.server.connect({ key: "limited", name: "tenant 2" });
    const names = async (client: TestClient): Promise<unknown[]> =>
      (JSON.parse(await ask(client, "conn", {})).connections as { name: string }[]).map(({ name }) => name);
    expect(await names(world.client)).toEqual(["tenant", "tenant 2"]);
    expect(await names(world.admin)).toEqual(["admin", "tenant", "tenant 2"]);
    expect(JSON.parse(await ask(world.client, "stat", {})).stat.connections).toBe(2);
    expect(JSON.parse(await ask(world.admin, "stat", {})).stat.connections).toBe(3);
  });

  test("may not read metrics, which are of all", async () => {
    await using world = await limitedWorld();
    const scrape = async (key: string): Promise<number> =>
      (await fetch(`http://127.0.0.1:${world.server.port}/metrics?api-key=${key}`)).status;
    expect(await scrape("limited")).toBe(403);
    expect(await scrape("reader")).toBe(200);
  });

  test("may do at once what it is given, and no more what is taken, on a live connection", async () => {
    await using world = await limitedWorld();
    const { admin, client } = world;
    const read = (): Promise<string> => ask(client, "qry", { col: "theirs", ts: 9, doc: "d" });
    expect(await read()).toBe(DENIED);
    await add(admin, "limited", { collections: ["theirs"] });
    expect(await read()).toContain("secret");
    expect(await ask(client, "qry", { col: "mine", ts: 9 })).toBe(DENIED);
    // An older client's way of changing a scope lifts no limit.
    await add(admin, "limited", {});
    expect(await ask(client, "qry", { col: "mine", ts: 9 })).toBe(DENIED);
    await add(admin, "limited", { collections: "all" });
    expect(await ask(client, "qry", { col: "mine", ts: 9 })).toContain("x");
  });
});

describe("a key that expires", () => {
  test("is refused with 401, and counts as a failed login", async () => {
    let dateMs = 1000;
    await using server = new TestServer({ dateMs: () => dateMs });
    await using admin = await server.connect();
    await add(admin, "short", { expiresAt: 2000 });
    expect((await server.upgrade("/?api-key=short")).status).toBe(101);
    dateMs = 2000;
    const refused = await server.upgrade("/?api-key=short");
    expect([refused.status, await refused.text()]).toEqual([401, "API key expired"]);
    expect(server.log.of("rejected")).toEqual([
      { event: "rejected", ip: "127.0.0.1", reason: "API key expired" },
    ]);
  });

  test("is answered no frame from then on, and nothing of it is applied", async () => {
    let dateMs = 1000;
    await using server = new TestServer({ dateMs: () => dateMs });
    await using admin = await server.connect();
    await add(admin, "short", { expiresAt: 2000 });
    await using client = await server.connect({ key: "short" });
    expect(await ask(client, "sval", { col: "c", key: "k", value: "1" })).toBe(OK);
    dateMs = 2000;
    client.send(frameOf("sval", { col: "c", key: "k", value: "2" }));
    expect(await client.closed).toEqual(EXPIRED);
    expect(await ask(admin, "gval", { col: "c", key: "k" })).toBe('{"id":"1","value":"1"}');
  });

  test("loses its connections without any frame, and no others do", async () => {
    await using server = new TestServer();
    await using admin = await server.connect();
    await add(admin, "long", { expiresAt: Date.now() + 3_600_000 });
    await using stays = await server.connect({ key: "long" });
    await add(admin, "short", { expiresAt: Date.now() + 200 });
    await using first = await server.connect({ key: "short" });
    await using second = await server.connect({ key: "short" });
    expect(await Promise.all([first.closed, second.closed])).toEqual([EXPIRED, EXPIRED]);
    expect(await ask(stays, "cols", {})).toBe('{"id":"1","collections":[]}');
    // A key that is connected already gets an end.
    await add(admin, "long", { expiresAt: Date.now() + 50 });
    expect(await stays.closed).toEqual(EXPIRED);
    expect(server.connectionCount).toBe(1);
  });

  test("is good again when it is given more time", async () => {
    let dateMs = 1000;
    await using server = new TestServer({ dateMs: () => dateMs });
    await using admin = await server.connect();
    await add(admin, "short", { expiresAt: 2000 });
    dateMs = 3000;
    expect((await server.upgrade("/?api-key=short")).status).toBe(401);
    await add(admin, "short", { expiresAt: 4000 });
    await using client = await server.connect({ key: "short" });
    await add(admin, "short", { expiresAt: "never" });
    dateMs = 5000;
    expect(await ask(client, "cols", {})).toBe('{"id":"1","collections":[]}');
  });
});

describe("keys", () => {
  test("answers and lists limits for keys that have them, and nothing new for the others", async () => {
    await using server = new TestServer({ dateMs: () => 0 });
    await using admin = await server.connect();
    expect(await add(admin, "plain", { expiresAt: null, collections: null })).toBe(
      '{"id":"1","scope":"read_write_delete","status":"ok"}',
    );
    expect(await add(admin, "limited", { expiresAt: 5, collections: ["a", "/b/"] })).toBe(
      '{"id":"1","scope":"read_write_delete","status":"ok","expiresAt":5,"collections":["a","/b/"]}',
    );
    const list = await ask(admin, "keys", { action: "list" });
    expect(list).toContain('{"deletable":true,"key":"plain","scope":"read_write_delete"}');
    expect(list).toContain(
      '{"deletable":true,"key":"limited","scope":"read_write_delete","expiresAt":5,"collections":["a","/b/"]}',
    );
  });

  test.each<[object, string]>([
    [
      { expiresAt: 1000 },
      'keys.expiresAt: expected a time to come, in milliseconds since 1970, or "never", got 1000',
    ],
    [{ expiresAt: "soon" }, 'got "soon"'],
    [{ expiresAt: 1e300 }, "got 1e+300"],
    [{ expiresAt: 5000.5 }, "got 5000.5"],
    [{ collections: [] }, 'keys.collections: expected 1 to 256 names or patterns, or "all", got []'],
    [{ collections: "a" }, 'got "a"'],
    [{ collections: Array(257).fill("a") }, "got an array of 257"],
    [{ collections: ["a", ""] }, 'keys.collections[1]: expected a non-empty string, got ""'],
    [{ collections: [7] }, "keys.collections[0]: expected a non-empty string, got 7"],
    [{ collections: ["x".repeat(4097)] }, "expected at most 4096 characters"],
    [{ collections: ["/(/"] }, "Cannot compile the pattern /(/"],
  ])("refuses %j and changes nothing", async (limits, message) => {
    await using server = new TestServer({ dateMs: () => 1000 });
    await using admin = await server.connect();
    const { error, code } = JSON.parse(await add(admin, "new", limits));
    expect(error).toContain(message);
    expect(["bad_request", "bad_pattern"]).toContain(code);
    expect(server.apiKeys.authenticate("new")).toBeUndefined();
  });

  test("cannot limit the master key", async () => {
    await using server = new TestServer();
    await using admin = await server.connect();
    expect(await add(admin, "master key/ü+%", { collections: ["a"] })).toBe(
      `{"id":"1","error":"the master key's scope cannot be changed"}`,
    );
  });
});
