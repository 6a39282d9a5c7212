/**
 * The database on disk: what is there after a restart, a crash, and a crash in the middle of a checkpoint.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { SqliteStorage } from "../../src/storage/sqlite_storage.ts";
import type { Storage } from "../../src/storage/storage.ts";
import { command, type ModelCommand } from "../engine/commands.ts";
import { AT_ONCE, compareWhole, IN_PIECES, runCommand } from "../engine/harness.ts";
import { type InsertedRecord, ModelDatabase } from "../engine/model.ts";
import { runCommands, runSteps, step } from "./steps.ts";
import { World } from "./world.ts";

test("after any restarts, crashes and checkpoints the database is what the model is", async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 14 }), runSteps), {
    numRuns: 60,
  });
}, 180_000);

/** The storage until a number of calls that write were made; then everything ends, as in a crash. */
function crashAfter(storage: SqliteStorage, calls: number): Storage {
  let left = calls;
  const steps = new Set([
    "beginCheckpoint",
    "savePortion",
    "commitCheckpoint",
    "dropCollection",
    "cutJournal",
  ]);
  return new Proxy(storage, {
    get(target, name) {
      const value = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      if (!steps.has(String(name))) return value.bind(target);
      return async (...args: unknown[]) => {
        if (left-- <= 0) {
          await target.abandon();
          throw new Error("crashed");
        }
        return value.apply(target, args);
      };
    },
  });
}

test("a crash between any two steps of a checkpoint loses nothing and repeats nothing", async () => {
  const samples = fc.sample(fc.array(command, { minLength: 30, maxLength: 30 }), { numRuns: 4, seed: 11 });
  for (const [index, before] of samples.entries()) {
    const after = samples[(index + 1) % samples.length] as ModelCommand[];
    let isOver = false;
    for (let calls = 0; !isOver; calls++) {
      await using world = await World.open();
      const model = new ModelDatabase();
      await runCommands(world, model, before);
      await world.close();
      await world.open((storage) => crashAfter(storage, calls));
      await runCommands(world, model, after);
      isOver = await world.database.checkpoint().then(
        () => true,
        () => false,
      );
      await world.crash();
      await world.open();
      compareWhole(world.database, model);
    }
  }
}, 180_000);

test("a checkpoint saves nothing of a document whose memory is still being freed", async () => {
  for (const deletion of [
    { type: "ddoc", request: { col: "c", doc: "d" } },
    { type: "dcol", request: { col: "c" } },
  ] as const) {
    await using world = await World.open();
    const model = new ModelDatabase();
    world.longWork = IN_PIECES;
    await world.close();
    // Deleted when the checkpoint has begun; then all is taken at once, before another turn can free more.
    let deleted: Promise<void> | undefined;
    await world.open((storage) =>
      afterCall(storage, "beginCheckpoint", () => {
        deleted = runCommand(deletion, world.database, model);
      }),
    );
    const records = (doc: string, count: number): InsertedRecord[] =>
      Array.from({ length: count }, (_, at) => ({ col: "c", doc, ts: { high: 0, low: at }, data: "x" }));
    await runCommands(world, model, [{ type: "ins", request: [...records("d", 100), ...records("e", 5)] }]);
    await world.database.checkpoint();
    await deleted;
    await world.crash();
    world.longWork = AT_ONCE;
    await world.open();
    expect(world.database.counts()).toMatchObject({ documents: deletion.type === "ddoc" ? 1 : 0 });
    compareWhole(world.database, model);
  }
});

/** The storage, and what is to happen when a call of one method has ended. */
function afterCall(storage: SqliteStorage, method: keyof Storage, then: () => void): Storage {
  return new Proxy<Storage>(storage, {
    get(target, name) {
      const value: unknown = Reflect.get(storage, name, target);
      if (typeof value !== "function") return value;
      if (name !== method) return value.bind(storage);
      return async (...args: unknown[]): Promise<unknown> => {
        const result: unknown = await value.apply(storage, args);
        then();
        return result;
      };
    },
  });
}

test("the threads' own steps survive a crash: between the file and its place in the list", async () => {
  for (const method of ["syncFolder", "addCollections", "removeCollection", "removeFile"]) {
    await using world = await World.open();
    const model = new ModelDatabase();
    await runCommands(world, model, [{ type: "sval", request: { col: "a", key: "k", value: "1" } }]);
    await world.database.checkpoint();
    await runCommands(world, model, [
      { type: "dcol", request: { col: "a" } },
      { type: "sval", request: { col: "b", key: "k", value: "2" } },
      { type: "sval", request: { col: "a", key: "k2", value: "3" } },
    ]);
    const checkpoint = world.database.checkpoint();
    crashBeforeCall(method);
    await checkpoint.catch(() => {});
    restoreCalls();
    await world.crash();
    await world.open();
    compareWhole(world.database, model);
  }
});

const postMessage = Worker.prototype.postMessage;
function crashBeforeCall(method: string): void {
  Worker.prototype.postMessage = function (this: Worker, message: { method?: string }, ...rest: never[]) {
    if (message.method === method) this.terminate();
    else postMessage.call(this, message, ...rest);
  };
}
function restoreCalls(): void {
  Worker.prototype.postMessage = postMessage;
}

test("with durability interval a crash loses what came after the last checkpoint, and nothing else", async () => {
  await using world = await World.open("interval");
  const saved = new ModelDatabase();
  const commands = fc.sample(command, { numRuns: 60, seed: 3 });
  await runCommands(world, saved, commands);
  await world.database.checkpoint();
  await runCommands(world, new ModelDatabase(), [
    { type: "sval", request: { col: "late", key: "k", value: "v" } },
  ]);
  await world.crash();
  await world.open();
  compareWhole(world.database, saved);
});

test("a checkpoint leaves nothing of the journal behind, and numbers go on after it", async () => {
  await using world = await World.open();
  const model = new ModelDatabase();
  await runCommands(world, model, fc.sample(command, { numRuns: 40, seed: 5 }));
  await world.close();
  await world.open();
  expect(await world.storage.journalGroups(0)).toEqual([]);
  expect(world.storage.lastGroup).toBeGreaterThan(0);
  await runCommands(world, model, [{ type: "sval", request: { col: "a", key: "new", value: "v" } }]);
  await world.crash();
  await world.open();
  compareWhole(world.database, model);
});

test("a second server on the same directory is refused with the first one's process id", async () => {
  await using world = await World.open();
  const second = SqliteStorage.open({ directory: world.directory, durability: "everysec" });
  await expect(second).rejects.toThrow(`in use by process ${process.pid}`);
});
