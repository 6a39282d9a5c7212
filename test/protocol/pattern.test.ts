import { expect, test } from "bun:test";
import fc from "fast-check";
import { readPattern } from "../../src/protocol/pattern.ts";

/** The obvious version, for texts of usual length: it gives up on millions of units. */
const PATTERN = /^\/((?:[^/\\]|\\[\s\S])*)\/([ims]*)$/;

test("a text is told from a pattern as one expression would tell", () => {
  const unit = fc.constantFrom("/", "\\", "a", "i", "m", "s", "\n", "é", "\ud800");
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 9 }), fc.boolean(), (rest, isSlashed) => {
      const text = isSlashed ? `/${rest}` : rest;
      const match = PATTERN.exec(text);
      expect(readPattern(text)).toEqual(
        match === null ? undefined : { source: match[1] as string, flags: match[2] as string },
      );
    }),
    { numRuns: 5000 },
  );
});

test("a long pattern is one, too", () => {
  const source = "a\\/".repeat(1_000_000);
  expect(readPattern(`/${source}/i`)).toEqual({ source, flags: "i" });
  expect(readPattern(`/${source}`)).toBeUndefined();
});
