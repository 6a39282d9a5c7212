/**
 * The scanner against the schema: whatever it takes the schema takes too, and both leave the same batch.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { rawNumber } from "../../src/protocol/json.ts";
import { checkFrame, mangled } from "./frame_check.ts";

const reading = { ts: 1_747_604_423, doc: "device-1", data: '{"t":1}', col: "sensors" };
const frameOf = (records: unknown, indent?: number): string =>
  JSON.stringify(
    { id: "m1", type: "ins", data: JSON.stringify(records, undefined, indent) },
    undefined,
    indent,
  );

test.each<[string, string]>([
  ["one record", frameOf([reading])],
  ["no records", frameOf([])],
  ["many records", frameOf(Array.from({ length: 3000 }, (_, ts) => ({ ...reading, ts })))],
  [
    "blanks between everything",
    frameOf([reading, reading]).replaceAll(",\\", " , \\").replaceAll(":", " : "),
  ],
  ["fields in any order, timestamp first", frameOf([{ col: "c", ts: -5, data: '"\\\n', doc: "d" }])],
  ["fields in any order", frameOf([{ col: "c", data: "", ts: -5, doc: "d" }])],
  [
    "fields by name, with timestamps of any length",
    frameOf(
      [7, -7, 1_747_604_423, 1, 1_747_604_423_123_456, 0, -1_747_604_423, 12_345].map((ts) => ({
        col: "c",
        data: `{"ts":${ts}}`,
        doc: "d",
        ts,
      })),
    ),
  ],
  [
    "fractions, which are cut off",
    frameOf(
      ["1.9", "-1.5", "0.25", "1747604423.9999999", "1747604423123456789.5", "0.0"].map((ts) => ({
        ...reading,
        ts: rawNumber(ts),
      })),
    ),
  ],
  [
    "timestamps as text",
    frameOf(["5", "-5", "0", "9007199254740993", "1747604423123456789"].map((ts) => ({ ...reading, ts }))),
  ],
  [
    "the same, as JSON values",
    `{"id":"1","type":"ins","data":[{"data":"","ts":-1.5,"doc":"d","col":"c"},{"data":"","ts":"9007199254740993","doc":"d","col":"c"}]}`,
  ],
  ["white space in both JSONs", frameOf([reading, reading], 2)],
  [
    "message fields in any order",
    `{"data":"[{\\"ts\\":1,\\"doc\\":\\"d\\",\\"data\\":\\"\\",\\"col\\":\\"c\\"}]","type":"ins","id":"é"}`,
  ],
  ["data as a JSON value", JSON.stringify({ id: "a", type: "ins", data: [reading, reading] })],
  [
    "nanoseconds",
    frameOf(
      [1747604423123456789n, -1747604423123456789n, 2n ** 63n - 1n, 1n - 2n ** 63n].map((ts) => ({
        ...reading,
        ts: rawNumber(String(ts)),
      })),
    ),
  ],
  ["any text in data", frameOf([{ ...reading, data: 'tab\t nul\u0000 "quoted" \\ / é 😀 \u2028 \ud800' }])],
  [
    "escaped letters and slashes, which are stored as themselves",
    '{"id":"1","type":"ins","data":[{"ts":1,"doc":"d","data":"\\u00e9\\/\\ud83d\\ude00\\u0041\\u0001","col":"c"}]}',
  ],
  [
    "letters beyond ASCII as escapes in the inner text",
    frameOf([
      { ...reading, data: '{"t":"°C","s":"größer 😀 \u2028 \u007f \uffff \u0800"}' },
      { ...reading, data: "😀é" },
    ]).replace(/[\u007f-\uffff]/g, (unit) => `\\\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`),
  ],
  [
    "escapes undone in the outer text",
    '{"id":"1","type":"ins","data":"[{\\"ts\\":1,\\"doc\\":\\"\\u00e9\\ud83d\\ude00\\u0041\\",\\"data\\":\\"\\",\\"col\\":\\"c\\"}]"}',
  ],
  [
    "fields that no record has",
    frameOf([
      { unit: "°C", ...reading, tags: ["a", { b: null }], "": 0, ts2: -1.25, datum: true, é: '\t"' },
      { t: {}, ...reading, "data ": [], __proto: 1, x: "x".repeat(3000) },
    ]),
  ],
  [
    "the same twice, around data that is a JSON value, and with names of their own kind",
    '{"id":"1","type":"ins","data":[{"v":1,"ts":1,"v":"2","data":{"a":[1.50,"b"]},"v":{"data":"c"},"__proto__":{"ts":2},"1":3,"doc":"d","col":"c", "toString" : [ ] }]}',
  ],
])("takes %s", (_, frame) => {
  expect(checkFrame(frame)).toBe(true);
});

test.each<[string, string]>([
  ["a timestamp with an exponent", frameOf([{ ...reading, ts: rawNumber("1.5e3") }])],
  ["a timestamp that ends with its point", frameOf([reading]).replace("604423", "604423.")],
  ["a fraction below zero", frameOf([{ ...reading, ts: -0.5 }])],
  ["a fraction with a sign of its own", frameOf([reading]).replace("604423", "604423.-5")],
  ["a fraction as text", frameOf([{ ...reading, ts: "1.5" }])],
  ["leading zeros as text", frameOf([{ ...reading, ts: "007" }])],
  ["no digits as text", frameOf([{ ...reading, ts: "" }])],
  ["text that only begins with digits", frameOf([{ ...reading, ts: "5 " }])],
  ["many digits behind data", frameOf([{ data: "", ts: rawNumber("1".repeat(400)), doc: "d", col: "c" }])],
  ["minus zero", frameOf([{ ...reading, ts: rawNumber("-0") }])],
  ["a leading zero", frameOf([{ ...reading, ts: 1 }]).replace(":1,", ":01,")],
  ["2^63", frameOf([{ ...reading, ts: rawNumber("9223372036854775808") }])],
  ["-2^63", frameOf([{ ...reading, ts: rawNumber("-9223372036854775808") }])],
  ["a missing field", frameOf([{ ts: 1, doc: "d", data: "" }])],
  ["an empty name", frameOf([{ ...reading, doc: "" }])],
  ["a field twice", frameOf([reading]).replace("{\\", '{\\"col\\":\\"x\\",\\')],
  ["a key without a colon", '{"id" "1","type":"ins","data":[]}'],
  ["a trailing comma", '{"id":"1","type":"ins","data":[],}'],
  ["text behind the message", `${frameOf([reading])}x`],
  ["text behind the records", '{"id":"1","type":"ins","data":"[] x"}'],
  [
    "a line break inside a string",
    '{"id":"1","type":"ins","data":"[{\\"ts\\":1,\\"doc\\":\\"d\\",\\"data\\":\\"a\\nb\\",\\"col\\":\\"c\\"}]"}',
  ],
  ["another type", '{"id":"ins","type":"qry","data":[]}'],
  ["a field that no record has, with escapes in its name", frameOf([{ ...reading, 'a"b': 1 }])],
  ["one of its own fields, with escapes in its name", frameOf([reading]).replace('\\"ts', '\\"t\\\\u0073')],
  ["a value that no JSON has", frameOf([{ v: 1, ...reading }]).replace(":1,", ":01,")],
  ["a field without a value", frameOf([{ v: 1, ...reading }]).replace(":1,", ",")],
  ["an empty id", '{"id":"","type":"ins","data":[]}'],
  ["a cut frame", frameOf([reading]).slice(0, -9)],
])("leaves %s to the schema", (_, frame) => {
  expect(checkFrame(frame)).toBe(false);
});

const text = fc.string({ unit: "binary", maxLength: 12 });
const looseRecord = fc.record(
  {
    ts: fc.oneof(
      fc.integer(),
      fc.bigInt({ min: -(2n ** 63n) - 2n, max: 2n ** 63n + 2n }).map((ts) => rawNumber(String(ts))),
      fc.bigInt({ min: -(2n ** 63n) - 2n, max: 2n ** 63n + 2n }).map(String),
      fc.double({ min: -1e19, max: 1e19 }).map((ts) => rawNumber(JSON.stringify(ts))),
      fc.constantFrom<unknown>(1.9, "12", "x", null, 1e3, 1e30, "-0", "1.5", -0.5),
    ),
    doc: fc.oneof(fc.constantFrom("d", "é", "", 'a"b'), text),
    data: fc.oneof(text, fc.constantFrom<unknown>("", "{}", { a: 1 }, null, 7, '{"s":"\\u00e9"}')),
    col: fc.oneof(fc.constantFrom("c", "c2"), text),
  },
  { noNullPrototype: true },
);
const timestamp = fc.oneof(
  fc.integer(),
  fc.maxSafeInteger(),
  fc.maxSafeInteger().map(String),
  fc.double({ min: -1e12, max: 1e12 }).map((ts) => rawNumber(JSON.stringify(ts))),
);
const plainRecord = fc.record(
  { ts: timestamp, doc: fc.constantFrom("d", "é"), data: text, col: fc.constantFrom("c", "😀") },
  { noNullPrototype: true },
);

/** The same with fields that no record has. */
function withMore(record: fc.Arbitrary<object>): fc.Arbitrary<object> {
  const name = fc.constantFrom("v", "ts ", "dat", "é", "1", 'a"', "constructor");
  const value = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom<unknown>(1, -2.5, "x", null, true, ["a", {}], { data: "b" }) },
    { weight: 1, arbitrary: fc.jsonValue() },
  );
  const more = fc.dictionary(name, value, { maxKeys: 2, noNullPrototype: true });
  return fc.tuple(record, more).map(([fields, others]) => ({ ...fields, ...others }));
}

