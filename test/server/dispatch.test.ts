/**
 * What is refused, and how: permissions, unusable requests, frames that are no messages, and bugs.
 */
import { describe, expect, test } from "bun:test";
import type { RawRequest, Written } from "../../src/engine/database.ts";
import type { InsertBatch } from "../../src/engine/insert_batch.ts";
import { MemoryDatabase } from "../../src/engine/memory_database.ts";
import { MemoryFull } from "../../src/engine/memory_limit.ts";
import { MESSAGES, type MessageType } from "../../src/protocol/messages.ts";
import { SCOPES, type Scope } from "../../src/protocol/scope.ts";
import { IN_PIECES, SMALL_CHUNKS } from "../engine/harness.ts";
import { BAD_FRAMES, BAD_REQUESTS, record, refused, TS } from "./bad_requests.ts";
import { ask, exchange, frameOf, KEYS, large, TestServer } from "./test_server.ts";

const TYPES = Object.keys(MESSAGES) as MessageType[];
const DENIED = '{"id":"1","error":"permission denied"}';
const MASTER_ONLY = '{"id":"1","error":"only the master key may manage API keys"}';

describe("a permission", () => {
  const cases = (Object.keys(SCOPES) as Scope[]).flatMap((scope) =>
    TYPES.map((type): [MessageType, Scope] => [type, scope]),
  );

  test.each(cases)("of %s is checked for %s before the payload", async (type, scope) => {
    await using server = new TestServer();
    await using client = await server.connect({ key: KEYS[scope] });
    const { permission } = MESSAGES[type];
    const reply = await exchange(client, `{"id":"1","type":"${type}","data":"not JSON"}`);
    if (permission === "master") expect(reply).toBe(scope === "read_write_delete" ? MASTER_ONLY : DENIED);
    else if ((SCOPES[scope] as readonly string[]).includes(permission)) expect(reply).not.toBe(DENIED);
    else expect(reply).toBe(DENIED);
    // The connection stays open.
    expect(await ask(client, "cols", {})).toBe('{"id":"1","collections":[]}');
  });

  test("that is missing stops an insert of the usual form", async () => {
    await using server = new TestServer();
    await using client = await server.connect({ key: KEYS.readonly });
    expect(await ask(client, "ins", [{ ts: 1, doc: "d", data: "", col: "c" }])).toBe(DENIED);
    expect(await ask(client, "cols", {})).toBe('{"id":"1","collections":[]}');
  });
});

