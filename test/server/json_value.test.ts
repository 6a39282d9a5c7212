/**
 * Records whose data is a JSON value: what is stored is what the schema makes of it, or the schema is left to do so.
 */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { checkFrame, mangled } from "./frame_check.ts";

/** Frames with that value, in a message's text and as JSON, with and without blanks. */
function framesOf(value: string): string[] {
  const records = `[{"ts":1,"doc":"d","data":${value},"col":"c"},{"col":"c","data":${value},"doc":"d","ts":2}]`;
  const spaced = `[ { "ts": 1, "doc": "d", "data": ${value}, "col": "c" } ]`;
  return [records, spaced].flatMap((each) => [
    `{"id":"1","type":"ins","data":${JSON.stringify(each)}}`,
    `{"id":"1","type":"ins","data":${each}}`,
  ]);
}

const DEEP = 32;

test.each([
  "{}",
  "[]",
  "true",
  "false",
  "null",
  "0",
  "-1",
  "21.5",
  "-0.5",
  "0.000001",
  "123456789012345",
  "0.123456789012345",
  // With so many digits a number is kept as it came.
  "1234567890123456789",
  "0.1234567890123456789",
  "1.00000000000000000",
  "1.50000000000000",
  "0.00000000000000001",
  // As Python writes them.
  "20.0",
  "1.50",
  "1.5000000000000",
  "-100.00",
  "0.0",
  '{"temperature":20.5,"humidity":45,"state":"flying","ok":true,"none":null}',
  '{ "a" : [ 1 , 2.0 , { "b" : { } } , [ ] ] }',
  '{"a":{"a":1,"b":{"a":1}},"b":{"a":2}}',
  '{"é":"größer 😀 \u2028","":"","with space":" a  b "}',
  String.raw`{"quo\"te":"\"\\\n\t\b\f\r","back\\slash":"\\\\"}`,
  '{"-1":1,"a1":2,"_":3,"__proto":4,"constructor":5}',
  "[".repeat(DEEP) + "]".repeat(DEEP),
])("%s is taken", (value) => {
  for (const frame of framesOf(value)) expect([frame, checkFrame(frame)]).toEqual([frame, true]);
});

test.each([
  "",
  "-",
  "+1",
  "01",
  "1.",
  ".5",
  "-0",
  "-0.0",
  "0.0000001",
  "-0.00000012",
  "1e3",
  "1E-3",
  "tru",
  "nulL",
  "{",
  "[1",
  "[1,]",
  '{"a"}',
  '{"a":}',
  '{"a":1,}',
  '{"a":1,"a":2}',
  '{"b":1,"a":{"c":1},"b":2}',
  '{"state":1,"t":2,"state":3}',
  '{"abcd":1,"t":2,"abcd":3}',
  '{"abc":1,"ab":2,"abc":3}',
  '{"temperature one":1,"temperature two":2,"temperature one":3}',
  '{"1":1}',
  '{"a":1,"07":2}',
  '{"__proto__":1}',
  "{a:1}",
  '["a\\/b"]',
  '["\\u00e9"]',
  '["\\u0000"]',
  '["\\x"]',
  '["a\nb"]',
  '["a]',
  "[1 2]",
  "[1}",
  "[".repeat(DEEP + 1) + "]".repeat(DEEP + 1),
])("%s is left to the schema", (value) => {
  for (const frame of framesOf(value)) expect([frame, checkFrame(frame)]).toEqual([frame, false]);
});

test.each([
  ["a line break behind a backslash", String.raw`[\"a\\\nb\"]`],
  ["a quote that ends the text", String.raw`[\"a\\"b\"]`],
  ["a quote of the text itself", String.raw`["a\"]`],
])("%s in a text is left to the schema", (_, value) => {
  const frame = String.raw`{"id":"1","type":"ins","data":"[{\"ts\":1,\"doc\":\"d\",\"data\":${value},\"col\":\"c\"}]"}`;
  expect(checkFrame(frame)).toBe(false);
});