/** The same with its fields in any order. */
function shuffled(record: fc.Arbitrary<object>): fc.Arbitrary<object> {
  return record.chain((fields) => {
    const entries = Object.entries(fields);
    return fc
      .shuffledSubarray(entries, { minLength: entries.length })
      .map((inOrder) => Object.fromEntries(inOrder));
  });
}

/** A frame, and then a few of its characters changed, removed or doubled. */
const mutatedFrame = fc
  .tuple(
    fc.array(
      shuffled(
        fc.oneof(
          { weight: 6, arbitrary: plainRecord },
          { weight: 3, arbitrary: withMore(plainRecord) },
          { weight: 1, arbitrary: looseRecord },
          { weight: 1, arbitrary: withMore(looseRecord) },
        ),
      ),
      {
        maxLength: 4,
      },
    ),
    fc.boolean(),
    fc.constantFrom(undefined, 1, "\t"),
    fc.array(
      fc.tuple(
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
          "]",
          "-",
          "e",
          "é",
          "\u0001",
          "\\u00e9",
          "\\\\u00E9",
          "\\\\u0022",
          "\\\\u005c",
          "\\\\ud83d",
          "\\\\ud83d\\\\ude00",
          "\n",
        ),
      ),
      { maxLength: 2 },
    ),
  )
  .map(([records, isText, indent, mutations]) => {
    const payload = isText ? JSON.stringify(records, undefined, indent) : records;
    return mangled(JSON.stringify({ id: "x", type: "ins", data: payload }, undefined, indent), mutations);
  });

test("generated frames, whole and mangled, mean the same to scanner and schema", () => {
  let taken = 0;
  fc.assert(
    fc.property(mutatedFrame, (frame) => {
      if (checkFrame(frame)) taken++;
    }),
    { numRuns: 20_000 },
  );
  expect(taken).toBeGreaterThan(3500);
}, 60_000);