describe("a request that can't be used", () => {
  test("is told what was expected, in both forms of data, and the connection stays open", async () => {
    await using server = new TestServer();
    await using client = await server.connect();
    for (const [type, data, error] of BAD_REQUESTS) {
      expect(await ask(client, type, data)).toBe(refused(error));
      expect(await exchange(client, JSON.stringify({ id: "1", type, data }))).toBe(refused(error));
    }
    expect(await ask(client, "cols", {})).toBe('{"id":"1","collections":[]}');
    expect(server.log.of("bug")).toEqual([]);
  });

  test.each([
    ['"data":"not JSON"', 'data: expected JSON text, got "not JSON"'],
    ['"data":""', 'data: expected JSON text, got ""'],
    ['"data":"{}x"', 'data: expected JSON text, got "{}x"'],
    [`"data":"${"y".repeat(100)}"`, `data: expected JSON text, got "${"y".repeat(60)}…"`],
    ['"extra":1', "qry: expected an object, got nothing"],
    ['"data":null', "qry: expected an object, got null"],
    ['"data":{"col":"c","ts":1e999}', `qry.ts: ${TS}, got 1e999`],
    ['"data":{"col":"c","ts":9223372036854775808}', `qry.ts: ${TS}, got 9223372036854775808`],
  ])("with %s is refused: %s", async (member, error) => {
    await using server = new TestServer();
    await using client = await server.connect();
    expect(await exchange(client, `{"id":"1","type":"qry",${member}}`)).toBe(refused(error));
  });

  test("is refused when it is nested too deep", async () => {
    await using server = new TestServer();
    await using client = await server.connect();
    const deep = `${"[".repeat(200_000)}${"]".repeat(200_000)}`;
    const records = `[{"ts":1,"doc":"d","col":"c","data":${deep}}]`;
    const deepDigits = deep.replace("[]", "[12345678901234567890]");
    const tooDeep = refused("ins[0].data: expected at most 512 levels of nesting, got an array of 1");
    expect(await exchange(client, `{"id":"1","type":"ins","data":${records}}`)).toBe(tooDeep);
    expect(await exchange(client, JSON.stringify({ id: "1", type: "ins", data: records }))).toBe(tooDeep);
    expect(await exchange(client, JSON.stringify({ id: "1", type: "qry", data: deepDigits }))).toBe(
      refused("data: nested too deep"),
    );
    expect(await exchange(client, `{"id":"1","type":"qry","data":${deepDigits}}`)).toBe(
      '{"error":"frame: nested too deep","code":"bad_frame"}',
    );
    expect(server.log.of("bug")).toEqual([]);
  });

  test("is told why its pattern can't be compiled", async () => {
    await using server = new TestServer();
    await using client = await server.connect();
    await ask(client, "ins", record({ data: "x" }));
    for (const query of [{ doc: "/(/" }, { where: "/(/" }, { filter: "/(?=a)/" }]) {
      const reply = JSON.parse(await ask(client, "qry", { col: "c", ts: 1, ...query }));
      expect(reply).toMatchObject({ id: "1", code: "bad_pattern" });
    }
  });

  test("is told that its pattern is too long, be it as long as a frame", async () => {
    await using server = new TestServer();
    await using client = await server.connect();
    await ask(client, "ins", record({ data: "x" }));
    for (const length of [4097, 3_000_000]) {
      expect(await ask(client, "qry", { col: "c", ts: 1, doc: `/${"a".repeat(length)}/` })).toBe(
        refused(`A pattern may have 4096 characters (--max-pattern), got ${length}`, "bad_pattern"),
      );
    }
  });

  test.each([
    ['{"id":"1"}', refused("type: expected a non-empty string")],
    ['{"id":"1","type":""}', refused("type: expected a non-empty string")],
    ['{"id":"1","type":5}', refused("type: expected a non-empty string")],
    ['{"id":"1","type":null}', refused("type: expected a non-empty string")],
    ['{"id":"1","type":"nope"}', refused('type: there is no message "nope"', "unknown_type")],
    ['{"id":"1","type":"toString"}', refused('type: there is no message "toString"', "unknown_type")],
    ['{"id":"1","type":"INS","data":"[]"}', refused('type: there is no message "INS"', "unknown_type")],
    [
      '{"id":"1","type":"auth","data":"{}"}',
      '{"id":"1","error":"auth messages are not supported; use the api-key query parameter"}',
    ],
  ])("as %s is answered with %s", async (frame, reply) => {
    await using server = new TestServer();
    await using client = await server.connect({ key: KEYS.readonly });
    expect(await exchange(client, frame)).toBe(reply);
    expect(await ask(client, "cols", {})).toBe('{"id":"1","collections":[]}');
  });
});

describe("an id", () => {
  test.each(['"é\\n\\u0000\\""', '"\\ud800"', '"__proto__"', '"😀"', `"${"x".repeat(70_000)}"`])(
    "%p comes back as it was",
    async (id) => {
      await using server = new TestServer();
      await using client = await server.connect();
      for (const rest of ['"type":"ins","data":"[]"', '"data":[],"type":"ins"', '"type":"nope"']) {
        const reply = JSON.parse(await exchange(client, `{"id":${id},${rest}}`));
        expect(reply.id).toBe(JSON.parse(id));
      }
    },
  );
});

