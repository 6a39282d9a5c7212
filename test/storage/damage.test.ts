/**
 * Damaged files: a start is refused with the file's name and what is wrong, and changes nothing on disk.
 */
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import {
  copyFileSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { InsertBatch } from "../../src/engine/insert_batch.ts";
import type { MemoryDatabase } from "../../src/engine/memory_database.ts";
import { TIMESTAMP_MAX, TIMESTAMP_MIN, timestampFromBigInt } from "../../src/protocol/timestamp.ts";
import { textOf } from "../engine/harness.ts";
import { World } from "./world.ts";

const batch = new InsertBatch();

async function insert(database: MemoryDatabase, col: string, first: number): Promise<void> {
  batch.clear();
  for (let ts = first; ts < first + 10; ts++) {
    batch.add({ col, doc: `d${ts % 2}`, ts: timestampFromBigInt(BigInt(ts)), data: `${col} ${ts}` });
  }
  await database.insert(batch);
}

/** Two collections on disk, `a` and `b`, saved and closed. */
async function savedWorld(): Promise<World> {
  const world = await World.open();
  await insert(world.database, "a", 0);
  await insert(world.database, "b", 100);
  await world.database.setValue({ col: "a", key: "k", value: "v" });
  await world.close();
  return world;
}

/** All files and their bytes, but for what only says who has them open: the process id, SQLite's shared memory. */
function snapshot(directory: string): Record<string, string> {
  const files: Record<string, string> = {};
  for (const name of readdirSync(directory, { recursive: true }) as string[]) {
    const path = join(directory, name);
    const isMarker = name.endsWith(".pid") || name.endsWith("-shm");
    // An empty WAL comes and goes with whoever has the file open.
    const found = statSync(path, { throwIfNoEntry: false });
    if (found?.isFile() && found.size > 0 && !isMarker) files[name] = readFileSync(path).toBase64();
  }
  return files;
}

function edit(file: string, ...statements: string[]): void {
  const database = new Database(file, { create: false, readwrite: true });
  for (const statement of statements) database.run(statement);
  database.close();
}

const fileOf = (world: World, name: string): string => join(world.directory, "collections", `${name}.db`);

function flipByte(file: string, place: number): void {
  const bytes = readFileSync(file);
  bytes[place] = (bytes[place] as number) ^ 0x40;
  writeFileSync(file, bytes);
}

type Damage = [what: string, damage: (world: World) => void, message: RegExp];

test.each<Damage>([
  [
    "the place of a chunk's body",
    (world) => edit(fileOf(world, "a"), "UPDATE chunks SET body_checksum = body_checksum + 1 WHERE id = 1"),
    /a\.db is damaged: chunk 1 fails its checksum/,
  ],
  [
    "a chunk's times",
    (world) => edit(fileOf(world, "a"), "UPDATE chunks SET first_ts = first_ts + 1 WHERE id = 2"),
    /a\.db is damaged: chunk 2 fails/,
  ],
  [
    "a chunk in the wrong document",
    (world) => edit(fileOf(world, "a"), "UPDATE chunks SET document = 3 - document WHERE id = 1"),
    /a\.db is damaged: chunk 1 fails/,
  ],
  [
    "a missing chunk",
    (world) => edit(fileOf(world, "a"), "DELETE FROM chunks WHERE id = 1"),
    /a\.db is damaged: it should hold 4 chunks/,
  ],
  [
    "a document's name",
    (world) => edit(fileOf(world, "a"), "UPDATE documents SET name = 'other' WHERE id = 1"),
    /a\.db is damaged: document 1 fails/,
  ],
  [
    "a missing document",
    (world) => edit(fileOf(world, "a"), "DELETE FROM documents WHERE id = 1"),
    /a\.db is damaged: chunk 1 belongs to no document/,
  ],
  [
    "a key's value",
    (world) => edit(fileOf(world, "a"), "UPDATE key_values SET value = 'x'"),
    /a\.db is damaged: key "k" fails/,
  ],
  [
    "a missing key",
    (world) => edit(fileOf(world, "a"), "DELETE FROM key_values"),
    /a\.db is damaged: it should hold 1 values, and holds 0/,
  ],
  [
    "an empty meta table",
    (world) => edit(fileOf(world, "a"), "DELETE FROM meta"),
    /a\.db is damaged: its meta table is empty/,
  ],
  [
    "a changed meta table",
    (world) => edit(fileOf(world, "a"), "UPDATE meta SET records = records + 1"),
    /a\.db is damaged: its meta table fails/,
  ],
  [
    "an older format",
    (world) => edit(fileOf(world, "a"), "PRAGMA user_version = 1"),
    /a\.db has format 1, from before the first release/,
  ],
  [
    "a newer format",
    (world) => edit(fileOf(world, "a"), "PRAGMA user_version = 9"),
    /a\.db has format 9, newer than this server's/,
  ],
  [
    "no database at all",
    (world) => writeFileSync(fileOf(world, "a"), "not a database, but long enough to be one".repeat(100)),
    /a\.db: it is damaged: this is no SQLite database/,
  ],
  [
    "an empty file",
    (world) => truncateSync(fileOf(world, "a")),
    /a\.db is damaged: it is no FluxionDB collection/,
  ],
  ["a file cut in half", (world) => truncateSync(fileOf(world, "a"), 8192 * 3), /a\.db/],
  ["a flipped byte in a page", (world) => flipByte(fileOf(world, "a"), 8192 * 3 - 20), /a\.db/],
  ["a missing file", (world) => rmSync(fileOf(world, "a")), /a\.db is missing: it holds the collection "a"/],
  [
    "another collection's file",
    (world) => copyFileSync(fileOf(world, "b"), fileOf(world, "a")),
    /a\.db is damaged: it holds the collection "b", not "a"/,
  ],
  [
    "a newer catalog",
    (world) => edit(join(world.directory, "catalog.db"), "PRAGMA user_version = 9"),
    /catalog\.db has format 9/,
  ],
  [
    "another program's catalog",
    (world) => edit(join(world.directory, "catalog.db"), "PRAGMA application_id = 9"),
    /catalog\.db is damaged: it is no FluxionDB catalog/,
  ],
  [
    "an empty catalog",
    (world) => truncateSync(join(world.directory, "catalog.db")),
    /catalog\.db is damaged: it is empty/,
  ],
  [
    "a missing catalog",
    (world) => rmSync(join(world.directory, "catalog.db")),
    /catalog\.db is damaged: it is missing/,
  ],
  [
    "a catalog that is older than a collection",
    (world) => edit(join(world.directory, "catalog.db"), "UPDATE meta SET last_group = 1"),
    /a\.db is damaged: it has seen group 3, and the journal ends with 1: catalog\.db or the journal is older/,
  ],
  [
    "a catalog cut in half",
    (world) => truncateSync(join(world.directory, "catalog.db"), 4096 * 3),
    /catalog\.db: it is damaged/,
  ],
  [
    "a catalog that is no database",
    (world) => writeFileSync(join(world.directory, "catalog.db"), "x".repeat(5000)),
    /catalog\.db: it is damaged/,
  ],
])("%s stops the start with an error, and nothing changes on disk", async (_, damage, message) => {
  await using world = await savedWorld();
  damage(world);
  const before = snapshot(world.directory);
  await expect(world.open()).rejects.toThrow(message);
  expect(snapshot(world.directory)).toEqual(before);
});

test.each([
  [
    "cut",
    "UPDATE growing SET body = substr(body, 1, length(body) - 1) WHERE id = 3",
    /chunk 3 fails its checksum/,
  ],
  [
    "exchanged",
    "UPDATE growing SET body = (SELECT body FROM growing WHERE id = 4) WHERE id = 3",
    /chunk 3 fails/,
  ],
  ["missing", "DELETE FROM growing WHERE id = 3", /chunk 3 is missing/],
])(
  "a body that is %s is noticed by whoever asks for it, and hurts nobody else",
  async (_, damage, message) => {
    await using world = await savedWorld();
    edit(fileOf(world, "a"), damage);
    await world.open();
    const { database } = world;
    const question = { ts: TIMESTAMP_MAX, from: TIMESTAMP_MIN, where: "", filter: "" };
    const damaged = documentOfChunk(fileOf(world, "a"), 3);
    const whole = damaged === "d0" ? "d1" : "d0";
    const failure = expect.objectContaining({
      code: "storage_failed",
      message: expect.stringMatching(message),
    });
    const codeOf = (act: () => unknown): unknown => {
      try {
        return act();
      } catch (error) {
        return error;
      }
    };
    expect(codeOf(() => database.latest({ ...question, col: "a", doc: damaged }))).toEqual(failure);
    expect(textOf(database.latest({ ...question, col: "a", doc: whole }))).toContain(`"${whole}":{"ts":`);
    expect(textOf(database.latest({ ...question, col: "b", doc: "" }))).toContain('"d1":{"ts":109');

    // A batch that would have to change it is refused whole.
    batch.clear();
    for (const doc of [whole, damaged]) {
      batch.add({ col: "a", doc, ts: timestampFromBigInt(1000n), data: "late" });
    }
    expect(codeOf(() => database.insert(batch))).toEqual(failure);
    expect(textOf(database.latest({ ...question, col: "a", doc: whole }))).not.toContain("late");
    // It can be deleted whole.
    await database.deleteDocument({ col: "a", doc: damaged });
    expect(textOf(database.latest({ ...question, col: "a", doc: "" }))).toStartWith(`{"${whole}":`);
  },
);

function documentOfChunk(file: string, id: number): string {
  const database = new Database(file, { readonly: true });
  const { name } = database
    .query("SELECT name FROM documents WHERE id = (SELECT document FROM chunks WHERE id = ?)")
    .get(id) as { name: string };
  database.close();
  return name;
}

test("a deletion from within a damaged body is refused whole", async () => {
  await using world = await savedWorld();
  edit(fileOf(world, "a"), "UPDATE bodies SET body = x'00'");
  await world.open();
  const before = world.database.counts();
  const records = [0n, 1n, 2n].map((ts) => ({ col: "a", doc: `d${ts % 2n}`, ts: timestampFromBigInt(ts) }));
  expect(() => world.database.deleteRecords(records)).toThrow("fails its checksum");
  expect(world.database.counts()).toEqual(before);
});

test("a collection that is missing in the list is noticed", async () => {
  await using world = await savedWorld();
  edit(join(world.directory, "catalog.db"), "DELETE FROM collections WHERE name = 'a'");
  await expect(world.open()).rejects.toThrow("it should list 2 collections, and lists 1");
});

test("files swapped between collections are noticed", async () => {
  await using world = await savedWorld();
  renameSync(fileOf(world, "a"), fileOf(world, "x"));
  renameSync(fileOf(world, "b"), fileOf(world, "a"));
  renameSync(fileOf(world, "x"), fileOf(world, "b"));
  await expect(world.open()).rejects.toThrow('it holds the collection "b", not "a"');
});

test("damage in what the journal had on the disk stops the start, and nothing changes", async () => {
  await using world = await World.open("always");
  for (let group = 0; group < 3; group++) await insert(world.database, "a", group * 10);
  await world.crash();
  const [name] = readdirSync(join(world.directory, "journal")) as [string];
  const file = join(world.directory, "journal", name);
  flipByte(file, readFileSync(file).indexOf("a 13"));
  const before = snapshot(world.directory);
  await expect(world.open()).rejects.toThrow(
    `${file} is damaged: group 2 of the journal is missing or fails its checksum`,
  );
  expect(snapshot(world.directory)).toEqual(before);
});
