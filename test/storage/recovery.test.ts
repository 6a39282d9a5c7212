/**
 * `serve --recover`: what is whole is there, what is not is named, and the damaged files are kept as they were found.
 */
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { MemoryDatabase } from "../../src/engine/memory_database.ts";
import { DatabaseError } from "../../src/protocol/errors.ts";
import { TIMESTAMP_MAX, TIMESTAMP_MIN } from "../../src/protocol/timestamp.ts";
import { type Recovery, recoverDirectory } from "../../src/storage/recovery.ts";
import { GROUP_HEAD_BYTES, StorageError } from "../../src/storage/storage.ts";
import { randomFrom } from "../e2e/crash_round.ts";
import { runCommand, textOf } from "../engine/harness.ts";
import { ModelDatabase } from "../engine/model.ts";
import { World } from "./world.ts";

const NOW = new Date("2026-03-01T12:00:00.000Z");
const KEPT = "damaged-20260301T120000Z";
const RECORDS = 40;

const dataOf = (col: string, doc: string, ts: number): string => `${col} ${doc} ${ts}`;

/** Collections `a` and `b`, each with documents `d0` and `d1` and a key; the last inserts are in the journal only. */
async function filledWorld(): Promise<World> {
  const world = await World.open();
  for (const from of [0, RECORDS / 2]) {
    await fill(world.database, from);
    if (from === 0) await world.database.checkpoint();
  }
  // The last group says that those before it are on the disk: what is missing of them is damage.
  await world.storage.syncJournal();
  await world.database.setValue({ col: "b", key: "last", value: "" });
  await world.crash();
  // Out of the WAL into the database, where it can be damaged.
  for (const file of databases(world)) new Database(file).close();
  return world;
}

async function fill(database: MemoryDatabase, from: number): Promise<void> {
  const model = new ModelDatabase();
  let last: unknown;
  for (let ts = from; ts < from + RECORDS / 2; ts++) {
    const request = ["a", "b"].map((col) => {
      const doc = `d${ts % 2}`;
      return { col, doc, ts: { high: 0, low: ts }, data: dataOf(col, doc, ts) };
    });
    last = runCommand({ type: "ins", request }, database, model);
    // A group each.
    await last;
  }
  for (const col of ["a", "b"]) await database.setValue({ col, key: "k", value: `${col} ${from}` });
}

const databases = (world: World): string[] => [
  join(world.directory, "catalog.db"),
  ...["a", "b"].map((name) => fileOf(world, name)),
];

const fileOf = (world: World, name: string): string => join(world.directory, "collections", `${name}.db`);
const journalOf = (world: World): string => {
  const folder = join(world.directory, "journal");
  return join(folder, readdirSync(folder).find((name) => name.endsWith(".log")) as string);
};

/** Where the groups of the journal begin in its one file. */
function placesOfGroups(bytes: Buffer): number[] {
  const places: number[] = [];
  for (let at = 0; at < bytes.length; at += GROUP_HEAD_BYTES + bytes.readUInt32LE(at + 8)) places.push(at);
  return places;
}

/** The tenth insert since the checkpoint, which is the tenth group of the journal, loses some bytes, or all. */
function damageGroup(world: World, { isMissing }: { isMissing: boolean }): void {
  const file = journalOf(world);
  const bytes = readFileSync(file);
  const [start, end] = placesOfGroups(bytes).slice(9, 11) as [number, number];
  if (isMissing) writeFileSync(file, Buffer.concat([bytes.subarray(0, start), bytes.subarray(end)]));
  else writeFileSync(file, bytes.fill(0, start + GROUP_HEAD_BYTES + 20, end));
}

/** What there is up to that insert. */
const BEFORE_THAT_GROUP = Object.fromEntries(
  Object.entries({ "a d0": 0, "a d1": 1, "b d0": 0, "b d1": 1 }).map(([name, first]) => [
    name,
    Array.from({ length: 15 - first }, (_, index) => first + index * 2).filter((ts) => ts < 29),
  ]),
);

