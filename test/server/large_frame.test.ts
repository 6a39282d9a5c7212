/**
 * Frames that are read on a thread of their own: the same replies and the same records as of small ones.
 */
import { afterEach, describe, expect, spyOn, test } from "bun:test";
import { InsertBatch } from "../../src/engine/insert_batch.ts";
import { FRAME_LENGTH_AT_ONCE, UNUSUAL_FRAME_LENGTH_AT_ONCE } from "../../src/protocol/limits.ts";
import { MESSAGES, type MessageType } from "../../src/protocol/messages.ts";
import { SCOPES, type Scope } from "../../src/protocol/scope.ts";
import { FrameThread } from "../../src/server/frame_thread.ts";
import type { TestClient } from "../support/test_client.ts";
import { BAD_FRAMES, BAD_REQUESTS, refused } from "./bad_requests.ts";
import { DelayedDatabase } from "./delayed_database.ts";
import { ask, exchange, frameOf, KEYS, large, TestServer } from "./test_server.ts";

const reads = spyOn(FrameThread.prototype, "read");
afterEach(() => void reads.mockClear());

type Row = { ts: number | string; doc: string; data: unknown; col: string; more?: number };

const text = (index: number): string => `{"t":${index / 8},"état":"ok 😀","tab":"\\t"}`;
const documentOf = (number: number, quote: string): string => `d${quote}${number}é`;
const rowsOf = (count: number, quote = '"'): Row[] =>
  Array.from({ length: count }, (_, index) => ({
    // Some overwrite others.
    ts: 1000 + ((index * 7) % (count - 5)),
    doc: documentOf(index % 7, quote),
    data: text(index),
    col: `c${index % 3}`,
  }));

const escaped = (json: string): string =>
  json.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
const json = (data: unknown): string => JSON.stringify({ id: "1", type: "ins", data });

/** How clients write records, the fast scan's and the schema's. */
const WRITINGS: Record<string, (rows: readonly Row[]) => string> = {
  "as text": (rows) => frameOf("ins", rows),
  "as JSON": (rows) => json(rows),
  "in ASCII": (rows) => escaped(json(escaped(JSON.stringify(rows)))),
  "with white space": (rows) =>
    JSON.stringify({ type: "ins", data: JSON.stringify(rows, undefined, 2), id: "1" }),
  "with an unknown field": (rows) =>
    frameOf(
      "ins",
      rows.map((row) => ({ ...row, more: 1 })),
    ),
  "with time as text": (rows) =>
    frameOf(
      "ins",
      rows.map((row) => ({ ...row, ts: String(row.ts) })),
    ),
  "with data as JSON": (rows) => json(rows.map((row) => ({ ...row, data: JSON.parse(row.data as string) }))),
  "in reverse": (rows) => frameOf("ins", rows.toReversed()),
};

const stateOf = async (client: TestClient, quote = '"'): Promise<string[]> => [
  await ask(client, "cols", {}),
  ...(await Promise.all(
    ["c0", "c1", "c2"].flatMap((col) => [
      ask(client, "qry", { col, ts: 9_000_000_000 }),
      ask(client, "gvals", { col }),
      ...[0, 1, 2, 3, 4, 5, 6].map((doc) =>
        ask(client, "qdoc", { col, doc: documentOf(doc, quote), from: 0, to: 9_000_000_000 }),
      ),
    ]),
  )),
];

