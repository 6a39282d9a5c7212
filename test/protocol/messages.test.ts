/**
 * Limits of the schemas themselves.
 */
import { expect, test } from "bun:test";
import { DATA_DEPTH_MAX } from "../../src/protocol/limits.ts";
import { checkRequest } from "../../src/protocol/messages.ts";

const nested = (levels: number): unknown => JSON.parse("[".repeat(levels) + "]".repeat(levels));
const insert = (data: unknown): unknown => [{ ts: 1, doc: "d", col: "c", data }];

test("data is taken up to the limit of nesting, and refused beyond it by its name", () => {
  expect(checkRequest("ins", insert(nested(DATA_DEPTH_MAX)))).toHaveProperty("request");
  const refused = { problem: "ins[0].data: expected at most 512 levels of nesting, got an array of 1" };
  expect<unknown>(checkRequest("ins", insert(nested(DATA_DEPTH_MAX + 1)))).toEqual(refused);
  expect<unknown>(checkRequest("ins", insert(nested(50_000)))).toEqual(refused);
});

test("the first bad element of an array is named, whatever follows", () => {
  expect<unknown>(checkRequest("ins", [...(insert("") as unknown[]), 1, 2])).toEqual({
    problem: "ins[1]: expected an object, got 1",
  });
});
