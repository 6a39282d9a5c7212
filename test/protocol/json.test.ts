/**
 * Numbers with all their digits, and what is nested deep.
 */
import { expect, test } from "bun:test";
import { parseJson } from "../../src/protocol/json.ts";
import { checkRequest } from "../../src/protocol/messages.ts";
import { readTimestamp, timestampToText } from "../../src/protocol/timestamp.ts";

test.each([
  ["1747604423123456789", "1747604423123456789"],
  ["1.747604423123e18", "1747604423123000000"],
  ["1.747604423123456789e18", "1747604423123456789"],
  ["12345678901234e5", "1234567890123400000"],
  ["922337203685477E4", "9223372036854770000"],
  ["9007199254740993", "9007199254740993"],
  ["9.3e18", undefined],
  ["9.2e18", "9200000000000000000"],
  ["12345678901234567e-1", "1234567890123456"],
  ["1e3", "1000"],
  ["-0", "0"],
  ["1.9", "1"],
])("the time %s is %s", (source, expected) => {
  const timestamp = readTimestamp((parseJson(`{"ts":${source},"x":"3e12"}`) as { ts: unknown }).ts);
  expect(timestamp && timestampToText(timestamp)).toBe(expected);
});

test.each([
  ["1.50e1", "15"],
  ["[1e20,2E+20]", "[1e20,2E+20]"],
  ["12345678.5e1", "123456785"],
  ["1e999", "1e999"],
  ["0.12345678901234567890", "0.12345678901234567890"],
  ["1.25e-10", "1.25e-10"],
])("the JSON %s is kept as %s", (source, expected) => {
  expect(JSON.stringify(parseJson(source))).toBe(expected);
});

test("data may be nested to a depth, in arrays, in objects and behind millions of values", () => {
  const nested = (depth: number): unknown => {
    let value: unknown = 1;
    for (let level = 0; level < depth; level++) value = level % 2 === 0 ? [0, value] : { a: 0, b: value };
    return value;
  };
  const insert = (data: unknown) => checkRequest("ins", [{ ts: 1, col: "c", doc: "d", data }]);
  let deepest = 1;
  while ("request" in insert(nested(deepest))) deepest++;
  expect(deepest).toBeGreaterThan(10);
  expect(insert([{}, "x", nested(deepest)])).toHaveProperty("problem");
  expect(insert([{}, "x", nested(deepest - 2)])).toHaveProperty("request");
  expect(insert(Array.from({ length: 1_000_000 }, () => ({})))).toHaveProperty("request");
});
