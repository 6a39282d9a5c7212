import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { cpSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { runProgram } from "../support/program.ts";
import { ServerProcess } from "../support/server_process.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";

/** Data of several chunks, saved or, after a kill, in the journal only. */
async function fill(data: string, end: "SIGTERM" | "SIGKILL"): Promise<void> {
  await using server = await ServerProcess.start({ args: ["--data", data] });
  await using client = await server.connect();
  for (const doc of ["a", "b"]) {
    const records = Array.from({ length: 1000 }, (_, ts) => ({ ts, doc, col: "c", data: `value ${ts}` }));
    expect(await client.request("ins", records)).toEqual({ id: expect.any(String) });
  }
  await client.request("sval", { col: "c", key: "k", value: "v" });
  await server.kill(end);
}

const check = async (directory: string) => {
  const { exitCode, stdout, stderr } = await runProgram(["check", directory]);
  return { exitCode, report: stdout === "" ? undefined : JSON.parse(stdout), stderr };
};

const filesOf = (folder: string): string[] =>
  (readdirSync(folder, { recursive: true }) as string[]).filter((name) => /\.db$/.test(name)).sort();

test.each(["SIGTERM", "SIGKILL"] as const)(
  "check reads all there is after %s, and changes nothing",
  async (end) => {
    using folder = new TemporaryFolder();
    const data = folder.join("data");
    await fill(data, end);
    const before = filesOf(data).map((name) => readFileSync(join(data, name)));
    const { exitCode, report, stderr } = await check(data);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    const counts = { collections: 1, documents: 2, records: 2000, keyValues: 1 };
    expect(report).toEqual({ directory: data, ...counts, problems: [] });
    expect(filesOf(data).map((name) => readFileSync(join(data, name)))).toEqual(before);
  },
);

test("check names what is damaged, in the middle of the data and as a whole", async () => {
  using folder = new TemporaryFolder();
  const data = folder.join("data");
  await fill(data, "SIGTERM");
  const name = filesOf(data).find((each) => each.startsWith("collections")) as string;

  const body = folder.join("body");
  cpSync(data, body, { recursive: true });
  const database = new Database(join(body, name));
  for (const table of ["bodies", "growing"])
    database.run(`UPDATE ${table} SET body = zeroblob(length(body))`);
  database.close();
  const damaged = await check(body);
  expect(damaged.exitCode).toBe(1);
  expect(damaged.report.problems.length).toBeGreaterThan(1);
  for (const problem of damaged.report.problems) {
    expect(problem).toMatch(/^collection "c", document "[ab]": .*is damaged/);
  }
  expect(damaged.stderr).toContain(`${body} has ${damaged.report.problems.length} problems`);

  const missing = folder.join("missing");
  cpSync(data, missing, { recursive: true });
  rmSync(join(missing, name));
  const lost = await check(missing);
  expect(lost).toMatchObject({ exitCode: 1, report: { problems: [expect.stringContaining("is missing")] } });
});

test("check refuses a directory that a server holds, or that is none", async () => {
  using folder = new TemporaryFolder();
  const data = folder.join("data");
  await using server = await ServerProcess.start({ args: ["--data", data] });
  expect(await check(data)).toMatchObject({
    exitCode: 1,
    report: undefined,
    stderr: expect.stringContaining(`in use by process ${server.pid}`),
  });
  expect(await check(folder.join("none"))).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining("holds no data of FluxionDB"),
  });
});
