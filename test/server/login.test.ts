import { describe, expect, test } from "bun:test";
import { exchange, KEYS, MASTER_KEY, TestServer } from "./test_server.ts";

const WRONG = { status: 401, body: "Unknown API key" };
const MISSING = { status: 401, body: "Missing API key parameter" };

const REFUSED: [string, string, Record<string, string>, { status: number; body: string }][] = [
  ["a wrong key", "/?api-key=nobody", {}, WRONG],
  ["no key", "/", {}, MISSING],
  ["an empty query", "/?", {}, MISSING],
  ["an empty key", "/?api-key=", {}, MISSING],
  ["another parameter", "/?apikey=reader", {}, MISSING],
  ["a key that is malformed percent-encoding", "/?api-key=%zz%f", {}, WRONG],
  ["a key that is no UTF-8", "/?api-key=%ff%fe", {}, WRONG],
  ["a key beyond any limit", `/?api-key=${"k".repeat(5000)}`, {}, WRONG],
  ["a wrong bearer", "/", { authorization: "Bearer nobody" }, WRONG],
  ["an empty bearer", "/", { authorization: "Bearer " }, MISSING],
  ["another kind of authorization", "/", { authorization: "Basic cmVhZGVy" }, MISSING],
  ["a wrong key beside a right bearer", "/?api-key=nobody", { authorization: "Bearer reader" }, WRONG],
];

describe("an upgrade", () => {
  test.each(REFUSED)("with %s is refused", async (_title, path, headers, { status, body }) => {
    await using server = new TestServer();
    const response = await server.upgrade(path, headers);
    expect({ status: response.status, body: await response.text() }).toEqual({ status, body });
    expect(server.log.of("rejected")).toEqual([{ event: "rejected", ip: "127.0.0.1", reason: body }]);
    expect(server.connectionCount).toBe(0);
  });

  test.each([
    ["", `?api-key=${KEYS.readonly}`],
    ["/any/path", `?x=1&api-key=${KEYS.readonly}&name=a`],
    ["/%zz", `?api-key=${KEYS.readonly}&name=%zz`],
    ["/", `?api-key=${encodeURIComponent(MASTER_KEY)}`],
    ["/", `?api-key=${encodeURIComponent(MASTER_KEY).replace("%20", "+")}`],
  ])("is taken on path %p with query %p", async (path, query) => {
    await using server = new TestServer();
    const socket = new WebSocket(`${server.url}${path}${query}`);
    const first = await new Promise((resolve) => {
      socket.onmessage = ({ data }) => resolve(data);
    });
    expect(first).toBe('{"message":"Authentication successful","type":"ready"}');
    expect(server.connectionCount).toBe(1);
    socket.terminate();
  });

  test.each([KEYS.readonly, Buffer.from(MASTER_KEY).toString("latin1")])(
    "takes the key %p from an Authorization header",
    async (key) => {
      await using server = new TestServer();
      const response = await server.upgrade("/", { authorization: `Bearer ${key}` });
      expect(response.status).toBe(101);
    },
  );

  test("that is none is answered with 426", async () => {
    await using server = new TestServer();
    for (const path of ["/", "/any/path", `/?api-key=${KEYS.readonly}`]) {
      const response = await fetch(`http://127.0.0.1:${server.port}${path}`);
      expect(response.status).toBe(426);
      expect(await response.text()).toContain("FluxionDB speaks WebSocket");
    }
  });

  test("that is none tells any page whether its key is known, as its WebSocket can't", async () => {
    await using server = new TestServer();
    const response = await fetch(`http://127.0.0.1:${server.port}/?name=a&api-key=nobody`);
    expect(response.status).toBe(WRONG.status);
    expect(await response.text()).toBe(WRONG.body);
    expect(response.headers.get("access-control-allow-origin")).toBe("*");
    expect(server.log.of("rejected")).toHaveLength(1);
  });

  test("leaves no key in the log", async () => {
    await using server = new TestServer();
    await (await server.upgrade("/?api-key=nobody")).text();
    await using client = await server.connect();
    await exchange(
      client,
      '{"id":"1","type":"keys","data":{"action":"add","key":"hidden","scope":"readonly"}}',
    );
    await exchange(
      client,
      '{"id":"1","type":"keys","data":{"action":"add","key":"hidden","scope":"readonly"',
    );
    await client.closed;
    const text = JSON.stringify(server.log.events);
    for (const key of ["nobody", "hidden", MASTER_KEY]) expect(text).not.toContain(key);
  });
});

describe("a client's name", () => {
  test.each([
    ["pump+1%2B%C3%BC", "pump 1+ü"],
    ["%zz", "%zz"],
    ["", ""],
    ["x".repeat(300), "x".repeat(256)],
  ])("%p is shown as %p", async (encoded, name) => {
    await using server = new TestServer();
    await using watcher = await server.connect();
    const socket = new WebSocket(`${server.url}/?api-key=${KEYS.readonly}&name=${encoded}`);
    await new Promise((resolve) => {
      socket.onmessage = resolve;
    });
    const { connections } = JSON.parse(await exchange(watcher, '{"id":"1","type":"conn"}'));
    expect(connections.map((connection: { name: string | null }) => connection.name)).toEqual([null, name]);
    socket.terminate();
  });
});
