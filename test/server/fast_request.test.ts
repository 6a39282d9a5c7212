/**
 * The requests that are read by hand against the schema: whatever is taken means the same to both.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { InsertBatch } from "../../src/engine/insert_batch.ts";
import { RawText } from "../../src/engine/raw_text.ts";
import { parseJson, rawNumber } from "../../src/protocol/json.ts";
import { checkRequest, type MessageType } from "../../src/protocol/messages.ts";
import { FAST_READERS } from "../../src/server/fast_request.ts";
import { FrameScanner, SCANNED_TYPES } from "../../src/server/frame_scanner.ts";
import { mangled } from "./frame_check.ts";

const odd = fc.constantFrom<unknown>(
  null,
  true,
  [],
  {},
  1.5,
  1e300,
  -0,
  "",
  "x".repeat(4097),
  rawNumber("1747604423123456789"),
);
const text = fc.oneof(
  { weight: 20, arbitrary: fc.string({ unit: "binary", maxLength: 5 }) },
  { weight: 1, arbitrary: odd },
  { weight: 1, arbitrary: fc.constant(null) },
);
const time = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.oneof(
      { weight: 6, arbitrary: fc.integer() },
      { weight: 2, arbitrary: fc.maxSafeInteger() },
      { weight: 1, arbitrary: fc.double({ noNaN: true, min: -1e19, max: 1e19 }) },
      { weight: 1, arbitrary: fc.double({ noNaN: true, min: -1e10, max: 1e10 }) },
      { weight: 1, arbitrary: fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }).map(String) },
      { weight: 1, arbitrary: fc.constantFrom<unknown>(null, -0.5, "-0", "007", "1.5", "1 ", "x") },
    ),
  },
  { weight: 1, arbitrary: odd },
);
const count = fc.oneof({ weight: 20, arbitrary: fc.integer() }, { weight: 1, arbitrary: odd });
const flag = fc.oneof({ weight: 20, arbitrary: fc.boolean() }, { weight: 1, arbitrary: odd });

/** Each field may be missing; a field that no message has may be there. */
const loose = (fields: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<unknown> =>
  fc.oneof(
    {
      weight: 12,
      arbitrary: fc.record({ ...fields, other: odd }, { requiredKeys: [], noNullPrototype: true }),
    },
    { weight: 1, arbitrary: odd },
  );

const REQUESTS: readonly [MessageType, fc.Arbitrary<unknown>][] = [
  ["qry", loose({ col: text, ts: time, doc: text, from: time, where: text, filter: text })],
  [
    "qdoc",
    loose({
      col: text,
      doc: text,
      from: time,
      to: time,
      limit: count,
      reverse: flag,
      where: text,
      filter: text,
    }),
  ],
  ["sval", loose({ col: text, key: text, value: text })],
  ["gval", loose({ col: text, key: text })],
  ["gvals", loose({ col: text })],
];

const scanner = new FrameScanner();
const batch = new InsertBatch();

/** What the fast path makes of a frame; undefined when it leaves it to the schema. */
function byScanner(frame: string): { id: string; type: string; request: unknown } | undefined {
  const type = SCANNED_TYPES[scanner.scan(frame, batch)];
  if (type === undefined || type === "ins") return undefined;
  const request = FAST_READERS[type](scanner.fields);
  if (request === undefined) return undefined;
  // What stands in the frame, as the strings that it stands for.
  const members = Object.entries(request as object).map(([name, value]) => [
    name,
    value instanceof RawText ? value.toString() : (value as unknown),
  ]);
  return { id: scanner.idText, type, request: Object.fromEntries(members) as unknown };
}

function bySchema(frame: string): unknown {
  const { id, type, data } = parseJson(frame) as { id: string; type: MessageType; data: unknown };
  const payload = typeof data === "string" ? parseJson(data) : data;
  return { id: JSON.stringify(id), type, ...checkRequest(type, payload) };
}

/** Whatever the fast path takes must be what the schema makes of it. Returns whether it took it. */
function checkFrame(frame: string): boolean {
  const fast = byScanner(frame);
  if (fast !== undefined) expect<unknown>(fast).toEqual(bySchema(frame));
  return fast !== undefined;
}

const layout = fc.record({
  isText: fc.boolean(),
  indent: fc.constantFrom(undefined, 1, "\t"),
  order: fc.shuffledSubarray(["id", "type", "data"], { minLength: 3 }),
  mangle: fc.constantFrom<(frame: string) => string>(
    (frame) => frame,
    (frame) => frame.replaceAll("a", "\\u0061"),
    (frame) => frame.replaceAll("/", "\\/"),
  ),
});

test.each(REQUESTS)("%s means the same to the schema", (type, request) => {
  let taken = 0;
  fc.assert(
    fc.property(request, layout, (data, { isText, indent, order, mangle }) => {
      const payload = isText ? JSON.stringify(data, undefined, indent) : data;
      const message: Record<string, unknown> = { id: "é", type, data: payload };
      const ordered = Object.fromEntries(order.map((field) => [field, message[field]]));
      if (checkFrame(mangle(JSON.stringify(ordered, undefined, indent)).toWellFormed())) taken++;
    }),
    { numRuns: 12_000 },
  );
  expect(taken).toBeGreaterThan(150);
});

const mutation = fc.tuple(
  fc.nat(),
  fc.constantFrom(
    "",
    '"',
    "\\",
    "u",
    "0",
    " ",
    ",",
    "{",
    "}",
    ":",
    "-",
    "e",
    "é",
    "\u0001",
    "\n",
    "null",
    "true",
  ),
);

test("mangled frames mean the same to both", () => {
  const plain = fc.constantFrom(...PLAIN.map(([type, data]) => ({ type, data })));
  let taken = 0;
  fc.assert(
    fc.property(
      plain,
      fc.boolean(),
      fc.array(mutation, { maxLength: 2 }),
      ({ type, data }, isText, changes) => {
        const frame = JSON.stringify({ id: "x", type, data: isText ? JSON.stringify(data) : data });
        if (checkFrame(mangled(frame, changes))) taken++;
      },
    ),
    { numRuns: 20_000 },
  );
  expect(taken).toBeGreaterThan(5000);
});

const PLAIN: readonly [MessageType, unknown][] = [
  ["qry", { col: "c", ts: 9e9, doc: "", from: 0 }],
  ["qry", { col: "c", ts: -15 }],
  ["qry", { col: "c", ts: rawNumber("1747604423123456789"), from: rawNumber("9223372036854775807") }],
  ["qdoc", { col: "c", doc: "d", from: 0, to: 9e9, limit: 100, reverse: true }],
  ["qdoc", { col: "c", doc: "d", where: 'state":"x', filter: "/y/", reverse: false }],
  ["qry", { col: "c", ts: 1_747_604_423.25, doc: null, from: rawNumber("-1747604423.9999999"), where: null }],
  ["qry", { col: "c", ts: "1747604423123456789", from: "-5" }],
  [
    "qdoc",
    { col: "c", doc: "d", from: null, to: null, limit: null, reverse: null, where: null, filter: null },
  ],
  ["sval", { col: "c", key: "k", value: "" }],
  ["sval", { col: "c", key: "k", value: 'é "quoted" \n 😀' }],
  ["gval", { col: "c", key: "k" }],
  ["gvals", { col: "c" }],
];

test.each(PLAIN)("%s in its plain form is taken: %j", (type, data) => {
  const asText = JSON.stringify({ id: "m1", type, data: JSON.stringify(data) });
  expect(checkFrame(asText)).toBe(true);
  expect(checkFrame(JSON.stringify({ data, type, id: "m1" }, undefined, 2))).toBe(true);
});

test.each([
  '{"id":"1","type":"ddoc","data":{"doc":"d"}}',
  '{"id":"1","type":"gval"}',
  '{"id":"1","type":"gval","data":null}',
  '{"id":"1","type":"gval","data":[]}',
  '{"id":"1","type":"gval","data":"[]"}',
  '{"id":"1","type":"gval","data":{"col":"c","key":"k","other":1}}',
  '{"id":"1","type":"gval","data":{"col":"c","key":"k","key":"l"}}',
  '{"id":"1","type":"gval","data":{"col":"c","key":"k"},"data":{}}',
  '{"id":"1","type":"gval","data":{"col":"c","key":"k"},"other":1}',
  '{"id":"1","type":"gval","data":{"col":"c","key":"k"}} x',
  '{"id":"1","type":"gval","data":"{\\"col\\":\\"c\\",\\"key\\":\\"k\\"} x"}',
  '{"id":"1","type":"gval","data":{"col":"c","key":null}}',
  '{"id":"1","type":"qry","data":{"col":null,"ts":1}}',
  '{"id":"1","type":"qry","data":{"col":"c","ts":null}}',
  '{"id":"1","type":"qry","data":{"col":"c","ts":1.}}',
  '{"id":"1","type":"qry","data":{"col":"c","ts":-0.5}}',
  '{"id":"1","type":"qry","data":{"col":"c","ts":1.5e3}}',
  '{"id":"1","type":"qry","data":{"col":"c","ts":"1.5"}}',
  '{"id":"1","type":"qry","data":{"col":"c","ts":true}}',
  '{"id":"1","type":"qry","data":{"col":"c","ts":nulL}}',
  '{"id":"1","type":"qdoc","data":{"col":"c","doc":"d","limit":1.5}}',
  '{"id":"1","type":"qdoc","data":{"col":"c","doc":"d","limit":"1"}}',
  '{"id":"1","type":"qry","data":{"col":"c","ts":01}}',
  '{"id":"1","type":"qry","data":{"col":"c","ts":9223372036854775808}}',
  '{"id":"","type":"gval","data":{"col":"c","key":"k"}}',
])("%s is left to the schema", (frame) => {
  expect(byScanner(frame)).toBeUndefined();
});

test("an id is what it is where the room that a large frame took is given up with its frame", () => {
  const own = new FrameScanner();
  const frameOf = (id: string, key: string): string =>
    JSON.stringify({ id, type: "gval", data: JSON.stringify({ col: "c", key }) });
  own.scan(frameOf("large", "k".repeat(5 * 1024 * 1024)), batch);
  for (let frame = 0; frame < 2000; frame++) {
    expect(SCANNED_TYPES[own.scan(frameOf(`é${frame}`, "k"), batch)]).toBe("gval");
    expect([own.idText, own.id.toString()]).toEqual([`"é${frame}"`, `"é${frame}"`]);
  }
});
