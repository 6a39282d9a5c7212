import { describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { type ExportOptions, exportArchive } from "../../src/archive/exporting.ts";
import { type ImportOptions, importArchive } from "../../src/archive/importing.ts";
import { MemoryDatabase } from "../../src/engine/memory_database.ts";
import { KEYS, MASTER_KEY, TestServer } from "../server/test_server.ts";
import { ArchiveWorld, filesBelow } from "./archive_world.ts";

const save = (world: ArchiveWorld, directory: string, options: Partial<ExportOptions> = {}) =>
  exportArchive(world.db, { directory, collections: "all", apiKeys: false, ...options });

const load = (world: ArchiveWorld, directory: string, options: Partial<ImportOptions> = {}) =>
  importArchive(world.db, { directory, collections: "all", apiKeys: false, ...options });

function writeFiles(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
}

describe("an archive", () => {
  test("has the layout that is known from the older tool", async () => {
    await using world = new ArchiveWorld();
    const record = (document: string, ts: number | bigint, data: string) => ({
      collection: "sensors",
      document,
      ts,
      data,
    });
    await world.db.insert([
      record("room-1", 200, '{"t":22}'),
      record("room-1", 100, '{"t":21}'),
      record("room/2 é", 1747604423123456789n, "text"),
    ]);
    await world.db.setValue("sensors", "k", "v");
    await world.db.insert({ collection: "a/b", document: "d", ts: -1, data: "" });
    const directory = world.path("out");
    const { summary, startedAt, endedAt, notes } = await save(world, directory, { apiKeys: true });
    expect(filesBelow(directory)).toEqual({
      "a%2Fb/d.jsonl": '{"ts":-1,"doc":"d","data":""}\n',
      "apikeys.json": `[{"key":"${KEYS.read_write_delete}","scope":"read_write_delete","deletable":true},
{"key":"${KEYS.readonly}","scope":"readonly","deletable":true},
{"key":"${KEYS.read_write}","scope":"read_write","deletable":true}]\n`,
      "sensors/key_value.json": '{"k":"v"}\n',
      "sensors/room%2F2%20%C3%A9.jsonl": '{"ts":1747604423123456789,"doc":"room/2 é","data":"text"}\n',
      "sensors/room-1.jsonl":
        '{"ts":100,"doc":"room-1","data":"{\\"t\\":21}"}\n{"ts":200,"doc":"room-1","data":"{\\"t\\":22}"}\n',
    });
    expect(summary).toEqual({
      outputDir: directory,
      collections: [
        { collection: "a/b", documents: 1, records: 1, outputDir: join(directory, "a%2Fb") },
        { collection: "sensors", documents: 2, records: 3, outputDir: join(directory, "sensors") },
      ],
      apiKeys: { keys: 3, outputFile: join(directory, "apikeys.json") },
    });
    expect(Number(endedAt)).toBeGreaterThanOrEqual(Number(startedAt));
    expect(notes).toEqual([]);

    await using other = new ArchiveWorld();
    const imported = await load(other, directory, { apiKeys: true });
    expect(imported.summary).toEqual({
      inputDir: directory,
      collections: [
        { collection: "a/b", documents: 1, records: 1, keyValues: 0, inputDir: join(directory, "a%2Fb") },
        {
          collection: "sensors",
          documents: 2,
          records: 3,
          keyValues: 1,
          inputDir: join(directory, "sensors"),
        },
      ],
      apiKeys: { keys: 3, inputFile: join(directory, "apikeys.json") },
    });
  });

  test("is the same again after it was imported into an empty server", async () => {
    const pieces = [
      "a",
      "A",
      "é",
      "😀",
      "/",
      "..",
      ".",
      "%41",
      "con",
      "\u0000",
      "\n",
      "\ud800",
      " ",
      "x".repeat(300),
    ];
    const name = fc.oneof(
      fc.array(fc.constantFrom(...pieces), { minLength: 1, maxLength: 3 }).map((parts) => parts.join("")),
      fc.string({ minLength: 1, unit: "binary" }),
      fc.constantFrom("__proto__", "key_value", "collection", "1", "10", "2"),
    );
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom("\ud800", '{"a":1}', "\r\n", "\ufeff"),
    );
    const ts = fc.oneof(
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      fc.bigInt({ min: -9n, max: 9n }),
    );
    const records = fc.array(fc.record({ collection: name, document: name, ts, data: text }), {
      maxLength: 30,
    });
    const values = fc.array(
      fc.record({ collection: name, key: fc.oneof(name, fc.constant("")), value: text }),
      {
        maxLength: 5,
      },
    );
    await fc.assert(
      fc.asyncProperty(records, values, async (records, values) => {
        await using first = new ArchiveWorld();
        await first.db.insert(records);
        for (const { collection, key, value } of values) await first.db.setValue(collection, key, value);
        const before = await save(first, first.path("out"));
        await using second = new ArchiveWorld();
        const { summary } = await load(second, first.path("out"));
        await save(second, second.path("out"));
        expect(filesBelow(second.path("out"))).toEqual(filesBelow(first.path("out")));
        expect((await second.db.collections()).sort()).toEqual((await first.db.collections()).sort());
        const countsOf = (counts: readonly { collection: string; documents: number; records: number }[]) =>
          new Map(counts.map(({ collection, documents, records }) => [collection, { documents, records }]));
        expect(countsOf(summary.collections)).toEqual(countsOf(before.summary.collections));
        const names = Object.keys(filesBelow(first.path("out"))).map((file) => file.toLowerCase());
        expect(new Set(names).size).toBe(names.length);
      }),
      { numRuns: 60 },
    );
  }, 60_000);

  test("holds documents whose latest records do not fit in one reply", async () => {
    const replyBytesMax = 2000;
    const database = new MemoryDatabase({ replyBytesMax });
    await using world = new ArchiveWorld(new TestServer({ database, replyBytesMax }));
    const names = ["a", "aa", "ab", "a\nb", "ä", "😀", "😀x", "b"];
    await world.db.insert(
      names.map((document) => ({ collection: "c", document, ts: 1, data: "x".repeat(1500) })),
    );
    for (const key of names) await world.db.setValue("c", key, "x".repeat(1500));
    const { summary } = await save(world, world.path("out"));
    expect(summary.collections[0]).toMatchObject({ documents: names.length, records: names.length });
    await using other = new ArchiveWorld();
    await load(other, world.path("out"));
    expect([...(await other.db.latest("c")).keys()].sort()).toEqual([...names].sort());
    expect([...(await other.db.values("c")).keys()].sort()).toEqual([...names].sort());
  });
});

