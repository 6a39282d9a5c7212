/**
 * Input that means harm: the server answers or closes, stays up, and costs the client beside it nothing.
 */
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { ServerProcess } from "../support/server_process.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";
import type { TestClient } from "../support/test_client.ts";
import { clientFrame, FINAL, RawConnection, serverFrame, TEXT } from "./raw_connection.ts";

const MIB = 2 ** 20;
const FRAME_BYTES_MAX = 16 * MIB;

/** What the client beside the hostile one has stored, asks for all the time, and gets. */
const GOOD = { col: "good", doc: "d", ts: 1, data: "fine" };
const GOOD_ANSWER = { records: { d: { ts: 1, data: "fine" } } };

async function storeGood(witness: TestClient): Promise<void> {
  expect(await witness.request("ins", [GOOD])).not.toHaveProperty("error");
}

async function checkGood(witness: TestClient): Promise<void> {
  expect(await witness.request("qry", { col: "good", ts: 9 })).toMatchObject(GOOD_ANSWER);
}

/** A frame with `data` as a string of JSON. */
const frame = (type: string, data: string): string => JSON.stringify({ id: "x", type, data });
/** A frame with `data` as the JSON itself. */
const bareFrame = (type: string, data: string): string => `{"id":"x","type":"${type}","data":${data}}`;

