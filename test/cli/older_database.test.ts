import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { copyFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { OlderFile } from "../../src/archive/older_file.ts";
import { runProgram } from "../support/program.ts";
import { ServerProcess } from "../support/server_process.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";
import { CommandWorld } from "./command_world.ts";

type Row = readonly (string | number | bigint | null | Uint8Array)[];

/** As an older server leaves it. */
function makeOlder(file: string, records: readonly Row[], { close = true } = {}): Database {
  const database = new Database(file, { create: true });
  database.run("PRAGMA journal_mode = WAL");
  database.run(
    "CREATE TABLE records (collection TEXT, doc TEXT, ts INTEGER, data TEXT, PRIMARY KEY (collection, doc, ts))",
  );
  database.run(
    "CREATE TABLE key_values (collection TEXT, key TEXT, value TEXT, PRIMARY KEY (collection, key))",
  );
  database.run("CREATE TABLE api_keys (api_key TEXT PRIMARY KEY, scope TEXT, deletable INTEGER)");
  for (const row of records) database.run("INSERT INTO records VALUES (?, ?, ?, ?)", row as never);
  database.run("INSERT INTO key_values VALUES ('c', 'k', 'v'), ('only', '', 'é')");
  database.run(
    "INSERT INTO api_keys VALUES ('old master', 'read_write_delete', 0), ('pump', 'read_write', 1)",
  );
  if (close) database.close();
  return database;
}

const GOOD: readonly Row[] = [
  ["c", "d", 1747604423123456789n, '{"t":1}'],
  ["c", "d", -5, ""],
  ["c", "ü/..", 2, "x"],
];

const SUMMARY = {
  collections: [
    { collection: "c", documents: 2, records: 3, keyValues: 1 },
    { collection: "only", documents: 0, records: 0, keyValues: 1 },
  ],
  apiKeys: { keys: 1 },
};

test("an older server's database is taken over, and left as it was", async () => {
  await using world = await CommandWorld.open();
  const file = world.folder.join("fluxion.db");
  makeOlder(file, GOOD);
  const before = readFileSync(file);
  const dry = await world.output(["import", "--from-fluxiondb", file, "--dry-run"]);
  const notMade = world.folder.join("not-made");
  expect(await world.output(["import", "--from-fluxiondb", file, "--dry-run", "--data", notMade])).toBe(dry);
  expect(existsSync(notMade)).toBe(false);
  expect(JSON.parse(dry)).toEqual({ inputFile: file, ...SUMMARY, dryRun: true });
  expect(await world.output("collections")).toBe("[]\n");
  const summary = await world.output(["import", "--from-fluxiondb", file]);
  expect(JSON.parse(summary)).toEqual({ inputFile: file, ...SUMMARY });
  expect(readFileSync(file)).toEqual(before);
  expect(readdirSync(world.folder.path)).toEqual(["fluxion.db"]);
  expect(await world.output("query c d --format csv")).toBe(
    'ts,doc,data\r\n-5,d,\r\n1747604423123456789,d,"{""t"":1}"\r\n',
  );
  expect(JSON.parse(await world.output("get only"))).toEqual({ "": "é" });
  const keys = JSON.parse(await world.output("keys"));
  expect(keys.map(({ key }: { key: string }) => key).sort()).toEqual(["pump", "secret-of-the-tests"]);
});

test("so is one whose server was killed, into a data directory", async () => {
  await using world = await CommandWorld.open();
  const file = world.folder.join("fluxion.db");
  using database = makeOlder(file, GOOD, { close: false });
  expect(database.filename).toBe(file);
  const data = world.folder.join("data");
  const summary = await world.output(["import", "--from-fluxiondb", file, "--data", data]);
  expect(JSON.parse(summary)).toMatchObject(SUMMARY);
  expect(JSON.parse(await world.output(["check", data]))).toMatchObject({
    records: 3,
    keyValues: 2,
    problems: [],
  });
});

test("what a server that was killed had begun and not finished is left out", async () => {
  await using world = await CommandWorld.open();
  const file = world.folder.join("fluxion.db");
  makeOlder(file, GOOD);
  // A small cache: changes are written to the file before the end, and the way back is in the journal beside it.
  const script = `
    import { Database } from "bun:sqlite";
    const database = new Database(${JSON.stringify(file)});
    database.run("PRAGMA journal_mode = DELETE");
    database.run("PRAGMA cache_size = 2");
    database.run("BEGIN");
    for (let ts = 0; ts < 2000; ts++) database.run("INSERT INTO records VALUES ('c', 'half', ?, ?)", [ts, "x".repeat(99)]);
    process.kill(process.pid, "SIGKILL");`;
  expect(Bun.spawnSync([process.execPath, "-e", script]).signalCode).toBe("SIGKILL");
  const before = [file, `${file}-journal`].map((path) => readFileSync(path));
  expect(before[1]?.length).toBeGreaterThan(0);
  const summary = await world.output(["import", "--from-fluxiondb", file]);
  expect(JSON.parse(summary)).toEqual({ inputFile: file, ...SUMMARY });
  expect([file, `${file}-journal`].map((path) => readFileSync(path))).toEqual(before);
});

test("a file that is written to while it is read is refused", () => {
  using folder = new TemporaryFolder();
  const file = folder.join("fluxion.db");
  makeOlder(file, GOOD);
  {
    using older = OlderFile.open(file);
    older.ensureUnchanged();
    const database = new Database(file);
    database.run("DELETE FROM records");
    expect(() => older.ensureUnchanged()).toThrow("has changed while it was read. Stop the older server");
    database.close();
  }
  // Where something is not finished, SQLite's own locks keep what is read as it is.
  using writer = new Database(file);
  writer.run("INSERT INTO records VALUES ('c', 'd', 1, 'x')");
  using older = OlderFile.open(file);
  writer.run("DELETE FROM records");
  older.ensureUnchanged();
  expect(older.database.query("SELECT count(*) AS count FROM records").get()).toEqual({ count: 1 });
});

test("what is wrong in it is told, and nothing is sent, or it is left out", async () => {
  await using world = await CommandWorld.open();
  const file = world.folder.join("fluxion.db");
  makeOlder(file, [...GOOD, ["c", "d", 7, null], ["c", "", 7, "x"], ["c", "d", "soon", "x"]]);
  const refused = await world.run(["import", "--from-fluxiondb", file]);
  expect(refused).toMatchObject({ exitCode: 1, stdout: "" });
  for (const problem of [
    `${file}, records, "c" "d": data: expected a text, got nothing`,
    `${file}, records, "c" "": doc: expected a non-empty string, got ""`,
    `${file}, records, "c" "d": ts: expected a 64-bit integer, got "soon"`,
  ]) {
    expect(refused.stderr).toContain(problem);
  }
  expect(await world.output("collections")).toBe("[]\n");
  const skipped = await world.output(["import", "--from-fluxiondb", file, "--skip-bad"]);
  expect(JSON.parse(skipped)).toMatchObject({ ...SUMMARY, skipped: 3 });

  await Bun.write(world.folder.join("text"), "no database");
  const other = new Database(world.folder.join("other.db"), { create: true });
  other.run("CREATE TABLE records (collection, doc)");
  other.close();
  const empty = new Database(world.folder.join("empty.db"), { create: true });
  empty.run("CREATE TABLE t (a)");
  empty.close();
  for (const [name, message] of [
    ["none", "There is no file"],
    ["text", "cannot be read"],
    ["other.db", "is no fluxion.db: the table records has no column ts"],
    ["empty.db", "has neither a table records nor one key_values"],
  ] as const) {
    const outcome = await world.run(["import", "--from-fluxiondb", world.folder.join(name)]);
    expect(outcome).toMatchObject({ exitCode: 1, stderr: expect.stringContaining(message) });
  }
});

test("a table that is missing holds nothing, and what is there twice counts once", async () => {
  await using world = await CommandWorld.open();
  const file = world.folder.join("fluxion.db");
  const database = new Database(file, { create: true });
  database.run("CREATE TABLE records (collection, doc, ts, data)");
  const rows: readonly Row[] = [
    ["c", "d", 5, "a"],
    ["c", "d", "5", "a"],
    ["c", "d", 1.9, "cut"],
    ["c", "d", "9223372036854775807", "last"],
    ["c", "d", 7, "nul\u0000and \u2028"],
  ];
  for (const row of rows) database.run("INSERT INTO records VALUES (?, ?, ?, ?)", row as never);
  database.close();
  const { exitCode, stdout, stderr } = await world.run(["import", "--from-fluxiondb", file]);
  expect({ exitCode, stderr }).toEqual({
    exitCode: 0,
    stderr: "Records at the same document and time as another, which are one record here: 1\n",
  });
  expect(JSON.parse(stdout)).toMatchObject({
    collections: [{ collection: "c", documents: 1, records: 4, keyValues: 0 }],
    apiKeys: { keys: 0 },
  });
  expect(await world.output("history c d")).toContain('"data": "nul\\u0000and \u2028"');
  expect(await world.output("history c d")).toContain('"ts": 9223372036854775807');
});

test("a file that a killed server has left is not changed, nor its WAL", async () => {
  await using world = await CommandWorld.open();
  const [running, left] = [world.folder.join("running.db"), world.folder.join("fluxion.db")];
  using database = makeOlder(running, GOOD, { close: false });
  expect(database.filename).toBe(running);
  for (const suffix of ["", "-wal"]) copyFileSync(running + suffix, left + suffix);
  const before = ["", "-wal"].map((suffix) => readFileSync(left + suffix));
  expect(before[1]?.length).toBeGreaterThan(0);
  expect(JSON.parse(await world.output(["import", "--from-fluxiondb", left]))).toMatchObject(SUMMARY);
  expect(["", "-wal"].map((suffix) => readFileSync(left + suffix))).toEqual(before);
});

test("a server does not start empty where an older one has its data, and says how to take that over", async () => {
  using folder = new TemporaryFolder();
  const file = folder.join("fluxion.db");
  makeOlder(file, GOOD);
  const before = readFileSync(file);
  writeFileSync(folder.join("master.key"), "the old master key\n");
  const refused = await runProgram(["serve", "--port", "0", "--data", folder.path]);
  expect(refused.exitCode).toBe(1);
  const [command = ""] = /import --from-fluxiondb \S+ --data \S+/.exec(refused.stderr) ?? [];
  expect(readdirSync(folder.path).sort()).toEqual(["fluxion.db", "master.key"]);
  const key = ["--api-key-file", folder.join("master.key")];
  const taken = await runProgram([...command.split(" "), ...key]);
  expect(taken.exitCode).toBe(0);
  expect(JSON.parse(taken.stdout)).toMatchObject(SUMMARY);
  expect(readFileSync(file)).toEqual(before);
  const args = ["--data", folder.path, "--secret-key-file", folder.join("master.key")];
  await using server = await ServerProcess.start({ args, env: { FLUXIONDB_SECRET_KEY: "" } });
  await using client = await server.connect({ key: "the old master key" });
  expect(await client.request("gval", { col: "c", key: "k" })).toMatchObject({ value: "v" });
  expect(await client.request("keys", { action: "list" })).toMatchObject({
    keys: expect.arrayContaining([{ key: "pump", scope: "read_write", deletable: true }]),
  });
});