describe("exportArchive()", () => {
  test("writes one collection, and says so when it is not there", async () => {
    await using world = new ArchiveWorld();
    await world.db.insert(["a", "b"].map((collection) => ({ collection, document: "d", ts: 1, data: "x" })));
    const { summary } = await save(world, world.path("out"), { collections: ["b"] });
    expect(summary).toEqual({
      outputDir: world.path("out"),
      collections: [{ collection: "b", documents: 1, records: 1, outputDir: world.path("out", "b") }],
    });
    expect(Object.keys(filesBelow(world.path("out")))).toEqual(["b/d.jsonl"]);
    const unknown = save(world, world.path("other"), { collections: ["none"] });
    await expect(unknown).rejects.toThrow('There is no collection "none"');
  });

  test("never writes the master key, and keys for their owner only", async () => {
    await using world = new ArchiveWorld();
    writeFiles(world.path("out"), { "apikeys.json": "old", "apikeys.json.partial": "old" });
    await save(world, world.path("out"), { apiKeys: true });
    expect(statSync(world.path("out", "apikeys.json")).mode & 0o777).toBe(0o600);
    expect(JSON.stringify(filesBelow(world.path("out")))).not.toContain(MASTER_KEY);
  });

  test("leaves files of documents that are gone, says so, and nothing half-written", async () => {
    await using world = new ArchiveWorld();
    await world.db.insert(["a", "b"].map((document) => ({ collection: "c", document, ts: 1, data: "x" })));
    await world.db.setValue("c", "k", "v");
    await save(world, world.path("out"));
    await world.db.deleteDocument("a");
    await world.db.deleteValue("c", "k");
    const { notes } = await save(world, world.path("out"));
    expect(notes).toEqual([
      `1 files of documents that the server does not have are left as they were, such as ${world.path("out", "c", "a.jsonl")}`,
    ]);
    expect(Object.keys(filesBelow(world.path("out")))).toEqual([
      "c/a.jsonl",
      "c/b.jsonl",
      "c/key_value.json",
    ]);
    expect(filesBelow(world.path("out"))["c/key_value.json"]).toBe("{}\n");
  });

  test("leaves nothing half-written when it is aborted", async () => {
    await using world = new ArchiveWorld();
    for (let at = 0; at < 20_000; at += 1000) {
      await world.db.insert(
        Array.from({ length: 1000 }, (_, index) => ({
          collection: "c",
          document: "d",
          ts: at + index,
          data: "x",
        })),
      );
    }
    const stop = new AbortController();
    const aborted = save(world, world.path("out"), {
      signal: stop.signal,
      onProgress: ({ records }) => records > 1000 && stop.abort(),
    });
    await expect(aborted).rejects.toMatchObject({ code: "aborted" });
    expect(filesBelow(world.path("out"))).toEqual({});
  });

  test("says what is wrong with the folder", async () => {
    await using world = new ArchiveWorld();
    writeFileSync(world.path("file"), "");
    await expect(save(world, world.path("file"))).rejects.toThrow(
      `Cannot make the folder ${world.path("file")}`,
    );
  });
});

