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
import { StorageError } from "../../src/storage/storage.ts";
import { randomFrom } from "../e2e/crash_round.ts";
import { runCommand } from "../engine/harness.ts";
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
const catalogOf = (world: World): string => join(world.directory, "catalog.db");

function edit(file: string, ...statements: string[]): void {
  const database = new Database(file, { create: false, readwrite: true });
  for (const statement of statements) database.run(statement);
  database.close();
}

/** What the database holds, `COLLECTION DOCUMENT` and its times; each record must be what was written. */
function holdings(database: MemoryDatabase): Record<string, number[]> {
  const found: Record<string, number[]> = {};
  for (const col of JSON.parse(database.collections()) as string[]) {
    for (const doc of ["d0", "d1"]) {
      const range = {
        from: TIMESTAMP_MIN,
        to: TIMESTAMP_MAX,
        limit: 0,
        reverse: false,
        where: "",
        filter: "",
      };
      const records = JSON.parse(database.history({ col, doc, ...range }) as string) as {
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
    if (!name.endsWith(".db") || name.startsWith("damaged")) continue;
    if (statSync(path).isFile()) files.set(name, readFileSync(path).toBase64());
  }
  return files;
}

function recover(world: World): Recovery {
  const before = filesOf(world.directory);
  const recovery = recoverDirectory(world.directory, { now: NOW });
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
    damage: (world) =>
      edit(
        catalogOf(world),
        "UPDATE journal SET body = x'00' WHERE number = (SELECT max(number) - 1 FROM journal)",
      ),
    leftOut: [/catalog\.db: group 43 of the journal, which fails its checksum/],
    holds: ALL,
  },
  {
    what: "a group of the journal that is missing",
    damage: (world) =>
      edit(catalogOf(world), "DELETE FROM journal WHERE number = (SELECT min(number) FROM journal)"),
    leftOut: [/catalog\.db: group 23 of the journal, which is missing/],
    holds: {
      ...ALL,
      "a d0": [...timesOf(0, 2, 20), ...timesOf(22, 2)],
      "b d0": [...timesOf(0, 2, 20), ...timesOf(22, 2)],
    },
  },
  {
    what: "a catalog that is no database",
    damage: (world) => writeFileSync(catalogOf(world), "x".repeat(9000)),
    leftOut: [/catalog\.db: all of it, with the journal and the API keys/],
    holds: {
      "a d0": timesOf(0, 2, 20),
      "a d1": timesOf(1, 2, 20),
      "b d0": timesOf(0, 2, 20),
      "b d1": timesOf(1, 2, 20),
    },
  },
  {
    what: "a catalog that is missing",
    damage: (world) => rmSync(catalogOf(world)),
    leftOut: [/catalog\.db: all of it/],
    holds: {
      "a d0": timesOf(0, 2, 20),
      "a d1": timesOf(1, 2, 20),
      "b d0": timesOf(0, 2, 20),
      "b d1": timesOf(1, 2, 20),
    },
  },
  {
    what: "a list of collections that is not whole",
    damage: (world) => edit(catalogOf(world), "DELETE FROM collections WHERE name = 'a'"),
    leftOut: [/catalog\.db: a part of the list of collections/],
    holds: ALL,
  },
  {
    what: "an API key that is damaged",
    damage: (world) => edit(catalogOf(world), "INSERT INTO api_keys VALUES (x'0102', 'readonly', x'03', 4)"),
    leftOut: [/catalog\.db: API key 0102, which fails its checksum/],
    holds: ALL,
  },
])("$what: the rest is there after a recovery, and stays", async ({ damage, leftOut, holds }) => {
  await using world = await filledWorld();
  damage(world);
  await checkRefusal(world.copy());
  const recovery = recover(world);
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
  expect(recover(world)).toEqual({ keptIn: undefined, leftOut: [] });
});

test("what is whole is left as it is", async () => {
  await using world = await filledWorld();
  const before = filesOf(world.directory);
  expect(recover(world)).toEqual({ keptIn: undefined, leftOut: [] });
  expect(filesOf(world.directory)).toEqual(before);
});

test("a second recovery keeps its files beside those of the first", async () => {
  await using world = await filledWorld();
  rmSync(fileOf(world, "a"));
  expect(recover(world).keptIn).toBe(join(world.directory, KEPT));
  rmSync(fileOf(world, "b"));
  expect(recover(world).keptIn).toBe(join(world.directory, `${KEPT}-2`));
  expect(existsSync(join(world.directory, KEPT, "left-out.txt"))).toBe(true);
});

test.each(["catalog.db", "collections/a.db"])(
  "%s of a newer server is refused all the same",
  async (name) => {
    await using world = await filledWorld();
    edit(join(world.directory, name), "PRAGMA user_version = 9");
    const before = filesOf(world.directory);
    expect(() => recoverDirectory(world.directory, { now: NOW })).toThrow(/newer/);
    expect(filesOf(world.directory)).toEqual(before);
  },
);

test("a directory that is in use is refused", async () => {
  await using world = await World.open();
  // As another process would find it: SQLite knows its own.
  const script = `import { recoverDirectory } from ${JSON.stringify(join(import.meta.dir, "../../src/storage/recovery.ts"))};
    recoverDirectory(${JSON.stringify(world.directory)}, { now: new Date() });`;
  const { exitCode, stderr } = Bun.spawnSync([process.execPath, "-e", script]);
  expect(stderr.toString()).toContain("is in use by another process");
  expect(exitCode).toBe(1);
});

test("files that are swapped are kept, and named", async () => {
  await using world = await filledWorld();
  renameSync(fileOf(world, "a"), fileOf(world, "x"));
  renameSync(fileOf(world, "b"), fileOf(world, "a"));
  renameSync(fileOf(world, "x"), fileOf(world, "b"));
  const { leftOut } = recover(world);
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
    const files = databases(world);
    const file = files[Math.floor(random() * files.length)] as string;
    const what = damageAtRandom(file, random);
    try {
      await checkDamaged(world.copy());
      recoverDirectory(world.directory, { now: NOW });
      await world.open();
      const held = holdings(world.database);
      for (const [name, times] of Object.entries(held))
        expect(ALL[name]).toEqual(expect.arrayContaining(times));
      await world.close();
    } catch (cause) {
      throw new Error(`${file}: ${what}, seed ${seed}`, { cause });
    }
  }
}, 60_000);

/** Flips bytes, cuts, or overwrites a part with zeros. */
function damageAtRandom(file: string, random: () => number): string {
  const bytes = readFileSync(file);
  const at = Math.floor(random() * bytes.length);
  const share = random();
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
