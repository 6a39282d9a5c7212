/**
 * Input that means harm: the server answers or closes, stays up, and costs the client beside it nothing.
 */
import { expect, test } from "bun:test";
import { SECRET_KEY, ServerProcess } from "../support/server_process.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";

const MIB = 2 ** 20;
const GOOD = { col: "good", doc: "d", ts: 1, data: "fine" };
/** `data` as text inside the frame, so that it is not parsed on the way. */
const frame = (type: string, data: string): string => JSON.stringify({ id: "x", type, data });

/** Each gets this answer; `closed` says that the connection ends with it. */
const FRAMES: readonly { what: string; frame: string; answer: object; closed?: number }[] = [
  { what: "no JSON", frame: "hello", answer: { code: "bad_frame" }, closed: 1008 },
  { what: "an array", frame: "[]", answer: { code: "bad_frame" }, closed: 1008 },
  { what: "15 MiB of [", frame: "[".repeat(15 * MIB), answer: { code: "bad_frame" }, closed: 1008 },
  { what: "15 MiB of [ in data", frame: frame("ins", "[".repeat(15 * MIB)), answer: { code: "bad_request" } },
  {
    what: "a record's data nested 100,000 deep",
    frame: frame("ins", `[{"ts":1,"doc":"d","col":"c","data":${"[".repeat(100_000)}${"]".repeat(100_000)}}]`),
    answer: { code: "bad_request" },
  },
  { what: "a huge number", frame: frame("qry", '{"col":"c","ts":1e999}'), answer: { code: "bad_request" } },
  {
    what: "a number of a million digits",
    frame: frame("qry", `{"col":"c","ts":${"9".repeat(MIB)}}`),
    answer: { code: "bad_request" },
  },
  {
    what: "a name that is too long",
    frame: frame("sval", `{"col":"${"x".repeat(5000)}","key":"k","value":""}`),
    answer: { code: "bad_request" },
  },
  {
    what: "a pattern that cannot be compiled",
    frame: frame("qry", '{"col":"good","ts":9,"doc":"/(/"}'),
    answer: { code: "bad_pattern" },
  },
  {
    what: "a pattern with a backreference",
    frame: frame("qry", '{"col":"good","ts":9,"doc":"/(a)\\\\1/"}'),
    answer: { code: "bad_pattern" },
  },
  {
    what: "a pattern that explodes",
    frame: frame("qry", '{"col":"good","ts":9,"doc":"/((a{100}){100}){100}/"}'),
    answer: { code: "bad_pattern" },
  },
  {
    what: "__proto__ as a type",
    frame: '{"id":"x","type":"__proto__","data":"{}"}',
    answer: { code: "unknown_type" },
  },
  {
    what: "__proto__ as a field",
    frame: frame("qry", '{"__proto__":{"col":"good","ts":9}}'),
    answer: { code: "bad_request" },
  },
  {
    what: "a field twice: the last one counts",
    frame: frame("qry", '{"col":"nothing","col":"good","ts":"x","ts":9}'),
    answer: { records: { d: { ts: 1, data: "fine" } } },
  },
];

test("hostile frames get an answer, and the next client is served as before", async () => {
  using folder = new TemporaryFolder();
  await using server = await ServerProcess.start({ args: ["--data", folder.join("data")] });
  await using witness = await server.connect();
  expect(await witness.request("ins", [GOOD])).not.toHaveProperty("error");
  for (const { what, frame: text, answer, closed } of FRAMES) {
    await using client = await server.connect();
    client.send(text);
    expect({ what, ...JSON.parse(await client.next()) }).toMatchObject({ what, ...answer });
    if (closed === undefined)
      expect(await client.request("cols", {})).toMatchObject({ collections: ["good"] });
    else expect((await client.closed).code).toBe(closed);
    expect(await witness.request("qry", { col: "good", ts: 9 })).toMatchObject({
      records: { d: { ts: 1, data: "fine" } },
    });
  }
  expect(await server.kill("SIGTERM")).toBe(0);
}, 60_000);

test("a catastrophic pattern over long records is answered in linear time", async () => {
  await using server = await ServerProcess.start();
  await using client = await server.connect();
  const data = `${"a".repeat(100_000)}!`;
  await client.request("ins", [{ col: "c", doc: "d", ts: 1, data }]);
  for (const where of ["/^(a+)+$/", "/(a|a)*b/", "/(.*a){20}b/"]) {
    expect(await client.request("qdoc", { col: "c", doc: "d", where })).toMatchObject({ records: [] });
  }
}, 60_000);

test("names of every kind are only names", async () => {
  using folder = new TemporaryFolder();
  const args = ["--data", folder.join("data")];
  const names = ["__proto__", "constructor", "hasOwnProperty", "toString", "", " "];
  {
    await using server = await ServerProcess.start({ args });
    await using client = await server.connect();
    for (const key of names) await client.request("sval", { col: "__proto__", key, value: key });
    await server.kill("SIGTERM");
  }
  await using server = await ServerProcess.start({ args });
  await using client = await server.connect();
  const text = await client.requestText("gvals", '{"col":"__proto__"}');
  expect(text).toEndWith(
    `"values":${JSON.stringify(Object.fromEntries([...names].sort().map((name) => [name, name])))}}`,
  );
});

test("a client that does not read gets every reply in the end, while others are served", async () => {
  await using server = await ServerProcess.start();
  await using witness = await server.connect();
  const data = "x".repeat(10_000);
  const records = Array.from({ length: 500 }, (_, ts) => ({ col: "c", doc: "d", ts, data }));
  await witness.request("ins", records);
  const requests = 40;
  let received = 0;
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port: server.port,
    socket: {
      data(_, bytes) {
        received += bytes.length;
      },
    },
  });
  socket.write(
    `GET /?api-key=${SECRET_KEY} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
  );
  while (received === 0) await Bun.sleep(1);
  socket.pause();
  for (let request = 0; request < requests; request++)
    socket.write(maskedFrame(frame("qdoc", '{"col":"c","doc":"d"}')));
  // The one beside it has its answers although 200 MB wait for the other.
  for (let request = 0; request < 50; request++) {
    expect(await witness.request("gval", { col: "c", key: "k" })).toMatchObject({ value: "" });
  }
  socket.resume();
  const atLeast = requests * records.length * data.length;
  while (received < atLeast) await Bun.sleep(5);
  socket.terminate();
  expect(await witness.request("gval", { col: "c", key: "k" })).toMatchObject({ value: "" });
}, 60_000);

/** A client's text frame, with a mask of zeros. */
function maskedFrame(text: string): Uint8Array {
  const payload = Buffer.from(text);
  if (payload.length > 125) throw new RangeError("only short frames");
  return Buffer.concat([Buffer.from([0x81, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
}
