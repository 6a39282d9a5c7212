/**
 * Every message over a real connection: replies byte for byte, as clients in the field rely on them.
 */
import { describe, expect, test } from "bun:test";
import type { TestClient } from "../support/test_client.ts";
import { ask, exchange, KEYS, MASTER_KEY, TestServer } from "./test_server.ts";

const OK = '{"id":"1"}';
const reply = (member: string, text: string): string => `{"id":"1","${member}":${text}}`;

const LARGE_TS = "1747604423123456789";

/** Two documents in `a`, one of the same name in `b`, and key-values in `a`. */
async function fill(client: TestClient): Promise<void> {
  const records = [
    { ts: 20, doc: "pump", data: '{"t":20}', col: "a" },
    { ts: 10, doc: "pump", data: "ten", col: "a" },
    { ts: 30, doc: "pump", data: "TEN thirty", col: "a" },
    { ts: 5, doc: "valve", data: "", col: "a" },
    { ts: 1, doc: "pump", data: "other", col: "b" },
  ];
  expect(await ask(client, "ins", records)).toBe(OK);
  for (const [key, value] of [
    ["k1", "one"],
    ["k2", 'tw"o'],
    ["other", ""],
  ]) {
    expect(await ask(client, "sval", { col: "a", key, value })).toBe(OK);
  }
}

/** Sends one request after another, and expects the replies. */
async function expectReplies(steps: readonly (readonly [type: string, data: unknown, reply: string])[]) {
  await using server = new TestServer();
  await using client = await server.connect();
  await fill(client);
  for (const [type, data, expected] of steps) {
    expect(`${type} ${await ask(client, type, data)}`).toBe(`${type} ${expected}`);
  }
}

const TEN = '{"ts":10,"data":"ten"}';
const TWENTY = '{"ts":20,"data":"{\\"t\\":20}"}';
const THIRTY = '{"ts":30,"data":"TEN thirty"}';
const VALVE = '{"ts":5,"data":""}';

