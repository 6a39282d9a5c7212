/**
 * File names for names of any kind.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { decodeFileName, encodeFileName } from "../../src/storage/file_name.ts";

const anyName = fc.oneof(
  fc.string({ unit: "binary", minLength: 1, maxLength: 40 }),
  fc.string({
    unit: fc.constantFrom("a", "A", ".", "/", "\\", "%", "~", "u", "\ud800", "😀", " ", "\u0000", "C", "on"),
    minLength: 1,
    maxLength: 30,
  }),
);

test("every name comes back from its file name", () => {
  fc.assert(
    fc.property(anyName, (name) => {
      const fileName = encodeFileName(name);
      if (!fileName.includes("~")) expect(decodeFileName(fileName)).toBe(name);
    }),
    { numRuns: 5000 },
  );
});

test("file names are safe everywhere: no case, no separators, no more than 200 characters", () => {
  fc.assert(
    fc.property(
      fc.oneof(anyName, fc.string({ unit: "grapheme", minLength: 200, maxLength: 4096 })),
      (name) => {
        expect(encodeFileName(name)).toMatch(/^[a-z0-9_%~-]{1,200}$/);
      },
    ),
    { numRuns: 2000 },
  );
});

test.each([
  "../x",
  "a/b",
  "A",
  "a",
  "con",
  "CON",
  "aux",
  "com1",
  ".",
  "..",
  "é",
  "\ud800",
  "x".repeat(1000),
  "x".repeat(1001),
  " ",
  "%41",
  "~",
])("%j has a file name of its own", (name) => {
  const others = ["../x", "a/b", "A", "a", "con", "CON", "x".repeat(1000), "x".repeat(1001), "%41"].filter(
    (other) => other !== name,
  );
  expect(others.map(encodeFileName)).not.toContain(encodeFileName(name));
  expect(encodeFileName(name)).not.toMatch(/^(con|aux|com1|\.+)$/);
});

test("a file name that no name has decodes to nothing", () => {
  expect(decodeFileName("A")).toBeUndefined();
  expect(decodeFileName("%61")).toBeUndefined();
  expect(decodeFileName("a.b")).toBeUndefined();
});
