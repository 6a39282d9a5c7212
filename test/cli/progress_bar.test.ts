import { expect, test } from "bun:test";
import { describeDuration, renderProgress } from "../../src/cli/progress_bar.ts";
import { describeBytes } from "../../src/cli/status.ts";

test("progress has a bar, a rate and what is left, as far as they are known", () => {
  expect(renderProgress("Exporting", { part: 0.5, count: 1_500_000, unit: "records" }, 10_000)).toBe(
    "Exporting ━━━━━━━━━━━━────────────  50 %  1,500,000 records  150,000/s  10 s left",
  );
  expect(renderProgress("Inserting", { part: undefined, count: 10, unit: "records" }, 0)).toBe(
    "Inserting  10 records  0/s",
  );
  expect(renderProgress("x", { part: 0, count: 0, unit: "records" }, 5)).toContain("  0 %  0 records  0/s");
  expect(renderProgress("x", { part: 1.5, count: 1, unit: "records" }, 1000)).toContain("━ 100 %");
});

test.each([
  [0, "0 ms"],
  [999, "999 ms"],
  [8400, "8 s"],
  [725_000, "12 min 5 s"],
  [3_600_000, "1 h"],
  [273_600_000, "3 d 4 h"],
])("%p ms is %p", (ms, text) => {
  expect(describeDuration(ms)).toBe(text);
});

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [1000, "0.977 KiB"],
  [12_900_000, "12.3 MiB"],
  [2 ** 40, "1 TiB"],
])("%p bytes are %p", (bytes, text) => {
  expect(describeBytes(bytes)).toBe(text);
});
