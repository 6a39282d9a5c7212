/**
 * The requests that are read by hand against the schema: whatever is taken means the same to both.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { rawNumber } from "../../src/protocol/json.ts";
import { checkRequest, type MessageType } from "../../src/protocol/messages.ts";
import { readFast } from "../../src/server/fast_request.ts";

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
  { weight: 8, arbitrary: fc.string({ unit: "binary", maxLength: 5 }) },
  { weight: 1, arbitrary: odd },
);
const time = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.oneof(fc.integer(), fc.maxSafeInteger(), fc.double({ noNaN: true, min: -1e19, max: 1e19 })),
  },
  { weight: 1, arbitrary: odd },
);
const count = fc.oneof({ weight: 8, arbitrary: fc.integer() }, { weight: 1, arbitrary: odd });
const flag = fc.oneof({ weight: 8, arbitrary: fc.boolean() }, { weight: 1, arbitrary: odd });

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

test.each(REQUESTS)("%s means the same to the schema", (type, request) => {
  let taken = 0;
  fc.assert(
    fc.property(request, (data) => {
      const fast = readFast(type, data);
      if (fast === undefined) return;
      taken++;
      expect<unknown>({ request: fast }).toEqual(checkRequest(type, data));
    }),
    { numRuns: 5000 },
  );
  expect(taken).toBeGreaterThan(300);
});

test.each<[MessageType, unknown]>([
  ["qry", { col: "c", ts: 9e9, doc: "", from: 0 }],
  ["qry", { col: "c", ts: -1.5 }],
  ["qdoc", { col: "c", doc: "d", from: 0, to: 9e9, limit: 100, reverse: true }],
  ["qdoc", { col: "c", doc: "d", where: "x", filter: "/y/" }],
  ["sval", { col: "c", key: "k", value: "" }],
  ["gval", { col: "c", key: "k" }],
  ["gvals", { col: "c" }],
])("%s in its plain form is taken", (type, data) => {
  expect<unknown>({ request: readFast(type, data) }).toEqual(checkRequest(type, data));
});

test("what has no fast path, and what is no object, is left to the schema", () => {
  expect(readFast("ddoc", { doc: "d" })).toBeUndefined();
  for (const data of [undefined, null, 7, "text", []]) expect(readFast("qry", data)).toBeUndefined();
});
