/**
 * `export` where the system refuses to write: in words, and without a stack.
 */
import { expect, test } from "bun:test";
import { mkdirSync, readdirSync } from "node:fs";
import { SmallDisk, whyNoSmallDisk } from "../support/small_disk.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";
import { CommandWorld } from "./command_world.ts";

using probe = new TemporaryFolder();

test("export says what is in its way", async () => {
  await using world = await CommandWorld.open();
  await world.output("insert c d --data x");
  const out = world.folder.join("out");
  mkdirSync(`${out}/c/d.jsonl`, { recursive: true });
  expect(await world.run(`export --all --out-dir ${out}`)).toEqual({
    exitCode: 1,
    stdout: "",
    stderr: `fluxiondb: ${out}/c/d.jsonl: it is a folder. Give a file, or move the folder away\n`,
  });
});

test.skipIf(whyNoSmallDisk(probe.path) !== undefined)("export says that the disk is full", async () => {
  await using world = await CommandWorld.open();
  const lines = Array.from({ length: 2000 }, (_, ts) => `{"ts":${ts},"data":"${"x".repeat(1000)}"}\n`);
  await world.output("insert c d", { input: lines.join("") });
  using disk = new SmallDisk(world.folder.join("disk"));
  disk.fill(500_000);
  expect(await world.run(`export --all --out-dir ${disk.folder}/out`)).toEqual({
    exitCode: 1,
    stdout: "",
    stderr: "fluxiondb: The disk is full. Make room, or write somewhere else\n",
  });
  expect(readdirSync(`${disk.folder}/out/c`)).toEqual([]);
});