describe("queries", () => {
  test("qry answers the latest records at or before ts", () =>
    expectReplies([
      ["qry", { col: "a", ts: 99 }, reply("records", `{"pump":${THIRTY},"valve":${VALVE}}`)],
      ["qry", { col: "a", ts: 20, doc: "" }, reply("records", `{"pump":${TWENTY},"valve":${VALVE}}`)],
      ["qry", { col: "a", ts: 19, doc: "pump" }, reply("records", `{"pump":${TEN}}`)],
      ["qry", { col: "a", ts: 99, doc: "/^P/i" }, reply("records", `{"pump":${THIRTY}}`)],
      ["qry", { col: "a", ts: 99, doc: "pum" }, reply("records", "{}")],
      ["qry", { col: "a", ts: 99, from: 6 }, reply("records", `{"pump":${THIRTY}}`)],
      ["qry", { col: "a", ts: 99, where: "ten" }, reply("records", "{}")],
      ["qry", { col: "a", ts: 99, where: "/ten/i" }, reply("records", `{"pump":${THIRTY}}`)],
      ["qry", { col: "a", ts: 99, filter: "TEN" }, reply("records", `{"valve":${VALVE}}`)],
      ["qry", { col: "a", ts: 4 }, reply("records", "{}")],
      ["qry", { col: "nowhere", ts: 99 }, reply("records", "{}")],
      ["qry", { col: "", ts: 99 }, reply("records", "{}")],
    ]));

  test("qdoc answers a history, both ends included", () =>
    expectReplies([
      ["qdoc", { col: "a", doc: "pump", from: 10, to: 30 }, reply("records", `[${TEN},${TWENTY},${THIRTY}]`)],
      ["qdoc", { col: "a", doc: "pump", from: 11, to: 29 }, reply("records", `[${TWENTY}]`)],
      ["qdoc", { col: "a", doc: "pump" }, reply("records", `[${TEN},${TWENTY},${THIRTY}]`)],
      ["qdoc", { col: "a", doc: "pump", to: 99, limit: 2 }, reply("records", `[${TEN},${TWENTY}]`)],
      ["qdoc", { col: "a", doc: "pump", to: 99, limit: 0 }, reply("records", `[${TEN},${TWENTY},${THIRTY}]`)],
      ["qdoc", { col: "a", doc: "pump", limit: -1 }, reply("records", `[${TEN},${TWENTY},${THIRTY}]`)],
      [
        "qdoc",
        { col: "a", doc: "pump", to: 99, limit: 2, reverse: true },
        reply("records", `[${THIRTY},${TWENTY}]`),
      ],
      ["qdoc", { col: "a", doc: "pump", where: "t", filter: "/ten/i" }, reply("records", `[${TWENTY}]`)],
      ["qdoc", { col: "a", doc: "/pump/" }, reply("records", "[]")],
      ["qdoc", { col: "nowhere", doc: "pump" }, reply("records", "[]")],
    ]));

  test("cols names the collections, and looks at no payload", async () => {
    await using server = new TestServer();
    await using client = await server.connect();
    await fill(client);
    for (const data of ["", ',"data":null', ',"data":"null"', ',"data":"[]"', ',"data":{}', ',"data":"no"']) {
      const expected = reply("collections", '["a","b"]');
      expect(await exchange(client, `{"id":"1","type":"cols"${data}}`)).toBe(expected);
    }
  });

  test("gval, gvalues, gvals and gkeys answer key-values", () =>
    expectReplies([
      ["gval", { col: "a", key: "k2" }, reply("value", '"tw\\"o"')],
      ["gval", { col: "a", key: "none" }, reply("value", '""')],
      ["gval", { col: "nowhere", key: "k1" }, reply("value", '""')],
      ["gvalues", { col: "a", key: "k1" }, reply("values", '{"k1":"one"}')],
      ["gvalues", { col: "a", key: "/^k/" }, reply("values", '{"k1":"one","k2":"tw\\"o"}')],
      ["gvalues", { col: "a", key: "/x$/" }, reply("values", "{}")],
      ["gvalues", { col: "a", key: "none" }, reply("values", '{"none":""}')],
      ["gvalues", { col: "nowhere", key: "none" }, reply("values", "{}")],
      ["gvals", { col: "a" }, reply("values", '{"k1":"one","k2":"tw\\"o","other":""}')],
      ["gvals", { col: "b" }, reply("values", "{}")],
      ["gvals", { col: "nowhere" }, reply("values", "{}")],
      ["gkeys", { col: "a" }, reply("keys", '["k1","k2","other"]')],
      ["gkeys", { col: "nowhere" }, reply("keys", "[]")],
    ]));
});

describe("writes", () => {
  test("ins takes nothing, replaces, and stores any JSON as its text", () =>
    expectReplies([
      ["ins", [], OK],
      ["ins", [{ ts: 10, doc: "pump", data: "new", col: "a" }], OK],
      ["qry", { col: "a", ts: 10, doc: "pump" }, reply("records", '{"pump":{"ts":10,"data":"new"}}')],
      [
        "ins",
        [
          { ts: 1, doc: "j", data: { a: [1, null] }, col: "c" },
          { ts: 2, doc: "j", data: null, col: "c" },
        ],
        OK,
      ],
      [
        "qdoc",
        { col: "c", doc: "j" },
        reply("records", '[{"ts":1,"data":"{\\"a\\":[1,null]}"},{"ts":2,"data":"null"}]'),
      ],
    ]));

  test("ins of several documents and collections is all or nothing", () =>
    expectReplies([
      [
        "ins",
        [
          { ts: 1, doc: "x", data: "", col: "new" },
          { ts: "abc", doc: "x", data: "", col: "new" },
        ],
        '{"id":"1","error":"ins[1].ts: expected a 64-bit integer, got \\"abc\\"","code":"bad_request"}',
      ],
      ["cols", {}, reply("collections", '["a","b"]')],
    ]));

  test("deletes answer OK, also for what is not there", () =>
    expectReplies([
      ["drec", { doc: "pump", col: "a", ts: 10 }, OK],
      ["drec", { doc: "pump", col: "a", ts: 10 }, OK],
      ["dmrec", [], OK],
      [
        "dmrec",
        [
          { doc: "pump", col: "a", ts: 20 },
          { doc: "no", col: "no", ts: 1 },
        ],
        OK,
      ],
      ["qdoc", { col: "a", doc: "pump" }, reply("records", `[${THIRTY}]`)],
      ["drrng", { doc: "pump", col: "a", fromTs: 30, toTs: 30 }, OK],
      ["qry", { col: "a", ts: 99 }, reply("records", `{"valve":${VALVE}}`)],
      ["rval", { col: "a", key: "k1" }, OK],
      ["rval", { col: "a", key: "k1" }, OK],
      ["gkeys", { col: "a" }, reply("keys", '["k2","other"]')],
      ["dcol", { col: "a" }, OK],
      ["dcol", { col: "a" }, OK],
      ["gvals", { col: "a" }, reply("values", "{}")],
      ["cols", {}, reply("collections", '["b"]')],
    ]));

  test("ddoc without a collection deletes in every one; key-values keep a collection alive", () =>
    expectReplies([
      ["ddoc", { doc: "valve", col: "a" }, OK],
      ["ddoc", { doc: "pump", col: "" }, OK],
      ["cols", {}, reply("collections", '["a"]')],
      ["gkeys", { col: "a" }, reply("keys", '["k1","k2","other"]')],
      ["rval", { col: "a", key: "k1" }, OK],
      ["rval", { col: "a", key: "k2" }, OK],
      ["rval", { col: "a", key: "other" }, OK],
      ["cols", {}, reply("collections", "[]")],
    ]));
});