describe("records in a large frame", () => {
  // Names without escapes have records sorted by them.
  const ways = Object.keys(WRITINGS).flatMap((name) => [
    [name, '"'],
    [name, "-"],
  ]);
  test.each(ways)("%s are stored as those of small ones are, with %s in names", async (name, quote) => {
    const frameFrom = WRITINGS[name as string] as (rows: readonly Row[]) => string;
    const rows = rowsOf(14_000, quote);
    await using server = new TestServer();
    await using client = await server.connect();
    await using otherServer = new TestServer();
    await using other = await otherServer.connect();
    const portions = Array.from({ length: 70 }, (_, index) => rows.slice(index * 200, index * 200 + 200));
    for (const portion of name === "in reverse" ? portions.toReversed() : portions) {
      expect(await exchange(other, frameFrom(portion))).toBe('{"id":"1"}');
    }
    expect(reads).not.toHaveBeenCalled();
    const frame = frameFrom(rows);
    expect(frame.length).toBeGreaterThan(FRAME_LENGTH_AT_ONCE);
    expect(await exchange(client, frame)).toBe('{"id":"1"}');
    expect(reads).toHaveBeenCalledTimes(1);
    expect(await stateOf(client, quote as string)).toEqual(await stateOf(other, quote as string));
  });

  test("are all refused for one that can't be used", async () => {
    await using server = new TestServer();
    await using client = await server.connect();
    const rows = rowsOf(14_000);
    for (const change of [{ doc: "" }, { doc: "", more: 1 }]) {
      const last = { ...(rows.at(-1) as Row), ...change };
      expect(await exchange(client, frameOf("ins", rows.with(-1, last)))).toBe(
        refused('ins[13999].doc: expected a non-empty string, got ""'),
      );
    }
    expect(await ask(client, "cols", {})).toBe('{"id":"1","collections":[]}');
    expect(reads).toHaveBeenCalledTimes(2);
  });
});

