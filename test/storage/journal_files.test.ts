/**
 * The journal's files: what is read back after a kill, a power cut, damage, and a disk that fails.
 */
import { expect, spyOn, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { GroupWriter } from "../../src/storage/group_writer.ts";
import { JournalFiles, type JournalFilesOptions } from "../../src/storage/journal_files.ts";
import { JournalFolder } from "../../src/storage/journal_folder.ts";
import { type Durability, GROUP_HEAD_BYTES, StorageError } from "../../src/storage/storage.ts";
import { onLinux, replaceDescriptor } from "../support/descriptor.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";

/** A journal that a test may leave and open again; group N holds a text that only N has. */
class JournalWorld implements AsyncDisposable {
  readonly directory: string;
  readonly #folder = new TemporaryFolder();
  readonly #options: Omit<JournalFilesOptions, "directory">;
  files!: JournalFiles;

  private constructor(options: Omit<JournalFilesOptions, "directory">) {
    this.directory = realpathSync(this.#folder.path);
    this.#options = options;
  }

  /** Without a clock of its own: nothing is synced unless the test asks for it. */
  static async open(durability: Durability = "everysec", syncMs = 1e9): Promise<JournalWorld> {
    const world = new JournalWorld({ durability, syncMs });
    await world.open();
    return world;
  }

  /** As after a crash; returns what was read. */
  async open(after = 0): Promise<string[]> {
    await this.files?.abandon();
    this.files = new JournalFiles({ ...this.#options, directory: this.directory });
    const texts: string[] = [];
    for await (const groups of this.files.groups(after)) {
      for (const { number, body } of groups) {
        const text = Buffer.from(body).toString();
        expect(text).toStartWith(`${number} `);
        texts.push(text);
      }
    }
    return texts;
  }

  async write(...numbers: number[]): Promise<string[]> {
    const texts = numbers.map(textOf);
    for (const [index, number] of numbers.entries()) {
      const bytes = Buffer.concat([Buffer.alloc(GROUP_HEAD_BYTES), Buffer.from(texts[index] as string)]);
      await this.files.write(number, bytes, bytes.length);
    }
    return texts;
  }

  get names(): string[] {
    const folder = join(this.directory, "journal");
    return existsSync(folder) ? readdirSync(folder).sort() : [];
  }

  get bytes(): number {
    return this.names.reduce((sum, name) => sum + bytesOf(join(this.directory, "journal", name)), 0);
  }

  path(index = 0): string {
    return join(this.directory, "journal", this.names[index] as string);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.files.abandon();
    this.#folder[Symbol.dispose]();
  }
}

/** What a file holds; a folder holds nothing. */
function bytesOf(path: string): number {
  const stat = statSync(path);
  return stat.isFile() ? stat.size : 0;
}

const textOf = (number: number): string => `${number} ${"x".repeat(5 + (number % 7) * 9)}`;
const textsOf = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => textOf(from + index));

test("what was written is there after a crash, in order, and numbers go on", async () => {
  await using world = await JournalWorld.open();
  await world.write(1, 2, 3);
  expect(await world.open()).toEqual(textsOf(1, 3));
  expect(world.files.lastGroup).toBe(3);
  await world.write(4, 5);
  expect(await world.open()).toEqual(textsOf(1, 5));
  expect(await world.open(4)).toEqual(textsOf(5, 5));
});

test("groups larger than a block are read whole", async () => {
  await using world = await JournalWorld.open();
  const body = Buffer.alloc(10 * 1024 * 1024, "y");
  body.write("2 ");
  await world.write(1);
  const bytes = Buffer.concat([Buffer.alloc(GROUP_HEAD_BYTES), body]);
  await world.files.write(2, bytes, bytes.length);
  await world.write(3);
  expect(await world.open()).toEqual([textOf(1), body.toString(), textOf(3)]);
});

test("a long journal goes on in the next file by itself, and ends at the right place in it", async () => {
  await using world = await JournalWorld.open();
  const megabyte = Buffer.alloc(1024 * 1024, "z");
  let number = 0;
  while (world.names.length < 2) {
    megabyte.write(`${++number} `, GROUP_HEAD_BYTES);
    await world.files.write(number, megabyte, megabyte.length);
    if (number === 1) expect(world.names.length).toBe(1);
  }
  expect(number).toBeGreaterThan(50);
  await world.write(number + 1);
  await world.files.sync();
  expect((await world.open()).length).toBe(number + 1);
  // Neither can be cut without the other's end being known.
  await world.files.cut(number - 1);
  expect(world.names.filter((name) => name.endsWith(".log")).length).toBe(1);
  expect(await world.open(number - 1)).toEqual([expect.stringMatching(/ z+$/), textOf(number + 1)]);
});

test("a last group that is cut off at any byte, or wrong at any byte, is left out", async () => {
  await using world = await JournalWorld.open();
  await world.write(1, 2);
  const two = readFileSync(world.path()).length;
  await world.write(3);
  await world.files.abandon();
  const path = world.path();
  const whole = readFileSync(path);
  for (let at = two; at < whole.length; at++) {
    writeFileSync(path, whole.subarray(0, at));
    expect(await world.open()).toEqual(textsOf(1, 2));
    const wrong = Buffer.from(whole);
    wrong[at] = (wrong[at] as number) ^ 0x10;
    writeFileSync(path, wrong);
    expect(await world.open()).toEqual(textsOf(1, 2));
  }
  // What comes instead is not mixed up with what is left of it.
  await world.write(3, 4);
  expect(await world.open()).toEqual(textsOf(1, 4));
});

test("any byte that is wrong in what was synced is an error that names the file", async () => {
  await using world = await JournalWorld.open();
  await world.write(1, 2);
  const two = readFileSync(world.path()).length;
  await world.files.sync();
  await world.write(3);
  const path = world.path();
  const whole = readFileSync(path);
  for (let at = 0; at < two; at++) {
    const wrong = Buffer.from(whole);
    wrong[at] = (wrong[at] as number) ^ 0x10;
    writeFileSync(path, wrong);
    await expect(world.open()).rejects.toThrow(
      new RegExp(`^${path} is damaged: group [12] of the journal is missing or fails its checksum`),
    );
  }
});

test("a mark tells that the last group was synced, when nothing comes after it", async () => {
  await using world = await JournalWorld.open("everysec", 1);
  await world.write(1);
  const path = world.path();
  const one = readFileSync(path).length;
  while (readFileSync(path).length === one) await Bun.sleep(1);
  await world.files.abandon();
  const whole = readFileSync(path);
  expect(await world.open()).toEqual(textsOf(1, 1));
  await world.files.abandon();
  whole[one - 1] = 0;
  writeFileSync(path, whole);
  await expect(world.open()).rejects.toThrow("group 1 of the journal is missing or fails");
});

test("a segment that is missing, and was synced, is an error; one that was not is the end", async () => {
  for (const isSynced of [true, false]) {
    await using world = await JournalWorld.open();
    await world.write(1, 2);
    world.files.beginSegment();
    await world.write(3, 4);
    if (isSynced) await world.files.sync();
    world.files.beginSegment();
    await world.write(5, 6);
    await world.files.abandon();
    rmSync(world.path(1));
    if (isSynced) await expect(world.open()).rejects.toThrow("group 3 of the journal is missing");
    else {
      expect(await world.open()).toEqual(textsOf(1, 2));
      // What was beyond the end stays beyond it.
      await world.write(3);
      expect(await world.open()).toEqual(textsOf(1, 3));
      await world.write(4, 5);
      expect(await world.open()).toEqual(textsOf(1, 5));
    }
  }
});

test("the end of a segment that a power cut has taken ends the journal, whatever came to the disk after it", async () => {
  await using world = await JournalWorld.open();
  await world.write(1, 2);
  world.files.beginSegment();
  await world.write(3, 4);
  await world.files.abandon();
  const path = world.path();
  truncateSync(path, readFileSync(path).length - 1);
  expect(await world.open()).toEqual(textsOf(1, 1));
  await world.write(2, 3, 4, 5);
  expect(await world.open()).toEqual(textsOf(1, 5));
});

test("a cut drops whole segments, and files are written over", async () => {
  await using world = await JournalWorld.open();
  await world.write(1, 2, 3, 4);
  await world.files.sync();
  world.files.beginSegment();
  await world.write(5);
  await world.files.cut(4);
  expect(world.names).toEqual(["0000000001.spare", "0000000002-0000000000000005.log"]);
  expect(await world.open(4)).toEqual(textsOf(5, 5));
  // Over the older groups, which are longer than all that comes now.
  await world.write(6);
  expect(world.names).toEqual(["0000000002-0000000000000005.log", "0000000003-0000000000000006.log"]);
  expect(readFileSync(world.path(1)).length).toBeGreaterThan(GROUP_HEAD_BYTES + textOf(6).length);
  expect(await world.open(4)).toEqual(textsOf(5, 6));
});

test("a file that is written over keeps nothing of a crash before: groups of the same numbers and lengths", async () => {
  await using world = await JournalWorld.open();
  await world.write(1, 2, 3, 4);
  const path = world.path();
  await world.files.abandon();
  // Group 2 never came to the disk; 3 and 4 did.
  const bytes = readFileSync(path);
  bytes[bytes.indexOf("2 x")] = 0;
  writeFileSync(path, bytes);
  expect(await world.open()).toEqual(textsOf(1, 1));
  // The first segment is written over with another group 2.
  await world.files.cut(1);
  await world.write(2);
  expect(world.names).toEqual(["0000000002-0000000000000002.log"]);
  expect(readFileSync(world.path()).indexOf("3 x")).toBeGreaterThan(0);
  expect(await world.open(1)).toEqual(textsOf(2, 2));
});

test("no more files are kept than the last checkpoint has dropped, and none at an orderly end", async () => {
  await using world = await JournalWorld.open();
  for (let number = 1; number <= 5; number++) {
    world.files.beginSegment();
    await world.write(number);
  }
  await world.files.cut(4);
  expect(world.names.filter((name) => name.endsWith(".spare")).length).toBe(4);
  await world.files.cut(4);
  expect(world.names).toEqual(["0000000005-0000000000000005.log"]);
  world.files.beginSegment();
  await world.files.cut(5);
  expect(world.names).toEqual(["0000000005.spare"]);
  expect(await world.files.bytes()).toBeGreaterThan(0);
  await world.files.close();
  expect(world.names).toEqual([]);
});

test("a cut that the disk refuses forgets no file, and is finished by the next one", async () => {
  await using world = await JournalWorld.open();
  for (const number of [1, 2, 3]) {
    await world.write(number);
    world.files.beginSegment();
  }
  await world.write(4);
  // No file can take the name of a folder.
  const obstacle = join(world.directory, "journal", "0000000002.spare");
  mkdirSync(obstacle);
  await expect(world.files.cut(3)).rejects.toThrow(StorageError);
  const logs = (): string[] => world.names.filter((name) => name.endsWith(".log"));
  expect(logs()).toHaveLength(3);
  expect(await world.files.bytes()).toBe(world.bytes);
  rmdirSync(obstacle);
  await world.files.cut(3);
  expect(logs()).toEqual(["0000000004-0000000000000004.log"]);
  expect(await world.files.bytes()).toBe(world.bytes);
  expect(await world.open(3)).toEqual(textsOf(4, 4));
});

test("a cut waits for a segment that is being begun from a spare", async () => {
  await using world = await JournalWorld.open();
  await world.write(1);
  world.files.beginSegment();
  await world.write(2);
  await world.files.sync();
  await world.files.cut(1);
  await world.write(3);
  world.files.beginSegment();
  const [syncing, opening] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const { sync, openFile } = JournalFolder.prototype;
  const spies = [
    spyOn(JournalFolder.prototype, "sync").mockImplementation(async function (this: JournalFolder) {
      await syncing.promise;
      return sync.call(this);
    }),
    spyOn(JournalFolder.prototype, "openFile").mockImplementation(async function (
      this: JournalFolder,
      path,
      flags,
    ) {
      const handle = await openFile.call(this, path, flags);
      if (path.endsWith(".spare")) await opening.promise;
      return handle;
    }),
  ];
  try {
    const synced = world.files.sync();
    const cut = world.files.cut(3);
    const written = world.write(4);
    syncing.resolve();
    await synced;
    await Bun.sleep(10);
    expect(spies[1]).toHaveBeenCalled();
    opening.resolve();
    await Promise.all([written, cut]);
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
  expect(world.names.filter((name) => name.endsWith(".log"))).toEqual(["0000000003-0000000000000004.log"]);
  expect(await world.open(3)).toEqual(textsOf(4, 4));
});

test("a group that comes as a mark ends goes behind it, at whatever moment it comes", async () => {
  const { writeBeside } = GroupWriter.prototype;
  for (let turns = 0; turns < 12; turns++) {
    await using world = await JournalWorld.open("everysec", 1);
    await world.write(1);
    const written = Promise.withResolvers<void>();
    const spy = spyOn(GroupWriter.prototype, "writeBeside").mockImplementation(async function (
      this: GroupWriter,
      bytes,
      length,
      place,
    ) {
      await writeBeside.call(this, bytes, length, place);
      spy.mockRestore();
      void (async () => {
        for (let turn = 0; turn < turns; turn++) await null;
        await world.write(2, 3);
      })().then(written.resolve, written.reject);
    });
    await written.promise;
    expect(await world.open()).toEqual(textsOf(1, 3));
  }
});

onLinux("a folder that changes while it is being synced is synced again", async () => {
  using temporary = new TemporaryFolder();
  const path = join(realpathSync(temporary.path), "journal");
  for (const isChanged of [false, true]) {
    const folder = new JournalFolder(path, { isSynced: false });
    await folder.prepare();
    const syncing = folder.sync();
    if (isChanged) folder.changed();
    await syncing;
    // Which cannot be synced: whether the disk is asked is told by that.
    replaceDescriptor(path, "/dev/null");
    const again = await folder.sync().then(
      () => "trusted",
      (error: NodeJS.ErrnoException) => error.code,
    );
    expect(again).toBe(isChanged ? "EINVAL" : "trusted");
    await folder.close();
  }
});

test("while a sync is under way, groups go beside it, and none overtakes another", async () => {
  await using world = await JournalWorld.open();
  await world.write(1);
  const at = (number: number): Promise<void> | undefined => {
    const bytes = Buffer.concat([Buffer.alloc(GROUP_HEAD_BYTES), Buffer.from(textOf(number))]);
    return world.files.write(number, bytes, bytes.length);
  };
  expect(at(2)).toBeUndefined();
  const syncing = world.files.sync();
  const third = at(3);
  expect(third).toBeInstanceOf(Promise);
  await third;
  await syncing;
  expect(world.files.durableGroup).toBeGreaterThanOrEqual(2);
  expect(at(4)).toBeUndefined();
  expect(await world.open()).toEqual(textsOf(1, 4));
});

test("with durability always a group is on the disk when it is acknowledged", async () => {
  await using world = await JournalWorld.open("always");
  for (const number of [1, 2, 3]) {
    await world.write(number);
    expect(world.files.durableGroup).toBe(number);
  }
  expect(await world.open()).toEqual(textsOf(1, 3));
  // What was there before is synced before anything builds on it.
  expect(world.files.durableGroup).toBe(0);
  await world.write(4);
  expect(world.files.durableGroup).toBe(4);
});

onLinux("a full disk refuses a group, and takes it when there is room", async () => {
  for (const durability of ["everysec", "always"] as const) {
    await using world = await JournalWorld.open(durability);
    await world.write(1);
    const path = world.path();
    const restore = replaceDescriptor(path, "/dev/full");
    await expect(world.write(2)).rejects.toThrow(`${path}: the disk is full`);
    await expect(world.write(2)).rejects.toThrow(StorageError);
    expect(world.files.lastGroup).toBe(1);
    restore();
    await world.write(2, 3);
    expect(await world.open()).toEqual(textsOf(1, 3));
  }
});

onLinux("what could not be synced is written to another file before anything is taken again", async () => {
  await using world = await JournalWorld.open();
  await world.write(1, 2);
  await world.files.sync();
  await world.write(3, 4);
  const path = world.path();
  replaceDescriptor(path, "/dev/null");
  await expect(world.files.sync()).rejects.toThrow(StorageError);
  expect(world.files.durableGroup).toBe(2);
  await expect(world.write(5)).rejects.toThrow(StorageError);
  await world.files.sync();
  expect(world.files.durableGroup).toBe(4);
  expect(world.names).toEqual(["0000000001-0000000000000001.log", "0000000002-0000000000000003.log"]);
  await world.write(5);
  await world.files.abandon();
  // The first file's end is of no use any more.
  const bytes = readFileSync(path);
  bytes.fill(0, bytes.indexOf("3 x"));
  writeFileSync(path, bytes);
  expect(await world.open()).toEqual(textsOf(1, 5));
});

onLinux("what can neither be synced nor read back is not taken for saved", async () => {
  await using world = await JournalWorld.open();
  await world.write(1, 2);
  const path = world.path();
  replaceDescriptor(path, "/dev/null");
  await expect(world.files.sync()).rejects.toThrow(StorageError);
  truncateSync(path, 10);
  await expect(world.files.sync()).rejects.toThrow("group 1 of the journal cannot be read back");
  await expect(world.write(3)).rejects.toThrow("cannot be read back");
  expect(world.files.durableGroup).toBe(0);
  expect(world.names).toEqual(["0000000001-0000000000000001.log"]);
});
