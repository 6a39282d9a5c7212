/**
 * What becomes of a result that cannot be written. That a reader may go away is tested with the commands.
 */
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { environmentWith, PROGRAM } from "../support/program.ts";
import { CommandWorld } from "./command_world.ts";

/** A disk that is always full, where the system has one. */
const FULL_DISK = "/dev/full";

test.skipIf(!existsSync(FULL_DISK))("a result that a full disk cuts off is a failure, and said", async () => {
  await using world = await CommandWorld.open();
  const lines = Array.from({ length: 2000 }, (_, ts) => `{"ts":${ts},"data":"${"x".repeat(1000)}"}\n`);
  await world.output("insert c d", { input: lines.join("") });
  for (const command of ["--help", "version", "status", "query c d", "query c d --limit 1", "history c d"]) {
    const child = Bun.spawn([...PROGRAM, ...command.split(" ")], {
      env: environmentWith(world.env),
      stdio: ["ignore", Bun.file(FULL_DISK), "pipe"],
    });
    const stderr = await new Response(child.stderr).text();
    expect({ command, stderr, exitCode: await child.exited }).toEqual({
      command,
      stderr: "fluxiondb: Cannot write the result: the disk is full. Make room, or write somewhere else\n",
      exitCode: 1,
    });
  }
});
