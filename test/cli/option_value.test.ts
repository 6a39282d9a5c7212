import { describe, expect, test } from "bun:test";
import { describeSize, integerIn, oneOf, secondsIn, sizeIn } from "../../src/cli/option_value.ts";

const size = sizeIn({ min: 1, max: 2 ** 40 });
const seconds = secondsIn({ min: 0.01, max: 60 });
const port = integerIn({ min: 0, max: 65_535 });

describe("sizeIn()", () => {
  test.each([
    ["1", 1],
    ["1048576", 1_048_576],
    ["512B", 512],
    ["64KiB", 65_536],
    ["64 kib", 65_536],
    ["1.5MiB", 1_572_864],
    ["2GiB", 2_147_483_648],
  ])("reads %p", (text, bytes) => {
    expect(size(text, "--size")).toBe(bytes);
  });

  test.each([
    "",
    "MiB",
    "-1",
    "1e3",
    "0x10",
    "1MB",
    "1 M i B",
    "0",
    "2048GiB",
    "constructor",
    "1constructor",
  ])("refuses %p", (text) => {
    expect(() => size(text, "--size")).toThrow(
      `--size: expected a size from 1B to 1024GiB, such as 16MiB, got "${text}"`,
    );
  });

  test("describeSize() writes what it reads", () => {
    for (const bytes of [1, 1000, 1024, 65_537, 2 ** 20, 3 * 2 ** 30]) {
      expect(size(describeSize(bytes), "--size")).toBe(bytes);
    }
  });
});

describe("secondsIn()", () => {
  test("gives milliseconds, of fractions too", () => {
    expect(seconds("15", "--seconds")).toBe(15_000);
    expect(seconds("0.25", "--seconds")).toBe(250);
  });

  test.each(["", "0", "61", "-1", "1s", "Infinity", "NaN", ".5", "1."])("refuses %p", (text) => {
    expect(() => seconds(text, "--seconds")).toThrow("--seconds: expected seconds from 0.01 to 60, got");
  });
});

describe("integerIn()", () => {
  test("includes both ends", () => {
    expect(port("0", "--port")).toBe(0);
    expect(port("65535", "--port")).toBe(65_535);
  });

  test.each(["", "65536", "-1", "80.5", "8e1", " 80", "http"])("refuses %p", (text) => {
    expect(() => port(text, "--port")).toThrow("--port: expected a whole number from 0 to 65535, got");
  });
});

test("oneOf() reads any case and names all choices", () => {
  const read = oneOf(["text", "json"]);
  expect(read("JSON", "--format")).toBe("json");
  expect(() => read("xml", "--format")).toThrow('--format: expected text or json, got "xml"');
});