describe("an optional field", () => {
  test("that is null is an absent one", () =>
    expectReplies([
      [
        "qry",
        { col: "a", ts: 99, doc: null, from: null, where: null, filter: null },
        reply("records", `{"pump":${THIRTY},"valve":${VALVE}}`),
      ],
      [
        "qdoc",
        {
          col: "a",
          doc: "pump",
          from: null,
          to: null,
          limit: null,
          reverse: null,
          where: null,
          filter: null,
        },
        reply("records", `[${TEN},${TWENTY},${THIRTY}]`),
      ],
      ["ddoc", { doc: "pump", col: null }, OK],
      ["cols", null, reply("collections", '["a"]')],
    ]));
});

describe("a timestamp", () => {
  test.each([
    [LARGE_TS, LARGE_TS],
    [`"${LARGE_TS}"`, LARGE_TS],
    ["9223372036854775807", "9223372036854775807"],
    ["-9223372036854775808", "-9223372036854775808"],
    ["9007199254740993", "9007199254740993"],
    ["1.9", "1"],
    ["-1.9", "-1"],
    ["1e3", "1000"],
    ["0", "0"],
    ["-5", "-5"],
  ])("%s comes back as %s", async (sent, expected) => {
    await using server = new TestServer();
    await using client = await server.connect();
    const record = `{"ts":${sent},"doc":"d","data":"x","col":"c"}`;
    const history = { col: "c", doc: "d", from: "-9223372036854775808" };
    // Both ways in: the scanner, and for what is unusual the schema.
    for (const frame of [
      `{"id":"1","type":"ins","data":[${record}]}`,
      `{"id":"1","type":"ins","extra":0,"data":[${record}]}`,
      JSON.stringify({ id: "1", type: "ins", data: `[${record}]` }),
    ]) {
      expect(await exchange(client, frame)).toBe(OK);
      expect(await ask(client, "qdoc", history)).toBe(reply("records", `[{"ts":${expected},"data":"x"}]`));
      expect(await ask(client, "dcol", { col: "c" })).toBe(OK);
    }
  });

  test.each([
    "1747604423123456",
    "-1747604423123456",
    "9007199254740991",
    "9007199254740992",
    "-9007199254740993",
    "9223372036854775807",
    "-9223372036854775807",
    "-9223372036854775808",
  ])("of %s is found by just that", async (ts) => {
    await using server = new TestServer();
    await using client = await server.connect();
    const record = `{"ts":${ts},"data":"x"}`;
    for (const data of [
      `[{"ts":${ts},"doc":"d","data":"x","col":"c"}]`,
      `[{"ts":${BigInt(ts) + (ts.startsWith("-") ? 1n : -1n)},"doc":"d","data":"near","col":"c"}]`,
    ])
      expect(await exchange(client, `{"id":"1","type":"ins","data":${data}}`)).toBe(OK);
    const history = `{"col":"c","doc":"d","from":${ts},"to":${ts}}`;
    const poll = `{"col":"c","doc":"d","ts":${ts},"from":${ts}}`;
    for (const form of [(data: string) => data, JSON.stringify]) {
      expect(await exchange(client, `{"id":"1","type":"qdoc","data":${form(history)}}`)).toBe(
        reply("records", `[${record}]`),
      );
      expect(await exchange(client, `{"id":"1","type":"qry","data":${form(poll)}}`)).toBe(
        reply("records", `{"d":${record}}`),
      );
    }
  });
});

