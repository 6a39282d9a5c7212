/**
 * A copy of a database that goes on: whatever is written and saved meanwhile, it is the database as of one moment.
 */
import { expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import fc from "fast-check";
import { MemoryDatabase } from "../../src/engine/memory_database.ts";
import { SqliteStorage } from "../../src/storage/sqlite_storage.ts";
import { command, type ModelCommand } from "../engine/commands.ts";
import { AT_ONCE, compareWhole, runCommand } from "../engine/harness.ts";
import { ModelDatabase } from "../engine/model.ts";
import { runCommands } from "./steps.ts";
import { World } from "./world.ts";

const commands = fc.array(command, { minLength: 20, maxLength: 40 });

/** Runs commands one after another until the work is done; returns those that were run. */
async function writeDuring(
  world: World,
  { model, source }: { model: ModelDatabase; source: readonly ModelCommand[] },
  work: Promise<unknown>,
): Promise<ModelCommand[]> {
  const done: ModelCommand[] = [];
  let isOver = false;
  const over = work.finally(() => {
    isOver = true;
  });
  while (!isOver) {
    const next = source[done.length % source.length] as ModelCommand;
    done.push(next);
    await runCommand(next, world.database, model);
    // The next one begins only when this one is committed, so a copy holds the first so many.
    if (done.length % 3 === 0) await world.database.checkpoint();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await over;
  return done;
}

/** Which of the states, after so many commands, a directory holds. */
async function stateOf(
  directory: string,
  { before, during }: { before: readonly ModelCommand[]; during: readonly ModelCommand[] },
): Promise<number | undefined> {
  const storage = await SqliteStorage.open({ directory, durability: "everysec" });
  try {
    const database = new MemoryDatabase({ storage, longWork: AT_ONCE });
    await database.load();
    for (let count = 0; count <= during.length; count++) {
      if (isSame(database, modelOf([...before, ...during.slice(0, count)]))) return count;
    }
    return undefined;
  } finally {
    await storage.abandon();
  }
}

function modelOf(all: readonly ModelCommand[]): ModelDatabase {
  const model = new ModelDatabase();
  const database = new MemoryDatabase({ longWork: AT_ONCE });
  for (const each of all) void runCommand(each, database, model);
  return model;
}

function isSame(database: MemoryDatabase, model: ModelDatabase): boolean {
  try {
    compareWhole(database, model);
    return true;
  } catch {
    return false;
  }
}

test("a snapshot is of one moment, with all that was committed before it began", async () => {
  await fc.assert(
    fc.asyncProperty(commands, commands, async (before, source) => {
      await using world = await World.open();
      const model = new ModelDatabase();
      await runCommands(world, model, before);
      const making = world.database.snapshot();
      const during = await writeDuring(world, { model, source }, making);
      const snapshot = await making;
      expect(await stateOf(snapshot?.folder as string, { before, during })).toBeDefined();
      await snapshot?.remove();
      expect(existsSync(snapshot?.folder as string)).toBe(false);
      // The journal was not cut meanwhile, and nothing is lost or repeated when it is.
      await world.crash();
      await world.open();
      compareWhole(world.database, model);
      await world.close();
    }),
    { numRuns: 12 },
  );
}, 60_000);

test("snapshots wait for each other, and for none of them a copy stays", async () => {
  await using world = await World.open();
  const model = new ModelDatabase();
  await runCommands(world, model, fc.sample(commands, { numRuns: 1, seed: 3 })[0] as ModelCommand[]);
  const [one, two] = await Promise.all([world.database.snapshot(), world.database.snapshot()]);
  expect(one?.folder).not.toBe(two?.folder as string);
  const closing = world.database.snapshot();
  await world.database.close();
  await Promise.all([one, two, await closing].map((each) => each?.remove()));
  expect(readdirSync(world.directory).filter((name) => name.startsWith("snapshot"))).toEqual([]);
});
