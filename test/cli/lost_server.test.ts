/**
 * Long work when the server goes away and does not come back.
 */
import { expect, test } from "bun:test";
import { environmentWith, PROGRAM } from "../support/program.ts";
import { CommandWorld } from "./command_world.ts";

/** CSV's parser keeps a line back until it sees the next one. */
const FORMATS = [
  ["ndjson", '{"ts":1,"data":"x"}\n', '{"ts":2,"data":"x"}\n'],
  ["csv", "ts,data\n1,x\n2,x\n", "3,x\n4,x\n"],
] as const;

test.each(FORMATS)(
  "insert of %s from a pipe that stays open ends after --timeout",
  async (_, first, second) => {
    await using world = await CommandWorld.open();
    await using child = Bun.spawn([...PROGRAM, "insert", "c", "d", "--timeout", "1"], {
      env: environmentWith(world.env),
      stdio: ["pipe", "pipe", "pipe"],
      killSignal: "SIGKILL",
    });
    child.stdin.write(first);
    child.stdin.flush();
    while ((await world.output("query c d").catch(() => "")) === "") await Bun.sleep(10);
    await world.server.kill();
    child.stdin.write(second);
    child.stdin.flush();
    expect(await new Response(child.stderr).text()).toBe(
      "fluxiondb: No reply to ins within 1 s. --timeout takes a longer time; records stored: 1\n",
    );
    expect(await child.exited).toBe(1);
  },
);

test("import ends after --timeout", async () => {
  await using world = await CommandWorld.open();
  const lines = Array.from({ length: 40_000 }, (_, ts) => `{"ts":${ts},"data":"${"x".repeat(1000)}"}\n`);
  await Bun.write(world.folder.join("in", "c", "d.jsonl"), lines);
  await Bun.write(world.folder.join("in", "c", "key_value.json"), '{"k":"v"}');
  const watcher = await world.server.connect();
  const outcome = world.run(`import --all --in-dir ${world.folder.join("in")} --timeout 1`);
  while (Object.keys((await watcher.request("qry", { col: "c", ts: 1e9 })).records ?? {}).length === 0);
  await world.server.kill();
  const { exitCode, stdout, stderr } = await outcome;
  expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
  expect(stderr).toContain("fluxiondb: No reply to ins within 1 s. --timeout takes a longer time\n");
});
