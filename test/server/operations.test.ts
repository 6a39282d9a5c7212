import { describe, expect, test } from "bun:test";
import { StorageError } from "../../src/storage/storage.ts";
import { ask, exchange, frameOf, KEYS, MASTER_KEY, TestServer } from "./test_server.ts";

const get = (port: number | undefined, path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(`http://127.0.0.1:${port}${path}`, init);

async function look(port: number | undefined, path: string): Promise<[number, string]> {
  const response = await get(port, path);
  return [response.status, await response.text()];
}

/** A sample's value in the text format; undefined when there is none. */
function sampleOf(text: string, name: string): number | undefined {
  const line = text.split("\n").find((each) => each.startsWith(`fluxiondb_${name} `));
  return line === undefined ? undefined : Number(line.slice(line.lastIndexOf(" ")));
}

describe("/healthz and /readyz", () => {
  test("say that all is well", async () => {
    await using server = new TestServer();
    expect(await look(server.port, "/healthz")).toEqual([200, "ok\n"]);
    expect(await look(server.port, "/readyz?verbose")).toEqual([200, "ready\n"]);
    expect((await get(server.port, "/readyz", { method: "HEAD" })).status).toBe(200);
    expect((await get(server.port, "/healthz", { method: "POST" })).status).toBe(405);
  });

  test("tell what is alive from what can be used", async () => {
    let reason: string | undefined = "The disk is full";
    await using server = new TestServer({ notReady: () => reason });
    expect(await look(server.port, "/healthz")).toEqual([200, "ok\n"]);
    expect(await look(server.port, "/readyz")).toEqual([503, "The disk is full\n"]);
    reason = undefined;
    expect(await look(server.port, "/readyz")).toEqual([200, "ready\n"]);
  });
});

describe("a server that is still loading", () => {
  test("lets clients wait instead of refusing them", async () => {
    const loaded = Promise.withResolvers<void>();
    await using server = new TestServer({ loaded: loaded.promise, opsPort: 0 });
    expect(await look(server.port, "/readyz")).toEqual([503, "The server is loading its data\n"]);
    expect(await look(server.opsPort, "/readyz")).toEqual([503, "The server is loading its data\n"]);
    let isIn = false;
    const connecting = server.connect().then((client) => {
      isIn = true;
      return client;
    });
    const refused = server.upgrade("/?api-key=nobody");
    expect(await look(server.port, "/healthz")).toEqual([200, "ok\n"]);
    expect(isIn).toBe(false);
    loaded.resolve();
    await using client = await connecting;
    expect(await ask(client, "cols", {})).toBe('{"id":"1","collections":[]}');
    expect((await refused).status).toBe(401);
    expect(await look(server.port, "/readyz")).toEqual([200, "ready\n"]);
  });

  test("refuses them when it cannot load", async () => {
    const loaded = Promise.withResolvers<void>();
    await using server = new TestServer({ loaded: loaded.promise });
    const waiting = server.upgrade(`/?api-key=${KEYS.readonly}`);
    await look(server.port, "/healthz");
    loaded.reject(new Error("damaged"));
    const response = await waiting;
    expect([response.status, await response.text()]).toEqual([503, "The server could not load its data\n"]);
  });
});

describe("/metrics", () => {
  test("needs an API key on the clients' port, and none on its own", async () => {
    await using server = new TestServer({ opsPort: 0 });
    expect(await look(server.port, "/metrics")).toEqual([401, "Missing API key parameter"]);
    expect(await look(server.port, "/metrics?api-key=nobody")).toEqual([401, "Unknown API key"]);
    const headers = { authorization: `Bearer ${KEYS.readonly}` };
    const response = await get(server.port, "/metrics", { headers });
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect((await get(server.opsPort, "/metrics")).status).toBe(200);
    expect(await look(server.opsPort, "/")).toEqual([404, "Not found\n"]);
  });

  test("slows down, logs and counts wrong keys as a connection does", async () => {
    await using server = new TestServer({ opsPort: 0 });
    for (let at = 0; at < 3; at++) {
      expect((await get(server.port, "/metrics?api-key=nobody")).status).toBe(401);
      expect((await server.upgrade("/?api-key=nobody")).status).toBe(401);
    }
    const rejected = { event: "rejected", ip: "127.0.0.1", reason: "Unknown API key" };
    expect(server.log.of("rejected")).toEqual(Array(6).fill(rejected));
    const [, text] = await look(server.opsPort, "/metrics");
    expect(sampleOf(text, 'connections_refused_total{reason="api_key"}')).toBe(6);
    expect(sampleOf(text, 'connections_refused_total{reason="expired_key"}')).toBe(0);
  });

  test("counts what was asked, and what went wrong", async () => {
    await using server = new TestServer({ opsPort: 0 });
    await using client = await server.connect();
    await (await server.upgrade("/?api-key=nobody")).text();
    for (let at = 0; at < 200; at++) {
      await exchange(client, frameOf("ins", [{ ts: at, doc: "d", col: "c", data: "x" }]));
    }
    await ask(client, "qry", { col: "c", ts: 5 });
    await ask(client, "qry", { col: "c" });
    await ask(client, "nonsense", {});
    const [, text] = await look(server.opsPort, "/metrics");
    expect(sampleOf(text, 'requests_total{type="ins"}')).toBe(200);
    expect(sampleOf(text, 'requests_total{type="qry"}')).toBe(2);
    expect(sampleOf(text, 'requests_total{type="sval"}')).toBe(0);
    expect(sampleOf(text, 'request_errors_total{type="qry",code="bad_request"}')).toBe(1);
    expect(sampleOf(text, 'request_errors_total{type="unknown",code="unknown_type"}')).toBe(1);
    // One in 64 of the small inserts, and each query that was carried out.
    expect(sampleOf(text, 'request_duration_seconds_count{type="ins"}')).toBeWithin(2, 5);
    expect(sampleOf(text, 'request_duration_seconds_bucket{type="qry",le="+Inf"}')).toBe(1);
    expect(sampleOf(text, "connections")).toBe(1);
    expect(sampleOf(text, "connections_total")).toBe(1);
    expect(sampleOf(text, 'connections_refused_total{reason="api_key"}')).toBe(1);
    expect(sampleOf(text, 'build_info{version="1.2.3",commit="abc",durability="memory"}')).toBe(1);
    expect(sampleOf(text, "disk_data_bytes")).toBeUndefined();
    expect(text).not.toContain(KEYS.readonly);
  });
});

describe("/backup", () => {
  test("is refused while data is being loaded, whatever is there already", async () => {
    const loaded = Promise.withResolvers<void>();
    let asked = 0;
    const backup = async () => {
      asked++;
      return "busy" as const;
    };
    await using server = new TestServer({ loaded: loaded.promise, backup });
    const take = (method = "GET") =>
      get(server.port, `/backup?api-key=${encodeURIComponent(MASTER_KEY)}`, { method });
    const early = await take();
    expect([early.status, await early.text()]).toEqual([503, "The server is loading its data\n"]);
    expect(asked).toBe(0);
    loaded.resolve();
    await (await server.connect())[Symbol.asyncDispose]();
    expect((await take("HEAD")).status).toBe(405);
    expect(asked).toBe(0);
    const late = await take();
    expect([late.status, await late.text()]).toEqual([503, "Another backup is under way\n"]);
  });

  test("says what is wrong with the disk", async () => {
    const backup = () => Promise.reject(new StorageError("no room"));
    await using server = new TestServer({ backup });
    const response = await get(server.port, `/backup?api-key=${encodeURIComponent(MASTER_KEY)}`);
    expect([response.status, await response.text()]).toEqual([507, "no room\n"]);
    expect(server.log.of("diskFailed")).toEqual([{ event: "diskFailed", reason: "no room" }]);
  });
});