describe("keys", () => {
  const listed = (...keys: [key: string, scope: string][]): string =>
    reply(
      "keys",
      `[${keys.map(([key, scope]) => `{"deletable":${key !== MASTER_KEY},"key":"${key}","scope":"${scope}"}`)}],"status":"ok"`,
    );
  const DEFAULTS: [string, string][] = [
    ["deleter", "read_write_delete"],
    [MASTER_KEY, "read_write_delete"],
    ["reader", "readonly"],
    ["writer", "read_write"],
  ];

  test("adds, changes, lists and removes", () =>
    expectReplies([
      ["keys", { action: "list" }, listed(...DEFAULTS)],
      [
        "keys",
        { action: "add", key: "x", scope: "ReadWrite" },
        '{"id":"1","scope":"read_write","status":"ok"}',
      ],
      [
        "keys",
        { action: "add", key: "x", scope: "READ ONLY" },
        '{"id":"1","scope":"readonly","status":"ok"}',
      ],
      [
        "keys",
        { action: "add", key: "x", scope: "read-write,delete" },
        '{"id":"1","scope":"read_write_delete","status":"ok"}',
      ],
      ["keys", { action: "list" }, listed(...DEFAULTS, ["x", "read_write_delete"])],
      ["keys", { action: "remove", key: "x" }, '{"id":"1","status":"ok"}'],
      ["keys", { action: "list" }, listed(...DEFAULTS)],
    ]));

  test.each([
    [{}, "unknown action"],
    [{ action: "rename", key: "", scope: "" }, "unknown action"],
    [{ action: "add" }, "api key cannot be empty"],
    [{ action: "add", key: "", scope: "nonsense" }, "api key cannot be empty"],
    [{ action: "add", key: 5, scope: "readonly" }, "api key cannot be empty"],
    [{ action: "remove", key: null }, "api key cannot be empty"],
    [{ action: "add", key: "x" }, "invalid scope"],
    [{ action: "add", key: "x", scope: "admin" }, "invalid scope"],
    [{ action: "remove", key: "x" }, "api key not found"],
    [{ action: "remove", key: MASTER_KEY }, "api key cannot be removed"],
  ])("%p is refused: %s", (data, error) =>
    expectReplies([["keys", data, JSON.stringify({ id: "1", error })]]),
  );

  test("logs who changed a key, and never a failed change", async () => {
    await using server = new TestServer();
    await using client = await server.connect({ name: "admin" });
    await ask(client, "keys", { action: "add", key: "x", scope: "none" });
    await ask(client, "keys", { action: "remove", key: "x" });
    expect(server.log.of("keyChanged")).toEqual([]);
    await ask(client, "keys", { action: "add", key: "x", scope: "readonly" });
    await ask(client, "keys", { action: "remove", key: "x" });
    // The start of SHA-256("x").
    const key = { fingerprint: "sha256:2d711642b726b044", scope: "readonly" } as const;
    const by = { event: "keyChanged", ip: "127.0.0.1", name: "admin" } as const;
    expect(server.log.of("keyChanged")).toEqual([
      { ...by, ...key, action: "add" },
      { ...by, ...key, action: "remove" },
    ]);
  });

  test("changes a scope at once for connections that use the key", async () => {
    await using server = new TestServer();
    await using client = await server.connect({ key: KEYS.readonly });
    await using admin = await server.connect();
    expect(await ask(client, "sval", { col: "a", key: "k", value: "" })).toContain("permission denied");
    await ask(admin, "keys", { action: "add", key: KEYS.readonly, scope: "read_write" });
    expect(await ask(client, "sval", { col: "a", key: "k", value: "" })).toBe(OK);
    await ask(admin, "keys", { action: "add", key: KEYS.readonly, scope: "readonly" });
    expect(await ask(client, "ins", [])).toContain("permission denied");
  });
});