describe("a large frame", () => {
  test("that can't be used is told the same as a small one", async () => {
    await using server = new TestServer();
    await using client = await server.connect();
    for (const [type, data, error] of BAD_REQUESTS) {
      expect(await exchange(client, large(frameOf(type, data)))).toBe(refused(error));
    }
    expect(await exchange(client, large('{"id":"1","type":"nope"}'))).toBe(
      refused('type: there is no message "nope"', "unknown_type"),
    );
    expect(reads).toHaveBeenCalledTimes(BAD_REQUESTS.length + 1);
    expect(await ask(client, "cols", {})).toBe('{"id":"1","collections":[]}');
  });

  test.each(BAD_FRAMES)("that is no message, %p, closes the connection", async (frame, error) => {
    await using server = new TestServer();
    await using client = await server.connect({ name: "a" });
    client.send(large(frame));
    client.send(frameOf("cols", {}));
    expect(await client.next()).toBe(JSON.stringify({ error, code: "bad_frame" }));
    expect(await client.closed).toEqual({ code: 1008, reason: "Bad frame" });
    expect(server.log.of("badFrame")).toMatchObject([{ name: "a", reason: error }]);
    expect(reads).toHaveBeenCalledTimes(1);
  });

  test.each(Object.keys(SCOPES) as Scope[])(
    "needs the permission that a small one needs: %s",
    async (scope) => {
      await using server = new TestServer();
      await using client = await server.connect({ key: KEYS[scope] });
      for (const type of Object.keys(MESSAGES) as MessageType[]) {
        const frame = frameOf(type, type === "ins" ? [] : {});
        const reply = await exchange(client, large(frame));
        expect(reply.replace(/"since":\d+/, "")).toBe(
          (await exchange(client, frame)).replace(/"since":\d+/, ""),
        );
      }
    },
  );

  test.each<[string, unknown]>([
    ["qry", { col: "c1", ts: 9, doc: "/é$/", where: "20" }],
    ["qry", { col: "c1", ts: 9, doc: 'd"1é' }],
    [
      "qdoc",
      { col: "c1", doc: 'd"1é', from: 0, to: "9223372036854775807", limit: 3, reverse: true, filter: "/2/" },
    ],
    ["drec", { col: "c1", doc: 'd"1é', ts: "1001" }],
    ["dmrec", [1001, "1002", 1003].map((ts) => ({ col: "c1", doc: 'd"1é', ts }))],
    [
      "dmrec",
      ["-9223372036854775808", "9223372036854775807", 1002, 1003, 1002].flatMap((ts, index) => [
        { col: "c1", doc: 'd"1é', ts },
        { col: `c${index % 3}`, doc: `d"${index}é`, ts },
      ]),
    ],
    ["drrng", { col: "c1", doc: 'd"1é', fromTs: 1001, toTs: 1004 }],
    ["ddoc", { doc: 'd"1é' }],
    ["dcol", { col: "c1" }],
    ["sval", { col: "c1", key: "k", value: "lone \ud800, é, 😀" }],
    ["rval", { col: "c1", key: "key" }],
    ["gval", { col: "c1", key: "key" }],
    ["gvalues", { col: "c1", key: "/./" }],
    ["gvals", { col: "c1" }],
    ["gkeys", { col: "c1" }],
    ["cols", {}],
    [
      "keys",
      {
        action: "add",
        key: "new",
        scope: "readonly",
        expiresAt: "2100-01-01T00:00:00Z",
        collections: ["/c/"],
      },
    ],
  ])("does and answers what a small one does: %s %j", async (type, request) => {
    const run = async (frame: string): Promise<string[]> => {
      await using server = new TestServer();
      await using client = await server.connect();
      await ask(client, "ins", rowsOf(60));
      await ask(client, "sval", { col: "c1", key: "key", value: "value é" });
      const reply = await exchange(client, frame);
      return [reply, await ask(client, "keys", { action: "show" }), ...(await stateOf(client))];
    };
    const expected = await run(frameOf(type, request));
    expect(reads).not.toHaveBeenCalled();
    expect(await run(large(frameOf(type, request)))).toEqual(expected);
    expect(await run(large(JSON.stringify({ id: "1", more: [], type, data: request })))).toEqual(expected);
    expect(reads).toHaveBeenCalledTimes(2);
  });

  test("keeps its place among its client's others", async () => {
    await using server = new TestServer();
    await using client = await server.connect();
    const row = { ts: 1, doc: "d", data: "x", col: "c0" };
    const query = { col: "c0", doc: "d", from: 0, to: 9 };
    const frames = [
      frameOf("ins", [row], "before"),
      large(frameOf("ins", [{ ...row, ts: 2 }], "first")),
      frameOf("qdoc", query, "small"),
      large(frameOf("ins", [{ ...row, ts: 3 }], "second")),
      large(frameOf("qdoc", query, "large")),
      frameOf("cols", {}, "behind"),
    ];
    for (const frame of frames) client.send(frame);
    const records = (...times: number[]): object[] => times.map((ts) => ({ ts, data: "x" }));
    const replies: unknown[] = [];
    for (const _ of frames) replies.push(JSON.parse(await client.next()));
    expect(replies).toEqual([
      { id: "before" },
      { id: "first" },
      { id: "small", records: records(1, 2) },
      { id: "second" },
      { id: "large", records: records(1, 2, 3) },
      { id: "behind", collections: ["c0"] },
    ]);
  });

  test("is answered when what it wrote is", async () => {
    const database = new DelayedDatabase();
    await using server = new TestServer({ database });
    await using client = await server.connect();
    let isAnswered = false;
    const reply = exchange(client, large(frameOf("ins", [{ ts: 1, doc: "d", data: "x", col: "c" }])));
    void reply.then(() => (isAnswered = true));
    await database.called(1);
    await Bun.sleep(20);
    expect(isAnswered).toBe(false);
    database.commit();
    expect(await reply).toBe('{"id":"1"}');
  });

  test("is stored although its client has gone", async () => {
    const database = new DelayedDatabase();
    await using server = new TestServer({ database });
    await using client = await server.connect();
    const called = database.called(1);
    client.send(large(frameOf("ins", [{ ts: 1, doc: "d", data: "x", col: "c" }])));
    await client.close();
    await called;
    database.commit();
    await using other = await server.connect();
    expect(await ask(other, "qry", { col: "c", ts: 9 })).toContain('"ts":1');
  });

  test("is answered by a server that stops", async () => {
    await using server = new TestServer();
    await using client = await server.connect();
    const read = Promise.withResolvers<void>();
    reads.mockImplementationOnce(async function (this: FrameThread, frame) {
      read.resolve();
      return this.read(frame);
    });
    const reply = exchange(client, large(frameOf("ins", [{ ts: 1, doc: "d", data: "x", col: "c" }])));
    await read.promise;
    await server.stop();
    expect(await reply).toBe('{"id":"1"}');
  });

  test("that only the schema can read is one that is not so long", async () => {
    await using server = new TestServer();
    await using client = await server.connect();
    const padding = " ".repeat(UNUSUAL_FRAME_LENGTH_AT_ONCE);
    const row = { ts: 1, doc: "d", data: "x", col: "c" };
    expect(await exchange(client, frameOf("ins", [row]) + padding)).toBe('{"id":"1"}');
    expect(reads).not.toHaveBeenCalled();
    expect(await exchange(client, frameOf("ins", [{ ...row, ts: "02" }]) + padding)).toBe('{"id":"1"}');
    expect(reads).toHaveBeenCalledTimes(1);
  });
});