describe("a frame that is no message", () => {
  test.each(BAD_FRAMES)("as %p is answered, and closes the connection", async (frame, error) => {
    await using server = new TestServer();
    await using client = await server.connect({ name: "a" });
    expect(await exchange(client, frame)).toBe(JSON.stringify({ error, code: "bad_frame" }));
    expect(await client.closed).toEqual({ code: 1008, reason: "Bad frame" });
    const logged = { event: "badFrame", ip: "127.0.0.1", name: "a", reason: error } as const;
    expect(server.log.of("badFrame")).toEqual([logged]);
  });

  test("takes back nothing before it, and nothing behind it counts", async () => {
    await using server = new TestServer();
    await using client = await server.connect();
    await using other = await server.connect();
    client.send(frameOf("ins", [{ ts: 1, doc: "d", data: "", col: "before" }], "a"));
    client.send("{");
    client.send(frameOf("ins", [{ ts: 1, doc: "d", data: "", col: "behind" }], "b"));
    expect(await client.next()).toBe('{"id":"a"}');
    expect(await client.next()).toBe('{"error":"frame: expected JSON","code":"bad_frame"}');
    expect((await client.closed).code).toBe(1008);
    expect(await ask(other, "cols", {})).toBe('{"id":"1","collections":["before"]}');
  });
});

describe("a reply beyond the limit", () => {
  test.each([
    { replyBytesMax: 1000 },
    { replyBytesMax: 1000, database: new MemoryDatabase({ replyBytesMax: 1000 }) },
  ])("says to ask for less", async (options) => {
    await using server = new TestServer(options);
    await using client = await server.connect();
    // Beyond the limit in bytes, not in characters.
    await ask(client, "ins", record({ data: "ü".repeat(600) }));
    const error =
      "The reply would be larger than 1000 bytes (--max-reply): ask for less with from, to or limit";
    expect(await ask(client, "qdoc", { col: "c", doc: "d" })).toBe(refused(error, "reply_too_large"));
    expect(await ask(client, "qdoc", { col: "c", doc: "d", to: 0 })).toBe('{"id":"1","records":[]}');
  });
});

describe("a bug", () => {
  test("is logged, and answered without its details", async () => {
    const bug = new TypeError("secret detail");
    class BrokenDatabase extends MemoryDatabase {
      override collections(): string {
        throw bug;
      }
      override insert(): undefined {
        throw bug;
      }
    }
    await using server = new TestServer({ database: new BrokenDatabase() });
    await using client = await server.connect();
    const internal = refused("Internal error; the server's log has the details", "internal");
    expect(await ask(client, "cols", {})).toBe(internal);
    expect(await ask(client, "ins", [])).toBe(internal);
    expect(await ask(client, "gkeys", { col: "c" })).toBe('{"id":"1","keys":[]}');
    expect(server.log.of("bug")).toEqual([
      { event: "bug", type: "cols", error: bug },
      { event: "bug", type: "ins", error: bug },
    ]);
  });
});

describe("a write for which there is no room", () => {
  /** Full for as many writes as there are promises of relief. */
  class FullDatabase extends MemoryDatabase {
    reliefs: (Promise<void> | undefined)[] = [];
    override insert(batch: InsertBatch): Written {
      this.#ensureRoom();
      return super.insert(batch);
    }
    override setValue(request: RawRequest<"sval">): Written {
      this.#ensureRoom();
      return super.setValue(request);
    }
    #ensureRoom(): void {
      if (this.reliefs.length > 0) throw new MemoryFull("full", this.reliefs.shift());
    }
  }

  test.each<[string, string, (frame: string) => string]>([
    ["records", frameOf("ins", [{ ts: 1, doc: "d", data: "x", col: "c" }], "write"), (frame) => frame],
    ["many records", frameOf("ins", [{ ts: 1, doc: "d", data: "x", col: "c" }], "write"), large],
    ["a value", frameOf("sval", { col: "c", key: "k", value: "v" }, "write"), (frame) => frame],
  ])("of %s is done when there is, before what its client sent next", async (_, frame, change) => {
    const database = new FullDatabase();
    await using server = new TestServer({ database });
    await using client = await server.connect();
    await using other = await server.connect();
    const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    database.reliefs = [first.promise, second.promise];
    client.send(change(frame));
    client.send(frameOf("cols", {}, "next"));
    // Others do not wait.
    expect(await ask(other, "cols", {})).toBe('{"id":"1","collections":[]}');
    while (database.reliefs.length > 1) await Bun.sleep(1);
    first.resolve();
    while (database.reliefs.length > 0) await Bun.sleep(1);
    expect(await ask(other, "cols", {})).toBe('{"id":"1","collections":[]}');
    second.resolve();
    expect(await client.next()).toBe('{"id":"write"}');
    expect(await client.next()).toBe('{"id":"next","collections":["c"]}');
    expect(await ask(other, "cols", {})).toBe('{"id":"1","collections":["c"]}');
  });

  test("is refused when there will be none", async () => {
    const database = new FullDatabase();
    await using server = new TestServer({ database });
    await using client = await server.connect();
    database.reliefs = [undefined];
    expect(await ask(client, "ins", record({}))).toBe(refused("full", "memory_full"));
    database.reliefs = [Promise.resolve(), undefined];
    expect(await ask(client, "ins", record({}))).toBe(refused("full", "memory_full"));
    expect(await ask(client, "ins", record({}))).toBe('{"id":"1"}');
  });
});