const catalogOf = (world: World): string => join(world.directory, "catalog.db");

function edit(file: string, ...statements: string[]): void {
  const database = new Database(file, { create: false, readwrite: true });
  for (const statement of statements) database.run(statement);
  database.close();
}

/** What the database holds, `COLLECTION DOCUMENT` and its times; each record must be what was written. */
function holdings(database: MemoryDatabase): Record<string, number[]> {
  const found: Record<string, number[]> = {};
  for (const col of JSON.parse(textOf(database.collections())) as string[]) {
    for (const doc of ["d0", "d1"]) {
      const range = {
        from: TIMESTAMP_MIN,
        to: TIMESTAMP_MAX,
        limit: 0,
        reverse: false,
        where: "",
        filter: "",
      };
      const records = JSON.parse(textOf(database.history({ col, doc, ...range }))) as {
        ts: number;
        data: string;
      }[];
      for (const { ts, data } of records) expect(data).toBe(dataOf(col, doc, ts));
      if (records.length > 0) found[`${col} ${doc}`] = records.map(({ ts }) => ts);
    }
  }
  return found;
}

const timesOf = (first: number, step: number, end = RECORDS): number[] =>
  Array.from({ length: Math.ceil((end - first) / step) }, (_, index) => first + index * step);

const ALL: Record<string, number[]> = {
  "a d0": timesOf(0, 2),
  "a d1": timesOf(1, 2),
  "b d0": timesOf(0, 2),
  "b d1": timesOf(1, 2),
};

function filesOf(directory: string): Map<string, string> {
  const files = new Map<string, string>();
  for (const name of readdirSync(directory, { recursive: true }) as string[]) {
    const path = join(directory, name);
    if (!/\.(db|log)$/.test(name) || name.startsWith("damaged")) continue;
    if (statSync(path).isFile()) files.set(name, readFileSync(path).toBase64());
  }
  return files;
}

async function recover(world: World): Promise<Recovery> {
  const before = filesOf(world.directory);
  const recovery = await recoverDirectory(world.directory, { now: NOW });
  const after = filesOf(world.directory);
  for (const [name, bytes] of before) {
    // What has changed is kept as it was found.
    if (after.get(name) === bytes) continue;
    expect(readFileSync(join(recovery.keptIn as string, name)).toBase64()).toBe(bytes);
  }
  expect(readdirSync(world.directory).filter((name) => name.startsWith("snapshot"))).toEqual([]);
  return recovery;
}

/** Without a recovery the start is refused, or whoever asks for what is damaged; and both say how to go on. */
async function checkRefusal(world: World): Promise<void> {
  await using _world = world;
  let refusal: unknown;
  try {
    await world.open();
    holdings(world.database);
  } catch (error) {
    refusal = error;
  }
  expect(refusal).toMatchObject({ message: expect.stringContaining("--recover") });
}

const without = (...names: string[]): Record<string, number[]> =>
  Object.fromEntries(Object.entries(ALL).filter(([name]) => !names.some((each) => name.startsWith(each))));

type Case = {
  readonly what: string;
  readonly damage: (world: World) => void;
  readonly leftOut: RegExp[];
  readonly holds: Record<string, number[]>;
};

