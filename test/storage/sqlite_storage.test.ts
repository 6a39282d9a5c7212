/**
 * The database on disk: what is there after a restart, a crash, and a crash in the middle of a checkpoint.
 */
import { Database } from "bun:sqlite";
import { expect, spyOn, test } from "bun:test";
import {
  copyFileSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import type { Written } from "../../src/engine/database.ts";
import { checksumOf } from "../../src/storage/checksum.ts";
import { CollectionFile } from "../../src/storage/collection_file.ts";
import { JournalFiles } from "../../src/storage/journal_files.ts";
import { SqliteStorage } from "../../src/storage/sqlite_storage.ts";
import { type Storage, StorageError } from "../../src/storage/storage.ts";
import { type Call, WorkerLink } from "../../src/threads/worker_link.ts";
import { command, type ModelCommand } from "../engine/commands.ts";
import { AT_ONCE, compareWhole, IN_PIECES, runCommand } from "../engine/harness.ts";
import { type InsertedRecord, ModelDatabase } from "../engine/model.ts";
import { onLinux, replaceDescriptor } from "../support/descriptor.ts";
import { toFormat } from "./older_catalog.ts";
import { runCommands, runSteps, step } from "./steps.ts";
import { World } from "./world.ts";

test.each(["everysec", "always"] as const)(
  "with durability %s, after any restarts, crashes and checkpoints the database is what the model is",
  async (durability) => {
    const steps = fc.array(step, { minLength: 2, maxLength: 14 });
    await fc.assert(
      fc.asyncProperty(steps, (each) => runSteps(each, durability)),
      { numRuns: 40 },
    );
  },
  180_000,
);

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
    let deleted: Written;
    await world.open((storage) =>
      afterCall(storage, "beginCheckpoint", () => {
        deleted = runCommand(deletion, world.database, model);
      }),
    );
    const records = (doc: string, count: number): InsertedRecord[] =>
      Array.from({ length: count }, (_, at) => ({ col: "c", doc, ts: { high: 0, low: at }, data: "x" }));
    await runCommands(world, model, [{ type: "ins", request: [...records("d", 100), ...records("e", 5)] }]);
    await world.database.checkpoint();
    // Its commit may come after the whole checkpoint, which does not wait for it.
    await deleted;
    await world.crash();
    world.longWork = AT_ONCE;
    await world.open();
    expect(world.database.counts()).toMatchObject({ documents: deletion.type === "ddoc" ? 1 : 0 });
    compareWhole(world.database, model);
  }
});

/** The storage, and what is to happen when a call of one method has ended. */
function afterCall(storage: SqliteStorage, method: keyof Storage, then: () => unknown): Storage {
  return new Proxy<Storage>(storage, {
    get(target, name) {
      const value: unknown = Reflect.get(storage, name, target);
      if (typeof value !== "function") return value;
      if (name !== method) return value.bind(storage);
      return async (...args: unknown[]): Promise<unknown> => {
        const result: unknown = await value.apply(storage, args);
        await then();
        return result;
      };
    },
  });
}

test("a checkpoint does not get ahead of the journal: no part of a batch is there without the rest", async () => {
  for (const { isSaved } of [{ isSaved: false }, { isSaved: true }]) {
    await using world = await World.open();
    const model = new ModelDatabase();
    const recordsAt = (low: number): InsertedRecord[] =>
      ["a", "b"].map((col) => ({ col, doc: "d", ts: { high: 0, low }, data: "x" }));
    await runCommands(world, model, [{ type: "ins", request: recordsAt(1) }]);
    if (isSaved) await world.database.checkpoint();
    await world.close();
    await world.open((storage) => afterCall(slowCommits(storage), "commitCheckpoint", () => world.crash()));
    const unanswered = outcomeOf(runCommand({ type: "ins", request: recordsAt(2) }, world.database, model));
    expect(await outcomeOf(world.database.checkpoint())).not.toBe("done");
    await unanswered;
    await world.open();
    compareWhole(world.database, model);
  }
});

