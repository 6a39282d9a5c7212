import { expect, test } from "bun:test";
import { closeSync, openSync, readFileSync } from "node:fs";
import { GroupWriter } from "../../src/storage/group_writer.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";

test("after a write that took long, groups go through the pool until a run of them was quick", async () => {
  using folder = new TemporaryFolder();
  const handle = openSync(folder.join("file"), "w");
  let nowMs = 0;
  let stepMs = 0;
  const writer = new GroupWriter(() => {
    nowMs += stepMs;
    return nowMs;
  });
  let position = 0;
  const text = Buffer.from("group ");
  const place = () => ({ handle, position: position++ * text.length });
  writer.writeAtOnce(text, text.length, place());
  expect(writer.canWriteAtOnce(text.length)).toBe(true);
  stepMs = 20;
  writer.writeAtOnce(text, text.length, place());
  expect(writer.canWriteAtOnce(text.length)).toBe(false);
  stepMs = 1;
  let quick = 0;
  for (; !writer.canWriteAtOnce(text.length); quick++) {
    await writer.writeBeside(text, text.length, place());
    // One that is slow again begins the run anew.
    if (quick !== 3) continue;
    stepMs = 20;
    await writer.writeBeside(text, text.length, place());
    stepMs = 1;
  }
  expect(quick).toBeGreaterThan(5);
  closeSync(handle);
  expect(readFileSync(folder.join("file"), "utf8")).toBe("group ".repeat(position));
});

test("what is large never goes at once", () => {
  expect(new GroupWriter().canWriteAtOnce(4 * 1024 * 1024)).toBe(false);
});