test.each<Case>([
  {
    what: "a body that is damaged",
    damage: (world) => edit(fileOf(world, "a"), "UPDATE bodies SET body = x'00' WHERE id = 1"),
    leftOut: [
      /a\.db \(collection "a"\): document "d0": 4 records from 0 to 6 \(chunk 1\): it fails its checksum/,
      /a\.db .*in all 4 of 20 records/,
    ],
    holds: { ...ALL, "a d0": timesOf(8, 2) },
  },
  {
    what: "a chunk's row that is damaged",
    damage: (world) => edit(fileOf(world, "a"), "UPDATE chunks SET count = 2 WHERE id = 1"),
    leftOut: [/chunk 1, whose row fails its checksum/, /in all 4 of 20 records/],
    holds: { ...ALL, "a d0": timesOf(8, 2) },
  },
  {
    what: "a document whose row is damaged",
    damage: (world) => edit(fileOf(world, "a"), "UPDATE documents SET name = 'x' WHERE id = 1"),
    leftOut: [
      /document 1, whose name fails its checksum/,
      /document 1: 4 records from 0 to 6 \(chunk 1\): its document is left out/,
      /document 1: 4 records from 8 to 14/,
      /document 1: 2 records from 16 to 18/,
      /in all 1 of 2 documents/,
      /in all 10 of 20 records/,
    ],
    holds: { ...ALL, "a d0": timesOf(20, 2) },
  },
  {
    what: "a meta table that is empty",
    damage: (world) => edit(fileOf(world, "a"), "DELETE FROM meta"),
    leftOut: [/its meta table/],
    holds: ALL,
  },
  {
    what: "a file that is no database",
    damage: (world) => writeFileSync(fileOf(world, "a"), "not a database".repeat(1000)),
    leftOut: [/a\.db \(collection "a"\): all of it: .*no SQLite database/],
    holds: { ...without("a "), "a d0": timesOf(20, 2), "a d1": timesOf(21, 2) },
  },
  {
    what: "a file that is empty",
    damage: (world) => truncateSync(fileOf(world, "a")),
    leftOut: [/all of it: .*no FluxionDB collection/],
    holds: { ...without("a "), "a d0": timesOf(20, 2), "a d1": timesOf(21, 2) },
  },
  {
    what: "a file that is missing",
    damage: (world) => rmSync(fileOf(world, "a")),
    leftOut: [/all of it: the file is missing/],
    holds: { ...without("a "), "a d0": timesOf(20, 2), "a d1": timesOf(21, 2) },
  },
  {
    what: "another collection's file",
    damage: (world) => copyFileSync(fileOf(world, "b"), fileOf(world, "a")),
    leftOut: [/all of it: it holds the collection "b"/],
    holds: { ...without("a "), "a d0": timesOf(20, 2), "a d1": timesOf(21, 2) },
  },
  {
    what: "a group of the journal that is damaged",
    damage: (world) => damageGroup(world, { isMissing: false }),
    leftOut: [/^journal: all after group 31, \d+ bytes: .*group 32 of the journal is missing or fails/],
    holds: BEFORE_THAT_GROUP,
  },
  {
    what: "a group of the journal that is missing",
    damage: (world) => damageGroup(world, { isMissing: true }),
    leftOut: [/^journal: all after group 31, \d+ bytes: .*group 32 of the journal is missing or fails/],
    holds: BEFORE_THAT_GROUP,
  },
  {
    what: "a catalog that is no database",
    damage: (world) => writeFileSync(catalogOf(world), "x".repeat(9000)),
    leftOut: [/catalog\.db: all of it, with the API keys/],
    holds: ALL,
  },
  {
    what: "a catalog that is missing",
    damage: (world) => rmSync(catalogOf(world)),
    leftOut: [/catalog\.db: all of it/],
    holds: ALL,
  },
  {
    what: "a list of collections that is not whole",
    damage: (world) => edit(catalogOf(world), "DELETE FROM collections WHERE name = 'a'"),
    leftOut: [/catalog\.db: a part of the list of collections/],
    holds: ALL,
  },
  {
    what: "a list of collections with a name that is wrong",
    damage: (world) => edit(catalogOf(world), "UPDATE collections SET name = 'x' WHERE name = 'a'"),
    leftOut: [
      /a\.db \(collection "a"\): nothing, but it is not listed/,
      /x\.db \(collection "x"\): all of it: the file is missing/,
    ],
    holds: ALL,
  },
  {
    what: "a list of collections with a name that is none, and a file that belongs to nobody",
    damage: (world) => {
      edit(catalogOf(world), "UPDATE collections SET name = 'a\"b' WHERE name = 'a'");
      writeFileSync(fileOf(world, "stray"), "");
    },
    leftOut: [
      /catalog\.db: a collection whose name cannot be read: a"b/,
      /catalog\.db: a part of the list of collections/,
      /stray\.db: all of it: it is not listed, and does not say what it holds/,
    ],
    holds: ALL,
  },
  {
    what: "an API key that is damaged",
    damage: (world) =>
      edit(catalogOf(world), "INSERT INTO api_keys VALUES (x'0102', 'readonly', x'03', 4, NULL)"),
    leftOut: [/catalog\.db: API key 0102, which fails its checksum/],
    holds: ALL,
  },
])("$what: the rest is there after a recovery, and stays", async ({ damage, leftOut, holds }) => {
  await using world = await filledWorld();
  damage(world);
  await checkRefusal(world.copy());
  const recovery = await recover(world);
  expect(recovery.keptIn).toBe(join(world.directory, KEPT));
  expect(recovery.leftOut.length).toBe(leftOut.length);
  for (const [index, pattern] of leftOut.entries()) expect(recovery.leftOut[index]).toMatch(pattern);
  expect(readFileSync(join(world.directory, KEPT, "left-out.txt"), "utf8")).toBe(
    `${recovery.leftOut.join("\n")}\n`,
  );
  await world.open();
  expect(holdings(world.database)).toEqual(holds);
  // It goes on as any other, and there is nothing more to recover.
  await fill(world.database, 100);
  await world.crash();
  await world.open();
  expect(holdings(world.database)["a d0"]).toEqual([...(holds["a d0"] ?? []), ...timesOf(100, 2, 120)]);
  await world.close();
  expect(await recover(world)).toEqual({ keptIn: undefined, leftOut: [] });
});