describe("what would take long is left to the schema", () => {
  const objectOf = (names: readonly string[]): string =>
    JSON.stringify(Object.fromEntries(names.map((name) => [name, 1])));
  const checkAll = (value: string): boolean[] => framesOf(value).map((frame) => checkFrame(frame));
  const taken = [true, true, true, true];
  const left = taken.map(() => false);

  test("objects of many members", () => {
    const names = Array.from({ length: 65 }, (_, at) => `m${at}`);
    expect(checkAll(objectOf(names.slice(1)))).toEqual(taken);
    expect(checkAll(objectOf(names))).toEqual(left);
    expect(checkAll(objectOf(names.slice(1).map((name) => `temperature of ${name} in degrees`)))).toEqual(
      left,
    );
    expect(checkAll(objectOf(names.slice(1).map((name) => `temperature ${name}`)))).toEqual(taken);
  });

  test("long names", () => {
    expect(checkAll(objectOf(["n".repeat(64)]))).toEqual(taken);
    expect(checkAll(objectOf(["n".repeat(65)]))).toEqual(left);
  });

  test("many names that differ in their middle", () => {
    const names = Array.from({ length: 24 }, (_, at) => `name ${String.fromCharCode(97 + at)} and more`);
    expect(checkAll(objectOf(names.slice(1)))).toEqual(taken);
    expect(checkAll(objectOf(names))).toEqual(left);
    // Of each value it is counted anew.
    expect(checkAll(`[${objectOf(names.slice(12))},${objectOf(names.slice(12))}]`)).toEqual(taken);
  });
});

/** Numbers as some client may write them, which is not always as JavaScript does. */
const numberText = fc
  .tuple(
    fc.constantFrom("", "-"),
    fc.oneof(fc.constantFrom("0", "00", "1", "12"), fc.bigInt({ min: 0n, max: 10n ** 24n }).map(String)),
    fc.oneof(
      fc.constantFrom("", "", ".0", ".50", ".000001", ".0000001", "."),
      fc.nat().map((n) => `.${n}`),
    ),
    fc.constantFrom("", "", "", "", "", "", "", "e1", "E-7"),
  )
  .map((parts) => parts.join(""));
const text = fc.string({ unit: "binary", maxLength: 5 }).map((each) => JSON.stringify(each));
const name = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.constantFrom("a", "b", "t", "state", "é", "").map((each) => JSON.stringify(each)),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom("1", "__proto__", 'q"', "\\", "\n", "7x").map((each) => JSON.stringify(each)),
  },
);
/** JSON with anything that may make its compact text another one. */
const { value } = fc.letrec<{ value: string; leaf: string; array: string; object: string }>((tie) => ({
  value: fc.oneof({ maxDepth: 4, depthSize: "small" }, tie("leaf"), tie("array"), tie("object")),
  leaf: fc.oneof(
    {
      weight: 3,
      arbitrary: fc.oneof(fc.integer(), fc.double({ min: -1e15, max: 1e15, noNaN: true })).map(String),
    },
    { weight: 1, arbitrary: numberText },
    { weight: 3, arbitrary: text },
    { weight: 1, arbitrary: fc.constantFrom("true", "false", "null", '"\\/"', '"\\u00e9"', '"\\u000A"') },
  ),
  array: fc.array(tie("value"), { maxLength: 3 }).map((each) => `[${each.join(", ")}]`),
  object: fc
    .array(fc.tuple(name, tie("value")), { maxLength: 4 })
    .map((members) => `{${members.map(([key, each]) => `${key}:${each}`).join(",")}}`),
}));
const mutation = fc.tuple(
  fc.nat(),
  fc.constantFrom("", '"', "\\", "0", " ", ",", "{", "}", "]", "-", ".", "e", "\n"),
);

test("generated values, whole and mangled, mean the same to scanner and schema", () => {
  let taken = 0;
  fc.assert(
    fc.property(value, fc.array(mutation, { maxLength: 1 }), fc.nat(3), (json, mutations, form) => {
      if (checkFrame(mangled(framesOf(json)[form] as string, mutations))) taken++;
    }),
    { numRuns: 20_000 },
  );
  expect(taken).toBeGreaterThan(3000);
}, 60_000);