const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);
const nestedObjects = (depth: number): string => `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;
const withData = (data: string): string => `[{"ts":1,"doc":"d","col":"bad","data":${data}}]`;
const withTime = (ts: string): string => `[{"ts":${ts},"doc":"d","col":"bad","data":""}]`;

const badFrame = { code: "bad_frame" };
const badRequest = { id: "x", code: "bad_request" };
const badPattern = { id: "x", code: "bad_pattern" };

type HostileFrame = {
  readonly what: string;
  readonly frame: string | Uint8Array<ArrayBuffer>;
  /** None: the connection closes without a word. */
  readonly answer?: object;
  /** The code that the connection closes with; without it, it stays open. */
  readonly closed?: number;
};

const NO_REQUESTS: readonly HostileFrame[] = [
  ...["hello", "", "[]", "null", '"text"', "{}", '{"id":5,"type":"cols"}', '{"id":"","type":"cols"}'].map(
    (text) => ({ what: `the frame ${text}`, frame: text, answer: badFrame, closed: 1008 }),
  ),
  {
    what: "__proto__ in the place of a frame",
    frame: '{"__proto__":{"id":"x","type":"cols"}}',
    answer: badFrame,
    closed: 1008,
  },
  { what: "16 MiB of [", frame: "[".repeat(FRAME_BYTES_MAX), answer: badFrame, closed: 1008 },
  { what: "more than 16 MiB", frame: "[".repeat(FRAME_BYTES_MAX + 1), closed: 1009 },
  { what: "a binary frame", frame: new TextEncoder().encode(frame("cols", "{}")), closed: 1003 },
];

const NESTED: readonly HostileFrame[] = [
  { what: "15 MiB of [ in data", frame: frame("ins", "[".repeat(15 * MIB)), answer: badRequest },
  { what: "a query nested a million deep", frame: bareFrame("qry", nested(1e6)), answer: badRequest },
  { what: "records nested a million deep", frame: bareFrame("ins", nested(1e6)), answer: badRequest },
  { what: "objects a million deep", frame: bareFrame("qry", nestedObjects(1e6)), answer: badRequest },
  {
    what: "an unknown field nested a million deep",
    frame: `{"id":"x","type":"cols","data":"{}","more":${nested(1e6)}}`,
    answer: { id: "x", collections: ["good"] },
  },
  { what: "data nested 100,000 deep", frame: frame("ins", withData(nested(1e5))), answer: badRequest },
  {
    what: "objects in data 100,000 deep",
    frame: bareFrame("ins", withData(nestedObjects(1e5))),
    answer: badRequest,
  },
  { what: "a million bad records", frame: frame("ins", `[${"1,".repeat(1e6)}1]`), answer: badRequest },
];

const NUMBERS: readonly HostileFrame[] = [
  ...[
    "1e999",
    "-1e999",
    "9223372036854775808",
    "-9223372036854775809",
    "1e19",
    "NaN",
    "0x10",
    '" 1"',
  ].flatMap((ts) => [
    { what: `a record at ${ts}`, frame: frame("ins", withTime(ts)), answer: badRequest },
    { what: `a query at ${ts}`, frame: frame("qry", `{"col":"good","ts":${ts}}`), answer: badRequest },
  ]),
  {
    what: "a number of a million digits",
    frame: frame("qry", `{"col":"good","ts":${"9".repeat(MIB)}}`),
    answer: badRequest,
  },
  {
    what: "an endless limit",
    frame: frame("qdoc", '{"col":"good","doc":"d","limit":1e999}'),
    answer: badRequest,
  },
];

const NAMES_AND_FIELDS: readonly HostileFrame[] = [
  {
    what: "a name that is too long",
    frame: frame("sval", `{"col":"${"x".repeat(5000)}","key":"k","value":""}`),
    answer: badRequest,
  },
  ...["__proto__", "constructor", "toString", "x".repeat(MIB)].map((type) => ({
    what: `${type.slice(0, 20)} as a type`,
    frame: bareFrame(type, "{}"),
    answer: { id: "x", code: "unknown_type" },
  })),
  {
    what: "__proto__ as a field",
    frame: frame("qry", '{"__proto__":{"col":"good","ts":9}}'),
    answer: badRequest,
  },
  {
    what: "fields of a query twice: the last one counts",
    frame: frame("qry", '{"col":"nothing","col":"good","ts":"x","ts":9}'),
    answer: GOOD_ANSWER,
  },
  {
    what: "fields of a frame twice: the last one counts",
    frame:
      '{"id":"y","type":"dcol","data":"[]","id":"x","type":"qry","data":"{\\"col\\":\\"good\\",\\"ts\\":9}"}',
    answer: { id: "x", ...GOOD_ANSWER },
  },
  {
    what: "fields of a record twice, one of them spelled with an escape",
    frame: frame("ins", '[{"ts":1,"doc":"d","col":"good","data":"fine","\\u0074s":"x"}]'),
    answer: badRequest,
  },
];

const PATTERNS: readonly HostileFrame[] = [
  "(",
  "[",
  "[z-a]",
  "a**",
  "(?=a)",
  "(a)\\\\1",
  "a{1,100000}",
  "((a{100}){100}){100}",
  "x".repeat(5000),
  "(".repeat(2000),
  "(a{1000}){1000}",
  "(((a{10}){10}){10}){10}",
  "(?:(?:a{0,30}){0,30}){0,30}",
  ".{1,1000}{1,10}",
  "\\\\p{L}".repeat(101),
].flatMap((pattern) => [
  {
    what: `documents like /${pattern.slice(0, 20)}/`,
    frame: frame("qry", `{"col":"good","ts":9,"doc":"/${pattern}/"}`),
    answer: badPattern,
  },
  {
    what: `records like /${pattern.slice(0, 20)}/`,
    frame: frame("qdoc", `{"col":"good","doc":"d","where":"/${pattern}/"}`),
    answer: badPattern,
  },
]);

test.each([
  { kind: "what is no request", frames: NO_REQUESTS },
  { kind: "what is nested deep or wrong all over", frames: NESTED },
  { kind: "numbers", frames: NUMBERS },
  { kind: "names and fields", frames: NAMES_AND_FIELDS },
  { kind: "patterns that cannot be compiled", frames: PATTERNS },
])(
  "$kind: each gets its answer, and the client beside it its own",
  async ({ frames }) => {
    using folder = new TemporaryFolder();
    await using server = await ServerProcess.start({ args: ["--data", folder.join("data")] });
    await using witness = await server.connect();
    await storeGood(witness);
    for (const { what, frame: sent, answer, closed } of frames) {
      await using client = await server.connect();
      client.send(sent);
      if (answer !== undefined) {
        expect({ what, ...JSON.parse(await client.next()) }).toMatchObject({ what, ...answer });
      }
      if (closed !== undefined) {
        const { code } = await client.closed;
        expect({ what, code }).toEqual({ what, code: closed });
      } else {
        expect(await client.request("cols", {})).toMatchObject({ collections: ["good"] });
      }
      await checkGood(witness);
    }
    expect(await server.kill("SIGTERM")).toBe(0);
  },
  60_000,
);

test("a frame beyond --max-frame is closed with 1009, in one piece or in many", async () => {
  const max = 64 * 1024;
  await using server = await ServerProcess.start({ args: ["--max-frame", "64KiB"] });
  await using witness = await server.connect();
  await storeGood(witness);
  const empty = frame("ins", withData('""')).length;
  const ofSize = (bytes: number): string => frame("ins", withData(`"${"x".repeat(bytes - empty)}"`));
  {
    await using client = await server.connect();
    client.send(ofSize(max));
    expect(await client.next()).toBe('{"id":"x"}');
    client.send(ofSize(max + 1));
    expect((await client.closed).code).toBe(1009);
  }
  const part = Buffer.alloc(max / 2, "x");
  await using client = await RawConnection.open(server.port);
  client.write(Buffer.concat([clientFrame(TEXT, part), clientFrame(0, part), clientFrame(FINAL, part)]));
  client.read();
  await client.closed;
  await checkGood(witness);
});

const PING = 9;
const CLOSE = 8;
const RESERVED_BIT = 0x40;

/** Bytes that no WebSocket client sends. */
const BYTES: readonly { what: string; bytes: Uint8Array }[] = [
  { what: "a frame that claims 2^63 bytes", bytes: Buffer.from("81ff7fffffffffffffff00000000", "hex") },
  { what: "a reserved bit", bytes: clientFrame(FINAL | RESERVED_BIT | TEXT, frame("cols", "{}")) },
  { what: "an unknown opcode", bytes: clientFrame(FINAL | 3, "x") },
  { what: "the end of a message without its start", bytes: clientFrame(FINAL, "x") },
  { what: "a ping in two parts", bytes: clientFrame(PING, "x") },
  { what: "a ping of 200 bytes", bytes: clientFrame(FINAL | PING, Buffer.alloc(200)) },
  ...["ed a0 80", "ed b0 80", "c0 80", "f4 90 80 80", "e2 82", "80"].map((hex) => ({
    what: `an id with the bytes ${hex}, which are no UTF-8`,
    bytes: clientFrame(
      FINAL | TEXT,
      Buffer.concat([
        Buffer.from('{"id":"'),
        Buffer.from(hex.replaceAll(" ", ""), "hex"),
        Buffer.from('","type":"cols"}'),
      ]),
    ),
  })),
  { what: "text that is no UTF-8", bytes: clientFrame(FINAL | TEXT, Buffer.from("fffec080", "hex")) },
  { what: "a close frame of one byte", bytes: clientFrame(FINAL | CLOSE, "x") },
];

test("bytes that break the WebSocket's rules close their own connection only", async () => {
  await using server = await ServerProcess.start();
  await using witness = await server.connect();
  await storeGood(witness);
  for (const { what, bytes } of BYTES) {
    await using client = await RawConnection.open(server.port);
    client.write(bytes);
    client.read();
    const closed = client.closed.then(() => `${what}: closed`);
    expect(await Promise.race([closed, Bun.sleep(10_000).then(() => "still open")])).toBe(`${what}: closed`);
    await checkGood(witness);
  }
  {
    // Half a frame, and gone.
    await using client = await RawConnection.open(server.port);
    client.write(clientFrame(FINAL | TEXT, frame("dcol", '{"col":"good"}')).subarray(0, 30));
  }
  await checkGood(witness);
}, 60_000);

/** Each is a collection, a document and a key. */
const NAMES = [
  ..."../x ../../etc/passwd /etc/passwd a/b a\\b .. . a. CON com1.txt catalog.db a A ä nul %00".split(" "),
  ..."__proto__ constructor hasOwnProperty toString a\u0308 😀 \ud800 \udc00 \ufffd nul\u0000".split(" "),
  " ",
  "line\nbreak",
  "'; drop table record; --",
  "x".repeat(1000),
  "é".repeat(4096),
];

async function checkNames(client: TestClient): Promise<void> {
  const sorted = [...NAMES].sort();
  expect(await client.request("cols", {})).toMatchObject({ collections: sorted });
  for (const col of NAMES) {
    expect(await client.request("qdoc", { col, doc: col })).toMatchObject({
      records: [{ ts: 1, data: col }],
    });
    expect(await client.request("gval", { col, key: col })).toMatchObject({ value: col });
    // As text: a reply's `__proto__` is a field like any other.
    const record = `${JSON.stringify(col)}:{"ts":1,"data":${JSON.stringify(col)}}`;
    const latest = await client.requestText("qry", JSON.stringify({ col, ts: 9 }));
    expect(latest).toEndWith(`"records":{${record}}}`);
  }
}

test("names of every kind are only names, in memory, on disk and in the journal", async () => {
  using folder = new TemporaryFolder();
  const args = ["--data", folder.join("parent", "data")];
  for (const [start, signal] of (["SIGKILL", "SIGTERM", "SIGKILL"] as const).entries()) {
    await using server = await ServerProcess.start({ args });
    await using client = await server.connect();
    // The second time from the journal, the third time from the checkpoint; each time written once more.
    if (start > 0) await checkNames(client);
    for (const col of NAMES) {
      const records = [{ col, doc: col, ts: 1, data: col }];
      expect(await client.request("ins", records)).not.toHaveProperty("error");
      expect(await client.request("sval", { col, key: col, value: col })).not.toHaveProperty("error");
    }
    await checkNames(client);
    await server.kill(signal);
    expect(readdirSync(folder.path)).toEqual(["parent"]);
    expect(readdirSync(folder.join("parent"))).toEqual(["data"]);
  }
  await using server = await ServerProcess.start({ args });
  await using client = await server.connect();
  await checkNames(client);
  // Whatever they are called, they can be had rid of, and the others stay.
  for (const col of NAMES.slice(1)) await client.request("dcol", { col });
  expect(await client.request("cols", {})).toMatchObject({ collections: [NAMES[0]] });
}, 60_000);

test("a catastrophic pattern over long records is answered in linear time", async () => {
  await using server = await ServerProcess.start();
  await using client = await server.connect();
  const long = "a".repeat(100_000);
  await client.request("ins", [
    { col: "c", doc: "d", ts: 1, data: `${long}!` },
    { col: "c", doc: "a".repeat(4000), ts: 1, data: long },
  ]);
  for (const pattern of ["/^(a+)+$/", "/^(a|a)*$/", "/^(a|aa)+$/", "/^((a*)*)*$/", "/(.*a){20}b/"]) {
    const isFound = !pattern.includes("b");
    const asked = { col: "c", doc: "d", where: pattern };
    expect(await client.request("qdoc", asked)).toMatchObject({ records: [] });
    expect(await client.request("qdoc", { col: "c", doc: "d", filter: pattern })).toMatchObject({
      records: [{ ts: 1 }],
    });
    const named = await client.request("qry", { col: "c", ts: 9, doc: pattern });
    expect(Object.keys(named.records as object)).toHaveLength(isFound ? 1 : 0);
  }
}, 60_000);

test("a pattern that is too large for a long record is refused, and costs nobody else anything", async () => {
  await using server = await ServerProcess.start();
  await using client = await server.connect();
  await using witness = await server.connect();
  await storeGood(witness);
  // A minute and more of matching: an automaton of a thousand states, all of which a random text keeps alive.
  const bits = crypto.getRandomValues(new Uint8Array(8 * MIB));
  const long = Buffer.from(bits.map((bit) => 0x61 + (bit & 1))).toString("latin1");
  await client.request("ins", [{ col: "c", doc: "d", ts: 1, data: long }]);
  const asked = { col: "c", doc: "d", where: "/[ab]*a[ab]{990}[cd]/" };
  for (const type of ["qdoc", "qry"]) {
    const answer = client.request(type, { ...asked, ts: 9 });
    await checkGood(witness);
    expect(await answer).toMatchObject({
      code: "bad_pattern",
      error: expect.stringContaining(`too large for a text of ${long.length} characters`),
    });
  }
  // One that is small is answered.
  expect(await client.request("qdoc", { ...asked, where: "/b[cd]/" })).toMatchObject({ records: [] });
}, 60_000);

test("a client that does not read gets every byte in the end, while others are served", async () => {
  await using server = await ServerProcess.start();
  await using witness = await server.connect();
  await storeGood(witness);
  const data = "x".repeat(10_000);
  const records = Array.from({ length: 500 }, (_, ts) => ({ col: "c", doc: "d", ts, data }));
  await witness.request("ins", records);
  const text = JSON.stringify({ records: records.map(({ ts }) => ({ ts, data })) }).slice(1);
  const ids = Array.from({ length: 40 }, (_, index) => `slow ${index}`);
  await using client = await RawConnection.open(server.port);
  for (const id of ids) {
    const request = JSON.stringify({ id, type: "qdoc", data: '{"col":"c","doc":"d"}' });
    client.write(clientFrame(FINAL | TEXT, request));
  }
  // The one beside it has its answers although 200 MB wait for the other.
  for (let request = 0; request < 200; request++) await checkGood(witness);
  const hash = new Bun.CryptoHasher("sha256");
  let length = 0;
  for (const id of ids) {
    const reply = serverFrame(Buffer.from(`{"id":"${id}",${text}`));
    hash.update(reply);
    length += reply.length;
  }
  expect(await client.take(length)).toEqual({ length, hash: hash.digest("hex") });
  await checkGood(witness);
}, 60_000);

test("200,000 requests at once are answered in their order, while others are served", async () => {
  using folder = new TemporaryFolder();
  await using server = await ServerProcess.start({ args: ["--data", folder.join("data")] });
  await using witness = await server.connect();
  await storeGood(witness);
  await using client = await server.connect();
  const requests = 200_000;
  for (let index = 0; index < requests; index++) client.send(pipelinedFrame(index));
  const wrong: string[] = [];
  for (let index = 0; index < requests; index++) {
    const reply = await client.next();
    if (reply !== pipelinedReply(index)) wrong.push(`${index}: ${reply}`);
    if (index % 10_000 === 0) await checkGood(witness);
  }
  expect(wrong.slice(0, 3)).toEqual([]);
}, 60_000);

/** One in four writes, and each read asks for what the write before it has stored. */
function pipelinedFrame(index: number): string {
  const write = index - (index % 4);
  const data =
    index === write
      ? `[{"col":"pipe","doc":"d${write % 100}","ts":${write},"data":"${write}"}]`
      : `{"col":"pipe","doc":"d${write % 100}","ts":${write}}`;
  return JSON.stringify({ id: String(index), type: index === write ? "ins" : "qry", data });
}

function pipelinedReply(index: number): string {
  const write = index - (index % 4);
  if (index === write) return `{"id":"${index}"}`;
  return `{"id":"${index}","records":{"d${write % 100}":{"ts":${write},"data":"${write}"}}}`;
}