test("what is whole is left as it is", async () => {
  await using world = await filledWorld();
  const before = filesOf(world.directory);
  expect(await recover(world)).toEqual({ keptIn: undefined, leftOut: [] });
  expect(filesOf(world.directory)).toEqual(before);
});

test("API keys outlive a list of collections that cannot be read", async () => {
  await using world = await World.open();
  await world.database.setValue({ col: "a", key: "k", value: "v" });
  const digest = new Uint8Array(32).fill(7);
  await world.storage.putApiKey({ digest, scope: "readonly", limits: null, sealed: new Uint8Array(8) });
  await world.close();
  edit(catalogOf(world), "UPDATE collections SET name = 'a\"b'");
  await checkRefusal(world.copy());
  await recover(world);
  await world.open();
  expect(world.storage.apiKeys().map((key) => key.digest)).toEqual([digest]);
  expect(JSON.parse(textOf(world.database.collections()))).toEqual(["a"]);
});

test("a file whose rows can all be read, and whose pages can not be written to, is written anew", async () => {
  await using world = await filledWorld();
  const file = fileOf(world, "a");
  const bytes = readFileSync(file);
  const pageBytes = bytes.readUInt16BE(16);
  // Where a leaf's free room begins: only who adds a row looks there.
  for (let page = pageBytes; page < bytes.length; page += pageBytes) {
    if (bytes[page] === LEAF) bytes.writeUInt16BE(1, page + 1);
  }
  writeFileSync(file, bytes);
  const { leftOut } = await recover(world);
  expect(leftOut).toEqual([expect.stringContaining("nothing; its pages were damaged")]);
  await world.open();
  expect(holdings(world.database)).toEqual(ALL);
  await world.database.setValue({ col: "a", key: "new", value: "v" });
  await world.database.checkpoint();
});

test("a second recovery keeps its files beside those of the first", async () => {
  await using world = await filledWorld();
  rmSync(fileOf(world, "a"));
  expect((await recover(world)).keptIn).toBe(join(world.directory, KEPT));
  rmSync(fileOf(world, "b"));
  expect((await recover(world)).keptIn).toBe(join(world.directory, `${KEPT}-2`));
  expect(existsSync(join(world.directory, KEPT, "left-out.txt"))).toBe(true);
});

