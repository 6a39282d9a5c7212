/**
 * kill -9 at random moments under load, in each durability mode. `npm run soak` does the same until told to stop.
 */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { DURABILITIES } from "../../src/storage/storage.ts";
import { ServerProcess } from "../support/server_process.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";
import { runCrashRounds } from "./crash_round.ts";

test.each([...DURABILITIES])(
  "with durability %s a killed server keeps its promise",
  async (durability) => {
    const seed = crypto.getRandomValues(new Int32Array(1))[0] as number;
    try {
      // Rounds in which nothing was promised would show nothing.
      expect(await runCrashRounds(durability, { seed, rounds: 3 })).toBeGreaterThan(0);
    } catch (cause) {
      throw new Error(`The promise was broken with seed ${seed}`, { cause });
    }
  },
  120_000,
);

test("a journal whose end was cut off starts with all groups before them, each whole", async () => {
  using folder = new TemporaryFolder();
  const data = folder.join("data");
  const args = ["--data", data, "--flush-interval", "1000"];
  const groups = 12;
  {
    await using server = await ServerProcess.start({ args });
    await using client = await server.connect();
    for (let group = 0; group < groups; group++) {
      const records = Array.from({ length: 20 }, (_, index) => ({
        ts: group * 100 + index,
        doc: "d",
        data: "x".repeat(40),
        col: "c",
      }));
      await client.request("ins", records);
    }
    await server.kill("SIGKILL");
  }
  const [name] = readdirSync(`${data}/journal`) as [string];
  const segment = `${data}/journal/${name}`;
  const whole = readFileSync(segment);
  const seen = new Set<number>();
  for (let size = whole.length; size >= 0; size -= Math.ceil(whole.length / 9)) {
    writeFileSync(segment, whole.subarray(0, size));
    await using server = await ServerProcess.start({ args });
    await using client = await server.connect();
    const { records } = (await client.request("qdoc", { col: "c", doc: "d", from: 0, to: 1e9 })) as {
      records: { ts: number }[];
    };
    expect(records.length % 20).toBe(0);
    expect(records.map(({ ts }) => ts)).toEqual(
      Array.from({ length: records.length }, (_, index) => Math.floor(index / 20) * 100 + (index % 20)),
    );
    seen.add(records.length / 20);
    await server.kill("SIGKILL");
  }
  expect(seen.has(groups)).toBe(true);
  expect(seen.size).toBeGreaterThan(4);
}, 60_000);
