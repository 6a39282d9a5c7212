import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { cpSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { sealMark } from "../../src/storage/journal_group.ts";
import { JOURNAL_FOLDER, saltOf, segmentPath } from "../../src/storage/journal_segment.ts";
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
  await client.request("keys", { action: "add", key: "pump", scope: "readonly" });
  await server.kill(end);
}

const check = async (directory: string) => {
  const { exitCode, stdout, stderr } = await runProgram(["check", directory]);
  return { exitCode, report: stdout === "" ? undefined : JSON.parse(stdout), stderr };
};

const filesOf = (folder: string): string[] =>
  (readdirSync(folder, { recursive: true }) as string[]).filter((name) => /\.(?:db|log)$/.test(name)).sort();

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

type Damage = readonly [
  what: string,
  change: (files: { catalog: string; collection: string }) => void,
  problem: RegExp,
];

const sql =
  (file: "catalog" | "collection", ...statements: readonly string[]): Damage[1] =>
  (files) => {
    using database = new Database(files[file]);
    for (const statement of statements) database.run(statement);
  };

function overwrite(file: string, position: number, bytes: Uint8Array): void {
  const content = readFileSync(file);
  content.set(bytes, position);
  writeFileSync(file, content);
}

/** What is left says that there was more on the disk. */
function loseGroups(directory: string): void {
  const [serial, newest] = [99, 1_000_000];
  const mark = sealMark({ salt: saltOf(serial), number: newest, synced: newest });
  writeFileSync(segmentPath(join(directory, JOURNAL_FOLDER), serial, 1), mark);
}

const EACH_KIND: readonly Damage[] = [
  [
    "a record",
    sql("collection", "UPDATE bodies SET body = zeroblob(length(body))"),
    /document "[ab]": .*damaged/,
  ],
  ["a newest chunk", sql("collection", "UPDATE growing SET body = x'00'"), /document "[ab]": .*damaged/],
  ["a lost body", sql("collection", "DELETE FROM bodies"), /chunk \d+ is missing/],
  [
    "a body of no chunk",
    sql("collection", "INSERT INTO bodies VALUES (99999, x'00')"),
    /1 bodies belong to no chunk/,
  ],
  [
    "a time of the index",
    sql("collection", "UPDATE chunks SET first_ts = first_ts + 1"),
    /chunk \d+ fails its/,
  ],
  ["a lost chunk", sql("collection", "DELETE FROM chunks WHERE id = 1"), /should hold \d+ chunks/],
  [
    "a document",
    sql("collection", "UPDATE documents SET name = 'c' WHERE name = 'a'"),
    /document \d+ fails its/,
  ],
  ["a lost document", sql("collection", "DELETE FROM documents WHERE name = 'a'"), /belongs to no document/],
  ["a value", sql("collection", "UPDATE key_values SET value = 'w'"), /key "k" fails its checksum/],
  ["a lost key", sql("collection", "DELETE FROM key_values"), /should hold 1 values, and holds 0/],
  ["the counts", sql("collection", "UPDATE meta SET records = 7"), /fails its checksum/],
  [
    "a foreign file",
    ({ collection }) => writeFileSync(collection, "hello".repeat(5000)),
    /no SQLite database/,
  ],
  ["a page", ({ collection }) => overwrite(collection, 3 * 8192, new Uint8Array(8192).fill(7)), /is damaged/],
  ["a file cut short", ({ collection }) => truncateSync(collection, 2 * 8192), /is damaged/],
  ["a lost file", ({ collection }) => rmSync(collection), /is missing/],
  [
    "an API key",
    sql("catalog", "UPDATE api_keys SET scope = 'read_write_delete'"),
    /API key \w+ fails its checksum/,
  ],
  ["a lost name", sql("catalog", "DELETE FROM collections"), /should list 1 collections, and lists 0/],
  ["the journal", ({ catalog }) => loseGroups(dirname(catalog)), /group \d+ of the journal is missing/],
];

test("check finds each kind of damage, names its file and ends with 1", async () => {
  using folder = new TemporaryFolder();
  const data = folder.join("data");
  await fill(data, "SIGTERM");
  const missed: string[] = [];
  for (const [what, change, problem] of EACH_KIND) {
    const copy = folder.join(what);
    cpSync(data, copy, { recursive: true });
    change({ catalog: join(copy, "catalog.db"), collection: join(copy, "collections", "c.db") });
    const { exitCode, stderr } = await check(copy);
    if (exitCode !== 1 || !problem.test(stderr) || stderr.includes("bug"))
      missed.push(`${what}: ${exitCode} ${stderr}`);
  }
  expect(missed).toEqual([]);
}, 30_000);

test("check goes on after a file that cannot be read", async () => {
  using folder = new TemporaryFolder();
  const data = folder.join("data");
  {
    await using server = await ServerProcess.start({ args: ["--data", data] });
    await using client = await server.connect();
    for (const col of ["a", "b", "c"]) await client.request("ins", [{ ts: 1, doc: "d", col, data: "x" }]);
    await server.kill("SIGTERM");
  }
  rmSync(join(data, "collections/a.db"));
  writeFileSync(join(data, "collections/c.db"), "hello");
  const { exitCode, report } = await check(data);
  expect(exitCode).toBe(1);
  expect(report.problems).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/a\.db is missing/),
      expect.stringMatching(/c\.db: it is damaged: this is no SQLite database/),
    ]),
  );
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
