/**
 * `serve --recover`, as an operator meets it. What becomes of each kind of damage is in test/storage/recovery.test.ts.
 */
import { expect, test } from "bun:test";
import { readFileSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { runProgram } from "../support/program.ts";
import { ServerProcess } from "../support/server_process.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";

test("a start that is refused says how to go on, and what is left out then is told and kept", async () => {
  using folder = new TemporaryFolder();
  const data = folder.join("data");
  const args = ["--data", data];
  {
    await using server = await ServerProcess.start({ args });
    await using client = await server.connect();
    for (const col of ["good", "bad"]) await client.request("ins", [{ ts: 1, doc: "d", data: "x", col }]);
    expect(await server.kill("SIGTERM")).toBe(0);
  }
  const bad = join(data, "collections", "bad.db");
  const whole = readFileSync(bad);
  truncateSync(bad, 5000);
  const refused = await runProgram(["serve", "--port", "0", "--secret-key", "k", ...args]);
  expect(refused.exitCode).toBe(1);
  expect(refused.stderr).toContain("start with --recover to leave out what is damaged");

  await using server = await ServerProcess.start({ args: [...args, "--recover"] });
  expect(server.output).toMatch(
    /warn {2}Left out what="collections\/bad\.db \(collection \\"bad\\"\): all of it: /,
  );
  const [, keptIn] = /The damaged files are kept.* folder=(\S+)/.exec(server.output) ?? [];
  expect(readFileSync(join(keptIn as string, "collections", "bad.db"))).toEqual(whole.subarray(0, 5000));
  expect(readFileSync(join(keptIn as string, "left-out.txt"), "utf8")).toContain("bad.db");
  await using client = await server.connect();
  expect(await client.request("cols", {})).toMatchObject({ collections: ["good"] });
  expect(await client.request("qdoc", { col: "good", doc: "d" })).toMatchObject({
    records: [{ ts: 1, data: "x" }],
  });
});

test("with nothing to recover it starts like any other", async () => {
  using folder = new TemporaryFolder();
  for (let start = 0; start < 2; start++) {
    await using server = await ServerProcess.start({ args: ["--data", folder.join("data"), "--recover"] });
    expect(server.output).toContain("Nothing is damaged");
    await server.kill("SIGTERM");
  }
});