describe("the thread of large frames", () => {
  test("is full when so much waits, and goes on when it has ended", async () => {
    const thread = new FrameThread(40);
    const frame = frameOf("cols", {});
    expect(frame.length).toBeGreaterThan(20);
    const first = thread.read(frame);
    expect(thread.isFull).toBe(false);
    const second = thread.read(frame);
    expect(thread.isFull).toBe(true);
    for (const read of [first, second]) expect(await read).toMatchObject({ id: '"1"', type: "cols" });
    expect(thread.isFull).toBe(false);
    await thread.close();
    expect(await thread.read(frame)).toMatchObject({ type: "cols" });
    await thread.close();
  });

  test("fails those that wait when it ends", async () => {
    const thread = new FrameThread(1000);
    const read = thread.read(frameOf("cols", {}));
    await thread.close();
    expect(read).rejects.toThrow("The thread of large frames ended");
    expect(thread.isFull).toBe(false);
  });
});

test("a server reads large frames itself while too much waits for the thread", async () => {
  const isFull = Object.getOwnPropertyDescriptor(FrameThread.prototype, "isFull") as PropertyDescriptor;
  Object.defineProperty(FrameThread.prototype, "isFull", { ...isFull, get: () => true });
  try {
    await using server = new TestServer();
    await using client = await server.connect();
    const row = { ts: 1, doc: "d", data: "x", col: "c" };
    for (const ts of [1, "2"]) {
      expect(await exchange(client, large(frameOf("ins", [{ ...row, ts }])))).toBe('{"id":"1"}');
    }
    expect(await ask(client, "qry", { col: "c", ts: 9 })).toContain('"ts":2');
    expect(reads).not.toHaveBeenCalled();
  } finally {
    Object.defineProperty(FrameThread.prototype, "isFull", isFull);
  }
});

test("a batch that is handed over is the same on the other side, and void on this one", () => {
  const batch = new InsertBatch();
  for (let index = 0; index < 3000; index++) {
    batch.add({ col: `c${index}é`, doc: "d", ts: { high: 0, low: index }, data: `${index} 😀` });
  }
  const expected = batch.text.toString("utf8", 0, batch.textLength);
  const columns = batch.columns.slice(0, batch.count * 7);
  const names = batch.names.toString();
  batch.places = Int32Array.from({ length: 3000 }, (_, index) => index ^ 1);
  const parts = batch.parts();
  const moved = InsertBatch.of(
    structuredClone(parts, {
      transfer: [parts.text, parts.columns, parts.names, parts.places as ArrayBuffer],
    }),
  );
  expect(moved.places?.slice(0, 4)).toEqual(Int32Array.of(1, 0, 3, 2));
  expect(moved.count).toBe(3000);
  expect(moved.text.toString("utf8", 0, moved.textLength)).toBe(expected);
  expect(moved.columns.slice(0, 21_000)).toEqual(columns);
  expect(moved.names.toString()).toBe(names);
  expect(parts.text.byteLength).toBe(0);
  moved.free();
  for (const { buffer } of [moved.text, moved.columns, moved.names, moved.places as Int32Array]) {
    expect(buffer.byteLength).toBe(0);
  }
});
