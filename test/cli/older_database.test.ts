import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
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
  for (const [name, message] of [
    ["none", "There is no file"],
    ["text", "cannot be read"],
    ["other.db", "is no fluxion.db: the table records has no column ts"],
  ] as const) {
    const outcome = await world.run(["import", "--from-fluxiondb", world.folder.join(name)]);
    expect(outcome).toMatchObject({ exitCode: 1, stderr: expect.stringContaining(message) });
  }
});