test("a checkpoint leaves nothing older of a collection that is deleted while it goes on", async () => {
  await using world = await World.open("interval");
  const model = new ModelDatabase();
  const recordAt = (col: string, low: number): ModelCommand => ({
    type: "ins",
    request: [{ col, doc: "d", ts: { high: 0, low }, data: "x" }],
  });
  await runCommands(world, model, [recordAt("a", 1), recordAt("b", 1)]);
  await world.close();
  await world.open((storage) =>
    afterCall(storage, "beginCheckpoint", () =>
      runCommand({ type: "dcol", request: { col: "b" } }, world.database, model),
    ),
  );
  await runCommands(world, model, [recordAt("a", 2), recordAt("b", 2)]);
  await world.database.checkpoint();
  await world.crash();
  await world.open();
  compareWhole(world.database, model);
});

/** The storage, whose commits begin when the other thread has had the time for all of a checkpoint's steps. */
function slowCommits(storage: SqliteStorage): SqliteStorage {
  return new Proxy(storage, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      if (name !== "commitGroup") return value.bind(target);
      return async (...args: unknown[]): Promise<unknown> => {
        for (let turn = 0; turn < 10; turn++) await target.diskBytes();
        return value.apply(target, args);
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
    crashBeforeCall(method);
    try {
      // Not `expect(…).rejects`, which turns the event loop itself until then: a thread's end does not reach it there.
      expect(await outcomeOf(world.database.checkpoint())).toBe("A storage thread ended");
    } finally {
      restoreCalls();
    }
    await world.crash();
    await world.open();
    compareWhole(world.database, model);
  }
});

test("a collection whose place in the list the disk does not take back is there until it does", async () => {
  await using world = await World.open();
  const model = new ModelDatabase();
  await runCommands(world, model, [
    { type: "sval", request: { col: "a", key: "k", value: "1" } },
    { type: "sval", request: { col: "b", key: "k", value: "2" } },
  ]);
  await world.database.checkpoint();
  await runCommands(world, model, [{ type: "dcol", request: { col: "a" } }]);
  const { call } = WorkerLink.prototype;
  const spy = spyOn(WorkerLink.prototype, "call").mockImplementation(function (
    this: WorkerLink<unknown>,
    ...[method, ...args]
  ) {
    if (method === "removeCollection") return Promise.reject(new StorageError("the disk is full"));
    return call.call(this, method, ...args);
  } as typeof call);
  try {
    expect(await outcomeOf(world.database.checkpoint())).toBe("the disk is full");
  } finally {
    spy.mockRestore();
  }
  expect(readdirSync(join(world.directory, "collections")).sort()).toEqual(["a.db", "b.db"]);
  await world.database.checkpoint();
  expect(readdirSync(join(world.directory, "collections"))).toEqual(["b.db"]);
  await world.close();
  await world.open();
  compareWhole(world.database, model);
});

test("a collection that cannot be saved does not keep others from being saved", async () => {
  await using world = await World.open("interval");
  const model = new ModelDatabase();
  const value = (col: string, text: string): ModelCommand => ({
    type: "sval",
    request: { col, key: "k", value: text },
  });
  await runCommands(world, model, [value("a", "1"), value("b", "1")]);
  await world.database.checkpoint();
  await runCommands(world, model, [value("b", "2")]);
  await world.database.setValue({ col: "a", key: "k", value: "2" });
  const file = join(world.directory, "collections", "a.db");
  renameSync(file, `${file}.away`);
  expect(await outcomeOf(world.database.checkpoint())).toContain(`${file}: it cannot be opened`);
  await world.crash();
  renameSync(`${file}.away`, file);
  await world.open();
  compareWhole(world.database, model);
});