describe("a write that takes several turns", () => {
  const documents = 300;
  const rowsAt = (ts: number, data: string): object[] =>
    Array.from({ length: documents }, (_, doc) => ({ ts, doc: `d${doc}`, data, col: "c" }));
  const allAt = frameOf("qry", { col: "c", ts: 1000 }, "all");

  /** All its chunks are packed. */
  async function restingServer(): Promise<TestServer> {
    const database = new MemoryDatabase({ longWork: IN_PIECES, chunks: SMALL_CHUNKS });
    const server = new TestServer({ database });
    await using client = await server.connect();
    for (const ts of [1, 2, 3, 4, 5, 6]) await ask(client, "ins", rowsAt(ts, "early"));
    for (let seconds = 1; database.tidy(seconds * 1000); seconds++) {}
    return server;
  }

  test("an insert into packed chunks is done before what its client asks next, and nobody else waits", async () => {
    await using server = await restingServer();
    await using client = await server.connect();
    await using other = await server.connect();
    client.send(frameOf("ins", rowsAt(6, "late"), "write"));
    client.send(allAt);
    const written = client.next();
    const first = await Promise.race([written, ask(other, "cols", {})]);
    expect(first).toBe('{"id":"1","collections":["c"]}');
    expect(await written).toBe('{"id":"write"}');
    expect((await client.next()).match(/late/g)).toHaveLength(documents);
    expect(server.log.of("bug")).toEqual([]);
  });

  test("a deletion of many records is, too", async () => {
    await using server = await restingServer();
    await using client = await server.connect();
    await using other = await server.connect();
    const keys = rowsAt(6, "").map((row) => ({ ...row, data: undefined }));
    client.send(frameOf("dmrec", keys, "write"));
    client.send(allAt);
    const written = client.next();
    const first = await Promise.race([written, ask(other, "cols", {})]);
    expect(first).toBe('{"id":"1","collections":["c"]}');
    expect(await written).toBe('{"id":"write"}');
    const answer = await client.next();
    expect(answer.match(/"ts":5/g)).toHaveLength(documents);
    expect(answer).not.toContain('"ts":6');
  });
});

describe("a slow request", () => {
  test("is logged with its type and time", async () => {
    let now = 0;
    await using server = new TestServer({ nowMs: () => (now += 150), slowRequestMs: 150 });
    await using client = await server.connect({ name: "a" });
    await ask(client, "cols", {});
    await ask(client, "nope", "x".repeat(100_000));
    const event = { event: "slowRequest", ip: "127.0.0.1", name: "a", ms: 150 } as const;
    expect(server.log.of("slowRequest")).toEqual([
      { ...event, type: "cols" },
      // Other clocks are looked at while another thread reads it.
      { ...event, type: "?", ms: expect.any(Number) },
    ]);
  });

  test("is not logged when it is faster", async () => {
    let now = 0;
    await using server = new TestServer({ nowMs: () => (now += 149), slowRequestMs: 150 });
    await using client = await server.connect();
    await ask(client, "cols", {});
    expect(server.log.of("slowRequest")).toEqual([]);
  });
});
