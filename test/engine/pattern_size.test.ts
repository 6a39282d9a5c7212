/**
 * How large patterns are said to be, against what compiling them makes.
 */
import { expect, spyOn, test } from "bun:test";
import fc from "fast-check";
import { RE2JS } from "re2js";
import { compilePattern, PatternCache } from "../../src/engine/pattern_cache.ts";
import { expandedSize } from "../../src/engine/pattern_size.ts";

test.each([
  ["abc", 3],
  ["a{100}", 100],
  ["(ab|c){10}", 30],
  ["((a{10}){10}){10}", 1000],
  ["a{2,5}b{3,}c{0}", 8],
  ["[a-z]{20}", 20],
  ["[^]{9}a]{20}", 20],
  ["[[:alpha:]{9}]{20}", 20],
  ["\\x{1000}\\x{10FFFF}{3}", 4],
  ["\\{1000}", 2 + "000}".length],
  ["\\pL{90}", 900],
  ["\\p{Greek}{9}", 90],
  ["[\\p{L}\\d]{2}", 22],
  ["\\Qa{9}\\E{2}", 16],
  ["(?i:ab){3}(?P<name>c){2}(?<n>d)(?s)", 10],
  ["(()){10}", 10],
  ["a{x}", 4],
  ["(((((", 0],
  ["a)))){1000}", 1000],
])("%s is of size %d", (source, size) => {
  expect(expandedSize(source)).toBe(size);
});

test("what is compiled is never much larger than what was said, so that nothing takes long to refuse", () => {
  const atom = fc.constantFrom("a", "b", ".", "[a-c]", "\\d", "\\w", "é", "x?", "\\x{100}", "(?i:k)", "^");
  const tree = fc.letrec((tie) => ({
    node: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      atom,
      fc.tuple(tie("node"), tie("node")).map(([a, b]) => `${a}${b}`),
      fc.tuple(tie("node"), tie("node")).map(([a, b]) => `(${a}|${b})`),
      fc.tuple(tie("node"), fc.integer({ min: 0, max: 12 })).map(([a, n]) => `(?:${a}){${n}}`),
      fc.tuple(tie("node"), fc.integer({ min: 0, max: 6 })).map(([a, n]) => `(?:${a}){${n},${n + 3}}`),
      tie("node").map((a) => `(${a})*`),
    ),
  })).node as fc.Arbitrary<string>;
  fc.assert(
    fc.property(tree, (source) => {
      const size = expandedSize(source);
      if (size > 20_000) return;
      let made: number;
      try {
        made = RE2JS.compile(source).programSize();
      } catch {
        return;
      }
      // Groups and alternatives are instructions of their own.
      expect(made).toBeLessThanOrEqual(20 + source.length * 2 + size * 12);
    }),
    { numRuns: 300 },
  );
});

test("what would be too large is refused before it is compiled, however it is written", () => {
  const compile = spyOn(RE2JS, "compile");
  try {
    for (const source of ["x{1000}".repeat(500), "(a{30}){1000}{9}", "\\pL{90}".repeat(90)]) {
      expect(() => compilePattern({ source, flags: "i" })).toThrow("The pattern is too large");
    }
    expect(compile).not.toHaveBeenCalled();
    const cache = new PatternCache();
    const pattern = { source: "(a{10}){100}".repeat(12), flags: "" };
    for (let time = 0; time < 3; time++) expect(() => cache.get(pattern)).toThrow("The pattern is too large");
    expect(compile).toHaveBeenCalledTimes(1);
  } finally {
    compile.mockRestore();
  }
});