onLinux("a file that cannot be opened keeps no descriptor", async () => {
  await using world = await World.open();
  const file = join(realpathSync(world.directory), "collections", "x.db");
  writeFileSync(file, "no database".repeat(1000));
  for (const open of [CollectionFile.open, CollectionFile.openAtRest, CollectionFile.openBesideWriter]) {
    expect(() => open(file)).toThrow(StorageError);
  }
  const isOpen = (descriptor: string): boolean => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`) === file;
    } catch {
      return false;
    }
  };
  expect(readdirSync("/proc/self/fd").filter(isOpen)).toEqual([]);
});

const postMessage = Worker.prototype.postMessage;
function crashBeforeCall(method: string): void {
  Worker.prototype.postMessage = function (this: Worker, message: Call, ...rest: never[]) {
    if (message[1] === method) this.terminate();
    else postMessage.call(this, message, ...rest);
  };
}
function restoreCalls(): void {
  Worker.prototype.postMessage = postMessage;
}

test("when a thread ends, whoever waits for it is told, and that is all", async () => {
  await using world = await World.open();
  // The journal is let go of first, and the threads end then.
  const crash = world.crash();
  const copy = outcomeOf(world.storage.snapshot(() => crash));
  await crash;
  expect(await copy).toBe("A storage thread ended");
});

const outcomeOf = (promise: Promise<unknown> | undefined): Promise<string> =>
  Promise.resolve(promise).then(
    () => "done",
    (error: Error) => error.message,
  );

test("a file that a crash has left in the middle of a rollback is made whole before it is read", async () => {
  await using world = await World.open();
  const model = new ModelDatabase();
  const request = Array.from({ length: 300 }, (_, at) => ({
    col: "c",
    doc: `d${at}`,
    ts: { high: 0, low: at },
    data: "x".repeat(50),
  }));
  await runCommands(world, model, [{ type: "ins", request }]);
  await world.close();
  leaveRollback(world.folder.join("data", "collections", "c.db"));
  await world.open();
  compareWhole(world.database, model);
});

/** As after a kill in a transaction whose pages have been written, and that can only be rolled back. */
function leaveRollback(file: string): void {
  const database = new Database(file, { create: false, readwrite: true });
  for (const setting of ["journal_mode = DELETE", "cache_size = 1"]) database.run(`PRAGMA ${setting}`);
  database.run("BEGIN IMMEDIATE");
  database.run("UPDATE chunks SET checksum = 0");
  database.run("UPDATE growing SET body = x'00'");
  for (const suffix of ["", "-journal"]) copyFileSync(file + suffix, `${file}${suffix}.copy`);
  database.close();
  for (const suffix of ["", "-journal"]) renameSync(`${file}${suffix}.copy`, file + suffix);
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
  expect(readdirSync(join(world.directory, "journal"))).toEqual([]);
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

/** Makes of a directory that was left by a crash one as the servers before format 2 left it. */
async function makeOldFormat(directory: string): Promise<void> {
  const database = new Database(join(directory, "catalog.db"));
  toFormat(database, 1);
  const { last_group } = database.query("SELECT last_group FROM meta").get() as { last_group: number };
  const files = new JournalFiles({ directory, durability: "interval" });
  const old = new OldBody();
  for await (const groups of files.groups(last_group)) {
    for (const { number, body } of groups) {
      const isPacked = number % 2;
      const plain = old.of(Buffer.from(body));
      const stored = isPacked ? Bun.zstdCompressSync(plain) : plain;
      database
        .query("INSERT INTO journal VALUES (?, ?, ?, ?)")
        .run(number, isPacked, checksumOf(`${number}:${isPacked}`, stored), stored);
    }
  }
  await files.abandon();
  database.close();
  rmSync(join(directory, "journal"), { recursive: true, force: true });
}

/** A group names its documents itself in format 1, and `sval` is a command like any other. */
class OldBody {
  #documents: Buffer[] = [];

  of(body: Buffer): Buffer {
    const before = [...this.#documents];
    const entries: Buffer[] = [];
    for (let at = 0; at < body.length; ) {
      const end = at + 5 + body.readUInt32LE(at + 1);
      const entry = body.subarray(at, end);
      const kind = entry[0];
      if (kind === 4) {
        this.#documents = [];
        before.length = 0;
      } else if (kind === 5) {
        const [col, key, value] = JSON.parse(`[${entry.subarray(5)}]`) as string[];
        const json = Buffer.from(JSON.stringify(["sval", { col, key, value }]));
        const head = Buffer.from([3, 0, 0, 0, 0]);
        head.writeUInt32LE(json.length, 1);
        entries.push(head, json);
      } else entries.push(entry);
      if (kind === 1) this.#documents.push(Buffer.from(entry));
      at = end;
    }
    return Buffer.concat([...before, ...entries]);
  }
}

function formatOf(directory: string): { version: number; hasTable: boolean } {
  const database = new Database(join(directory, "catalog.db"), { readonly: true });
  const { user_version } = database.query("PRAGMA user_version").get() as { user_version: number };
  const hasTable = database.query("SELECT 1 FROM sqlite_schema WHERE name = 'journal'").get() !== null;
  database.close();
  return { version: user_version, hasTable };
}

test("a directory of format 1, with groups in its table, is read, written on and raised by a checkpoint", async () => {
  for (const seed of [1, 2, 3]) {
    await using world = await World.open();
    const model = new ModelDatabase();
    const [first, second, third] = fc.sample(fc.array(command, { minLength: 20, maxLength: 20 }), {
      numRuns: 3,
      seed,
    }) as [ModelCommand[], ModelCommand[], ModelCommand[]];
    await runCommands(world, model, first);
    await world.database.checkpoint();
    for (const each of second) await runCommands(world, model, [each]);
    await world.crash();
    await makeOldFormat(world.directory);

    // Reading changes nothing.
    await world.open();
    compareWhole(world.database, model);
    await world.crash();
    expect(formatOf(world.directory)).toEqual({ version: 1, hasTable: true });

    // A write makes it unreadable for the older server, which would not see it.
    await world.open();
    await runCommands(world, model, [{ type: "sval", request: { col: "new", key: "k", value: "1" } }]);
    await runCommands(world, model, third);
    await world.crash();
    expect(formatOf(world.directory)).toEqual({ version: 3, hasTable: true });
    await world.open();
    compareWhole(world.database, model);
    await world.database.checkpoint();
    await world.crash();
    expect(formatOf(world.directory)).toEqual({ version: 3, hasTable: false });
    await world.open();
    compareWhole(world.database, model);
  }
});

test("a table of format 1 with a group that is missing or damaged stops the start", async () => {
  for (const [damage, message] of [
    ["DELETE FROM journal WHERE number = 2", "group 2 of the journal is missing"],
    [
      "UPDATE journal SET body = substr(body, 1, length(body) - 1) WHERE number = 2",
      "group 2 of the journal fails",
    ],
  ] as const) {
    await using world = await World.open();
    for (const value of ["1", "2", "3"]) {
      await runCommands(world, new ModelDatabase(), [
        { type: "sval", request: { col: "a", key: "k", value } },
      ]);
    }
    await world.crash();
    await makeOldFormat(world.directory);
    const database = new Database(join(world.directory, "catalog.db"));
    database.run(damage);
    database.close();
    await expect(world.open()).rejects.toThrow(message);
  }
});

test("a journal that was taken away leaves the checkpoints, and what comes then is kept", async () => {
  await using world = await World.open();
  const model = new ModelDatabase();
  // A checkpoint that did not get as far as cutting the journal: its collections are ahead of what is noted.
  await world.close();
  await world.open((storage) => crashAfter(storage, 2));
  await runCommands(world, model, [{ type: "sval", request: { col: "a", key: "k", value: "1" } }]);
  await runCommands(world, model, [{ type: "sval", request: { col: "a", key: "k", value: "2" } }]);
  await world.database.checkpoint().catch(() => {});
  await world.crash();
  rmSync(join(world.directory, "journal"), { recursive: true });
  // The collection's file is not listed yet; without its journal there is nothing.
  await world.open();
  const empty = new ModelDatabase();
  compareWhole(world.database, empty);
  for (const value of ["3", "4"]) {
    await runCommands(world, empty, [{ type: "sval", request: { col: "a", key: "k", value } }]);
    await world.crash();
    await world.open();
    compareWhole(world.database, empty);
  }
});

test("a collection that is ahead of the journal stops the start: a part of the journal is missing", async () => {
  await using world = await World.open();
  const model = new ModelDatabase();
  await runCommands(world, model, [{ type: "sval", request: { col: "a", key: "k", value: "1" } }]);
  await world.database.checkpoint();
  const list = (): string[] => readdirSync(join(world.directory, "journal"));
  for (const value of ["2", "3", "4"]) {
    await runCommands(world, model, [{ type: "sval", request: { col: "a", key: "k", value } }]);
  }
  crashBeforeCall("cutJournal");
  await world.database.checkpoint().catch(() => {});
  restoreCalls();
  await world.crash();
  for (const name of list()) rmSync(join(world.directory, "journal", name));
  await expect(world.open()).rejects.toThrow(
    /a\.db is damaged: it has seen group 4, and the journal ends with 1/,
  );
});

test("a checkpoint is never ahead of what the journal has on the disk", async () => {
  await using world = await World.open();
  const model = new ModelDatabase();
  const seen: { durable: number; position: number }[] = [];
  Worker.prototype.postMessage = function (this: Worker, message: Call, ...rest: never[]) {
    const [, method, , marks] = message as [number, string, unknown, { journalPosition: number }];
    if (method === "commitCheckpoint") {
      const position = marks.journalPosition;
      seen.push({ durable: world.storage.durableGroup, position });
    }
    postMessage.call(this, message, ...rest);
  };
  try {
    for (const value of ["1", "2", "3"]) {
      await runCommands(world, model, [{ type: "sval", request: { col: "a", key: "k", value } }]);
      await world.database.checkpoint();
    }
  } finally {
    restoreCalls();
  }
  expect(seen.map(({ position }) => position)).toEqual([1, 2, 3]);
  for (const { durable, position } of seen) expect(durable).toBeGreaterThanOrEqual(position);
});

onLinux("a full disk refuses writes with storage_failed, and takes them again by itself", async () => {
  await using world = await World.open();
  const model = new ModelDatabase();
  const set = (value: string): ModelCommand => ({ type: "sval", request: { col: "a", key: "k", value } });
  await runCommands(world, model, [set("1")]);
  const folder = realpathSync(join(world.directory, "journal"));
  const restore = replaceDescriptor(join(folder, readdirSync(folder)[0] as string), "/dev/full");
  const failure = expect.objectContaining({
    code: "storage_failed",
    message: expect.stringContaining("the disk is full"),
  });
  // It is in memory, and it is written when there is room: what comes later builds on it.
  await expect(runCommands(world, model, [set("2")])).rejects.toEqual(failure);
  expect(() => runCommand(set("refused"), world.database, new ModelDatabase())).toThrow(
    expect.objectContaining({ code: "storage_failed" }),
  );
  await expect(world.database.checkpoint()).rejects.toThrow("the disk is full");
  expect(world.database.failure).toContain("the disk is full");
  restore();
  while (world.database.failure !== undefined) await Bun.sleep(10);
  await runCommands(world, model, [set("3"), { type: "sval", request: { col: "b", key: "k", value: "4" } }]);
  await world.crash();
  await world.open();
  compareWhole(world.database, model);
});

test("the journal is not cut before the deletion of a collection that was never saved is on the disk", async () => {
  await using world = await World.open();
  const { storage, database } = world;
  await runCommands(world, new ModelDatabase(), [
    { type: "sval", request: { col: "a", key: "k", value: "1" } },
    { type: "sval", request: { col: "b", key: "k", value: "2" } },
  ]);
  // One is saved, and no more waits for the journal, when the other one is deleted, whose turn is next.
  let saving = "";
  spyOn(storage, "beginCheckpoint").mockImplementationOnce((name, options) => {
    saving = name;
    return storage.beginCheckpoint(name, options);
  });
  spyOn(storage, "commitCheckpoint").mockImplementationOnce(async (last, state) => {
    await database.deleteCollection({ col: saving === "a" ? "b" : "a" });
    return storage.commitCheckpoint(last, state);
  });
  const groups = storage.lastGroup;
  let durable = 0;
  spyOn(storage, "cutJournal").mockImplementationOnce((upTo) => {
    durable = storage.durableGroup;
    return storage.cutJournal(upTo);
  });
  await database.checkpoint();
  expect(durable).toBe(groups + 1);
});