test.each(["catalog.db", "collections/a.db"])(
  "%s of a newer server is refused all the same",
  async (name) => {
    await using world = await filledWorld();
    edit(join(world.directory, name), "PRAGMA user_version = 9");
    const before = filesOf(world.directory);
    await expect(recoverDirectory(world.directory, { now: NOW })).rejects.toThrow(/newer/);
    expect(filesOf(world.directory)).toEqual(before);
  },
);

test("a directory that is in use is refused", async () => {
  await using world = await World.open();
  // As another process would find it: SQLite knows its own.
  const script = `import { recoverDirectory } from ${JSON.stringify(join(import.meta.dir, "../../src/storage/recovery.ts"))};
    await recoverDirectory(${JSON.stringify(world.directory)}, { now: new Date() });`;
  const { exitCode, stderr } = Bun.spawnSync([process.execPath, "-e", script]);
  expect(stderr.toString()).toContain("is in use by another process");
  expect(exitCode).toBe(1);
});

test("files that are swapped are kept, and named", async () => {
  await using world = await filledWorld();
  renameSync(fileOf(world, "a"), fileOf(world, "x"));
  renameSync(fileOf(world, "b"), fileOf(world, "a"));
  renameSync(fileOf(world, "x"), fileOf(world, "b"));
  const { leftOut } = await recover(world);
  expect(leftOut).toEqual([
    expect.stringContaining('(collection "a"): all of it: it holds the collection "b"'),
    expect.stringContaining('(collection "b"): all of it: it holds the collection "a"'),
  ]);
});

test("after any damage, what is answered is right, or refused; and a recovery starts", async () => {
  const seed = crypto.getRandomValues(new Int32Array(1))[0] as number;
  const random = randomFrom(seed);
  await using pattern = await filledWorld();
  for (let round = 0; round < 25; round++) {
    await using world = pattern.copy();
    const files = [...databases(world), journalOf(world)];
    const file = files[Math.floor(random() * files.length)] as string;
    const what = damageAtRandom(file, random);
    try {
      await checkDamaged(world.copy());
      await recoverDirectory(world.directory, { now: NOW });
      await world.open();
      const held = holdings(world.database);
      for (const [name, times] of Object.entries(held))
        expect(ALL[name]).toEqual(expect.arrayContaining(times));
      await world.close();
    } catch (cause) {
      // The number of the format is in no checksum: a file that says that it is newer may be.
      if (/newer than this server's/.test(String(cause))) continue;
      throw new Error(`${file}: ${what}, seed ${seed}`, { cause });
    }
  }
}, 60_000);

/** What a page of a table begins with that has rows in it. */
const LEAF = 13;

/** Flips bytes, cuts, or overwrites a part with zeros. */
function damageAtRandom(file: string, random: () => number): string {
  const bytes = readFileSync(file);
  const at = Math.floor(random() * bytes.length);
  // A journal that is cut off is one that a power cut has cut off.
  const share = file.endsWith(".log") ? 0.5 : random();
  if (share < 0.2) {
    truncateSync(file, at);
    return `cut at ${at}`;
  }
  const length = share < 0.7 ? 1 : Math.floor(random() * 5000);
  for (let index = at; index < Math.min(bytes.length, at + length); index++) {
    bytes[index] = share < 0.7 ? (bytes[index] as number) ^ (1 << Math.floor(random() * 8)) : 0;
  }
  writeFileSync(file, bytes);
  return `${length} bytes from ${at} on`;
}

/** Without --recover: a start that is refused, or right answers and refusals. */
async function checkDamaged(world: World): Promise<void> {
  await using _world = world;
  try {
    await world.open();
  } catch (error) {
    expect(error).toBeInstanceOf(StorageError);
    return;
  }
  try {
    const found = holdings(world.database);
    // Nothing is missing without being told.
    expect(found).toEqual(ALL);
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    expect(error.code).toBe("storage_failed");
  }
}
