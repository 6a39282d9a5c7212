/**
 * Patterns as literals, against the automaton.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { RE2JS } from "re2js";
import { literalsOf } from "../../src/engine/finite_pattern.ts";

const of = (source: string, flags = ""): readonly string[] | undefined => literalsOf({ source, flags });

test.each([
  ['state":"(landed|parked)', ['state":"landed', 'state":"parked']],
  ["error|warn(ing)?", ["error", "warning", "warn"]],
  ["v[1-3a]\\.0", ["v1.0", "v2.0", "v3.0", "va.0"]],
  [".*alarm.*", ["alarm"]],
  ["(?:a|b)c?", ["ac", "a", "bc", "b"]],
  ["a|a", ["a"]],
  ["level\\/[45]", ["level/4", "level/5"]],
])("/%s/ is %p", (source, literals) => {
  expect(of(source)).toEqual(literals);
});

test.each([
  "a*",
  "a+",
  "a{2}",
  "^a",
  "a$",
  "a.b",
  "\\d",
  "\\bword",
  "[^a]",
  "[a-z][a-z]",
  "a??",
  "(?i)a",
  "(?P<n>a)",
  "é",
  "a|",
  "()",
  "a?",
  "",
  ".*",
  "x\\.*",
  "[[:alpha:]]",
  "[]a]",
  "a]",
  "a)",
  "(a",
  "\\x41",
  "[z-a]",
  "[a-]",
  "[\\w]",
])("/%s/ is left to the automaton", (source) => {
  expect(of(source)).toBeUndefined();
});

test("case is left to the automaton", () => {
  expect(of("a", "i")).toBeUndefined();
  expect(of("a", "s")).toEqual(["a"]);
});

const piece = fc.oneof(
  fc.constantFrom(
    "a",
    "b",
    "ab",
    '"',
    "-",
    " ",
    "\\.",
    "\\/",
    "\\?",
    ".*",
    "?",
    "[ab]",
    "[a-c]",
    "[.?]",
    "[b-]",
    "|",
    "(a|b)",
    "(?:c|)",
    "(ab?)",
  ),
  fc.string({ unit: fc.constantFrom(..."ab.*?()[]|\\-"), maxLength: 3 }),
);
const source = fc.array(piece, { minLength: 1, maxLength: 6 }).map((pieces) => pieces.join(""));
const text = fc.string({ unit: fc.constantFrom(...'abc.?-"/\n '), maxLength: 12 });

test("a text matches exactly when it contains one of the literals", () => {
  let understood = 0;
  fc.assert(
    fc.property(
      source,
      fc.constantFrom("", "s", "m"),
      fc.array(text, { maxLength: 8 }),
      (pattern, flags, texts) => {
        const literals = of(pattern, flags);
        if (literals === undefined) return;
        understood++;
        const bits = flags === "s" ? RE2JS.DOTALL : flags === "m" ? RE2JS.MULTILINE : 0;
        const automaton = RE2JS.compile(pattern, bits);
        for (const each of [...texts, ...literals]) {
          expect(literals.some((literal) => each.includes(literal))).toBe(automaton.test(each));
        }
      },
    ),
    { numRuns: 20_000 },
  );
  expect(understood).toBeGreaterThan(1000);
}, 60_000);
