import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { formatTime, readTime, TIME_UNITS } from "../../src/cli/time_value.ts";

const NOW = { nowMs: 1_700_000_000_123.9 };

describe("readTime()", () => {
  test.each([
    ["0", "s", 0n],
    ["-5", "s", -5n],
    ["+5", "ms", 5n],
    ["1747604423123456789", "s", 1747604423123456789n],
    ["-9223372036854775808", "s", -(2n ** 63n)],
    ["now", "s", 1_700_000_000n],
    ["NOW", "ms", 1_700_000_000_123n],
    ["now", "us", 1_700_000_000_123_000n],
    ["now", "ns", 1_700_000_000_123_000_000n],
    ["-1h", "s", 1_700_000_000n - 3600n],
    ["now-1h", "ms", 1_700_000_000_123n - 3_600_000n],
    ["+2m", "s", 1_700_000_120n],
    ["-1d", "s", 1_700_000_000n - 86_400n],
    ["-2w", "s", 1_700_000_000n - 14n * 86_400n],
    ["-500ms", "ms", 1_699_999_999_623n],
    ["-1500us", "us", 1_700_000_000_121_500n],
    ["-1ns", "ns", 1_700_000_000_122_999_999n],
    ["2026-03-01", "s", 1772323200n],
    ["2026-03-01T12:30Z", "s", 1772368200n],
    ["2026-03-01 12:30:15", "s", 1772368215n],
    ["2026-03-01T12:30:15+02:00", "s", 1772361015n],
    ["2026-03-01T12:30:15-0530", "s", 1772388015n],
    ["2026-03-01T12:30:15+02", "s", 1772361015n],
    ["2026-03-01t12:30:15.123456789z", "ns", 1772368215123456789n],
    ["2026-03-01T12:30:15,5Z", "ms", 1772368215500n],
    ["2026-03-01T12:30:15.9999999999Z", "ns", 1772368215999999999n],
    ["1969-12-31T23:59:59.5Z", "s", -1n],
    ["0001-01-01", "s", -62135596800n],
    ["9999-12-31", "s", 253402214400n],
  ] as const)("%p in %s is %p", (text, unit, expected) => {
    expect(readTime(text, "--from", { ...NOW, unit })).toBe(expected);
  });

  test.each([
    "",
    " ",
    "1.5",
    "1e9",
    "yesterday",
    "1h",
    "-1y",
    "2026-02-30",
    "2026-13-01",
    "2026-03-01T25:00Z",
    "12:30",
  ])("%p is no time", (text) => {
    expect(() => readTime(text, "--from", { ...NOW, unit: "s" })).toThrow(
      `--from: expected a time such as 1700000000, 2026-03-01T12:30:00Z, now or -1h, got ${JSON.stringify(text)}`,
    );
  });

  test.each([
    ["9223372036854775808", "s"],
    ["9999-12-31", "ns"],
    ["-999999999999999w", "ns"],
  ] as const)("%p in %s is beyond 64 bits", (text, unit) => {
    expect(() => readTime(text, "--to", { ...NOW, unit })).toThrow(`--to: expected 64 bits, got "${text}"`);
  });
});

describe("formatTime()", () => {
  test("is read again as the same time, in each unit", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...TIME_UNITS),
        fc.bigInt({ min: -(2n ** 45n), max: 2n ** 45n }),
        (unit, ts) => {
          const text = formatTime(ts, unit);
          // Years of five digits or before the first one are written otherwise, and are no input.
          fc.pre(/^[0-9]{4}-/.test(text));
          expect(readTime(text, "x", { ...NOW, unit })).toBe(ts);
        },
      ),
    );
  });

  test("has the digits of its unit, and is a number where the calendar ends", () => {
    expect(formatTime(1772368215, "s")).toBe("2026-03-01T12:30:15Z");
    expect(formatTime(-1, "ms")).toBe("1969-12-31T23:59:59.999Z");
    expect(formatTime(1772368215123456n, "us")).toBe("2026-03-01T12:30:15.123456Z");
    expect(formatTime(1772368215123456789n, "ns")).toBe("2026-03-01T12:30:15.123456789Z");
    expect(formatTime(2n ** 63n - 1n, "s")).toBe("9223372036854775807");
  });
});