describe("importArchive()", () => {
  test("reads nested folders as names with slashes, and lines without a document", async () => {
    await using world = new ArchiveWorld();
    writeFiles(world.path("in"), {
      "a/b/x%20y.jsonl":
        '\ufeff{"ts":"1","data":{"n":12345678901234567890}}\r\n\r\n{"ts":2.9,"doc":"other","data":[1, 2]}',
      "a/key_value.json": '{"k":"v"}',
      "notes.txt": "not a part of it",
      "a/x.jsonl.partial": "{",
    });
    const { summary } = await load(world, world.path("in"));
    expect(summary.collections).toEqual([
      { collection: "a", documents: 0, records: 0, keyValues: 1, inputDir: world.path("in", "a") },
      { collection: "a/b", documents: 2, records: 2, keyValues: 0, inputDir: world.path("in", "a", "b") },
    ]);
    expect([...(await world.db.latest("a/b"))]).toEqual([
      ["other", { ts: 2, data: "[1,2]" }],
      ["x y", { ts: 1, data: '{"n":12345678901234567890}' }],
    ]);
  });

  test.each(
    [
      ["{", 'expected JSON, got "{"'],
      ["[]", 'expected an object {"ts","doc","data"}, got an array'],
      ["7", 'expected an object {"ts","doc","data"}, got 7'],
      ['{"data":"x"}', "ts: expected a 64-bit integer, got nothing"],
      ['{"ts":"x","data":"x"}', 'ts: expected a 64-bit integer, got "x"'],
      ['{"ts":9223372036854775808,"data":"x"}', "ts: expected a 64-bit integer, got 9223372036854775808"],
      ['{"ts":1}', "data: expected a string or a JSON value, got nothing"],
      ['{"ts":1,"doc":"","data":"x"}', 'doc: expected a non-empty string, got ""'],
      ['{"ts":1,"doc":5,"data":"x"}', "doc: expected a non-empty string, got 5"],
      [`{"ts":1,"doc":"${"x".repeat(4097)}","data":"x"}`, "doc: expected at most 4096 characters, got 4097"],
      [
        `{"ts":1,"data":"${"x".repeat(17 << 20)}"}`,
        "data: expected at most 16 MiB as it is sent, got 17.0 MiB",
      ],
      [`{"ts":1,"data":"${"x".repeat(33 << 20)}"}`, "expected a line of at most 32 MiB, got a longer one"],
    ].map(([line, problem]) => [problem, line] as [string, string]),
  )("sends nothing when a line is wrong: %s", async (problem, line) => {
    await using world = new ArchiveWorld();
    const good = '{"ts":1,"data":"x"}';
    writeFiles(world.path("in"), { "c/a.jsonl": `${good}\n`, "c/b.jsonl": `${good}\n${line}\n${good}\n` });
    const file = world.path("in", "c", "b.jsonl");
    await expect(load(world, world.path("in"))).rejects.toThrow(
      `Nothing was imported, because of one problem; --skip-bad imports the rest\n  ${file}:2: ${problem}`,
    );
    expect(await world.db.collections()).toEqual([]);

    const { summary, notes } = await load(world, world.path("in"), { skipBad: true });
    expect(summary).toMatchObject({ collections: [{ documents: 2, records: 3 }], skipped: 1 });
    expect(notes).toEqual([`Skipped ${file}:2: ${problem}`]);
    expect(await world.db.records("c", "b")).toHaveLength(1);
  });

  test("takes bytes that are not UTF-8 for a broken line, also as the last one", async () => {
    await using world = new ArchiveWorld();
    const good = Buffer.from('{"ts":1,"data":"x"}\n');
    mkdirSync(world.path("in", "c"), { recursive: true });
    writeFileSync(
      world.path("in", "c", "d.jsonl"),
      Buffer.concat([good, Buffer.from([0x22, 0xff, 0x22, 0x0a]), good, Buffer.from([0xe2, 0x82])]),
    );
    const { notes } = await load(world, world.path("in"), { skipBad: true });
    const file = world.path("in", "c", "d.jsonl");
    expect(notes).toEqual([
      `Skipped ${file}:2: expected UTF-8, got other bytes`,
      `Skipped ${file}:4: expected UTF-8, got other bytes`,
    ]);
  });

  test("counts what it does not show", async () => {
    await using world = new ArchiveWorld();
    writeFiles(world.path("in"), { "c/d.jsonl": "bad\n".repeat(100) });
    const failed = load(world, world.path("in"));
    await expect(failed).rejects.toThrow("because of 100 problems");
    await expect(failed).rejects.toThrow("… and 90 more");
  });

  test("with dryRun counts and sends nothing", async () => {
    await using world = new ArchiveWorld();
    writeFiles(world.path("in"), {
      "c/d.jsonl": '{"ts":1,"data":"x"}\n',
      "c/key_value.json": '{"k":"v"}',
      "apikeys.json": '[{"key":"new","scope":"readonly"}]',
    });
    const { summary } = await load(world, world.path("in"), { dryRun: true, apiKeys: true });
    expect(summary).toMatchObject({
      collections: [{ documents: 1, records: 1, keyValues: 1 }],
      apiKeys: { keys: 1 },
      dryRun: true,
    });
    expect(await world.db.collections()).toEqual([]);
    expect((await world.db.apiKeys()).map(({ key }) => key)).not.toContain("new");
  });

  test("leaves out the master key, and refuses what is wrong without showing a key", async () => {
    await using world = new ArchiveWorld();
    const file = world.path("in", "apikeys.json");
    writeFiles(world.path("in"), {
      "apikeys.json":
        '[{"key":"m","scope":"read_write_delete","deletable":false},{"key":"n","scope":"Read-Write"}]',
    });
    const { summary, notes } = await load(world, world.path("in"), { apiKeys: true });
    expect(summary.apiKeys).toEqual({ keys: 1, inputFile: file });
    expect(notes).toEqual(["The master key in the archive is left out: a server has its own"]);
    expect(await world.db.apiKeys()).toContainEqual({ key: "n", scope: "read_write", deletable: true });
    for (const [text, problem] of [
      [
        '[{"key":"hidden","scope":"admin"}]',
        `${file}[0]: scope: expected readonly, read_write or read_write_delete`,
      ],
      ['[{"key":7,"scope":"readonly"}]', `${file}[0]: key: expected a non-empty string`],
      ['[{"key":"hidden"', `${file}: expected JSON, got something else`],
      ["{}", `${file}: expected an array of API keys`],
    ] as const) {
      writeFiles(world.path("in"), { "apikeys.json": text });
      const failed = load(world, world.path("in"), { apiKeys: true });
      await expect(failed).rejects.toThrow(problem);
      await expect(failed).rejects.not.toThrow("hidden");
    }
  });

  test("keeps the limits of API keys, and leaves out those that have expired", async () => {
    await using world = new ArchiveWorld();
    const limits = { expiresAt: Date.now() + 3_600_000, collections: ["a", "/b/"] };
    await world.db.addApiKey("limited", "readonly", limits);
    await exportArchive(world.db, { directory: world.path("out"), collections: [], apiKeys: true });
    const file = world.path("out", "apikeys.json");
    const lines = JSON.parse(readFileSync(file, "utf8")) as object[];
    expect(lines).toContainEqual({ key: "limited", scope: "readonly", deletable: true, ...limits });
    writeFiles(world.path("out"), {
      "apikeys.json": JSON.stringify([...lines, { ...lines[0], key: "late", expiresAt: 1000 }]),
    });
    await world.db.removeApiKey("limited");
    const { notes } = await load(world, world.path("out"), { apiKeys: true });
    expect(notes).toEqual(["1 API keys in the archive are left out: they have expired"]);
    const keys = await world.db.apiKeys();
    expect(keys).toContainEqual({ key: "limited", scope: "readonly", deletable: true, ...limits });
    expect(keys.map(({ key }) => key)).not.toContain("late");
    for (const [limit, problem] of [
      [{ expiresAt: "soon" }, 'expiresAt: expected milliseconds since 1970, got "soon"'],
      [{ collections: [7] }, "collections: expected an array of names"],
    ] as const) {
      const text = JSON.stringify([{ key: "hidden", scope: "readonly", ...limit }]);
      writeFiles(world.path("out"), { "apikeys.json": text });
      await expect(load(world, world.path("out"), { apiKeys: true })).rejects.toThrow(problem);
    }
  });

  test("says what is missing", async () => {
    await using world = new ArchiveWorld();
    await expect(load(world, world.path("none"))).rejects.toThrow("there is no such folder");
    writeFiles(world.path("in"), { "c/d.jsonl": "" });
    await expect(load(world, world.path("in"), { collections: ["x"] })).rejects.toThrow(
      `${world.path("in")} holds no collection "x"`,
    );
    await expect(load(world, world.path("in"), { apiKeys: true })).rejects.toThrow(
      "apikeys.json is not there",
    );
    expect((await load(world, world.path("in"), { apiKeys: "if there" })).summary.apiKeys).toBeUndefined();
    await expect(load(world, world.path("in", "c"))).rejects.toThrow("holds records itself");
  });

  test("follows no link out of the archive", async () => {
    await using world = new ArchiveWorld();
    writeFiles(world.path("outside"), { "d.jsonl": '{"ts":1,"data":"secret"}\n' });
    mkdirSync(world.path("in"));
    symlinkSync(world.path("outside"), world.path("in", "c"));
    await expect(load(world, world.path("in"))).rejects.toThrow("is a symbolic link");
  });

  test("can be run again and changes nothing", async () => {
    await using world = new ArchiveWorld();
    const lines = Array.from({ length: 3000 }, (_, ts) => `{"ts":${ts},"data":"${ts}"}\n`);
    writeFiles(world.path("in"), { "c/d.jsonl": lines.join("") });
    const stop = new AbortController();
    const interrupted = load(world, world.path("in"), {
      signal: stop.signal,
      onProgress: ({ phase }) => phase === "sending" && stop.abort(),
    });
    await expect(interrupted).rejects.toMatchObject({ code: "aborted" });
    for (let run = 0; run < 2; run++) {
      await load(world, world.path("in"));
      const records = await world.db.records("c", "d");
      expect(records).toEqual(lines.map((_, ts) => ({ ts, data: String(ts) })));
    }
  });

  test("reads the older layout of JSON files", async () => {
    await using world = new ArchiveWorld();
    writeFiles(world.path("in"), {
      "c/pump%201/2024/01/5.json": '{"value": 1.50}',
      "c/pump%201/a.json":
        '[{"ts":1,"data":"text"},{"timestamp":"1747604423123456789","data":{"n": 1e400}},{"time":3.9}]',
      "c/pump%201/read.me": "nothing",
      "c/key_value.json": '{"k":"v"}',
    });
    const { summary } = await load(world, world.path("in"), { legacy: true });
    expect(summary.collections).toEqual([
      { collection: "c", documents: 1, records: 4, keyValues: 1, inputDir: world.path("in", "c") },
    ]);
    expect(await world.db.records("c", "pump 1")).toEqual([
      { ts: 1, data: "text" },
      { ts: 3, data: '{"time":3.9}' },
      { ts: 5, data: '{"value":1.5}' },
      { ts: 1747604423123456789n, data: '{"n":1e400}' },
    ]);
    writeFiles(world.path("in"), { "c/pump%201/b.json": '[{"x":1},7]', "c/pump%201/c.json": "{" });
    const failed = load(world, world.path("in"), { legacy: true });
    await expect(failed).rejects.toThrow(
      "b.json[0]: expected a time in one of ts, timestamp, time or as the file",
    );
    await expect(failed).rejects.toThrow("b.json[1]: expected an object, got 7");
    await expect(failed).rejects.toThrow('c.json: expected JSON, got "{"');
  });
});
