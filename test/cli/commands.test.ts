/**
 * The commands in a pipe, as scripts use them.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { PROGRAM, runProgram } from "../support/program.ts";
import { CommandWorld } from "./command_world.ts";

let world: CommandWorld;
beforeAll(async () => {
  world = await CommandWorld.open();
});
afterAll(() => world[Symbol.asyncDispose]());
afterEach(async () => {
  for (const name of JSON.parse(await world.output("collections")))
    await world.output(["delete-collection", name]);
});

const record = (ts: number | string, doc: string, data: string): string =>
  `{"ts":${ts},"doc":${JSON.stringify(doc)},"data":${JSON.stringify(data)}}\n`;

describe("query", () => {
  const fill = () =>
    world.output("insert c", {
      input: record(1, "a", "x,1") + record(2, "a", 'say "hi"\n') + record("1747604423123456789", "b", "ü"),
    });

  test("gives the latest records or a history, in each format", async () => {
    await fill();
    expect(await world.output("query c")).toBe(
      '[\n  {"ts":2,"doc":"a","data":"say \\"hi\\"\\n"},\n  {"ts":1747604423123456789,"doc":"b","data":"ü"}\n]\n',
    );
    expect(await world.output("query c a --format ndjson")).toBe(
      record(1, "a", "x,1") + record(2, "a", 'say "hi"\n'),
    );
    expect(await world.output("query c a --format csv")).toBe(
      'ts,doc,data\r\n1,a,"x,1"\r\n2,a,"say ""hi""\n"\r\n',
    );
    expect(await world.output("query c a --format table --unit s")).toBe(
      'doc  ts                    data\na    1970-01-01T00:00:01Z  x,1\na    1970-01-01T00:00:02Z  say "hi"\\n\n',
    );
    expect(await world.output("query --col c --doc /A/i --at 1")).toBe(
      '[\n  {"ts":1,"doc":"a","data":"x,1"}\n]\n',
    );
    expect(await world.output("query c a --latest --format ndjson")).toBe(record(2, "a", 'say "hi"\n'));
    expect(await world.output("query c a --limit 1 --reverse --format ndjson")).toBe(
      record(2, "a", 'say "hi"\n'),
    );
    expect(await world.output("query c a --to 1970-01-01T00:00:01Z --format ndjson")).toBe(
      record(1, "a", "x,1"),
    );
    expect(await world.output("query c a --where x --format ndjson")).toBe(record(1, "a", "x,1"));
    expect(await world.output("query c a --from 3")).toBe("[]\n");
    expect(await world.output("query c a --from 3 --format csv")).toBe("ts,doc,data\r\n");
  });

  test("feeds insert", async () => {
    await fill();
    const lines = await world.output("query c a --format ndjson");
    expect(await world.output("insert copy", { input: lines })).toBe(
      '{\n  "inserted": 2,\n  "skipped": 0\n}\n',
    );
    expect(await world.output("query copy a --format ndjson")).toBe(lines);
  });

  test("tells apart what is not there from what is not found", async () => {
    await fill();
    for (const [command, message] of [
      ["query none", 'There is no collection "none"'],
      ["query none a", 'There is no collection "none"'],
      ["query c none", 'There is no document "none" in "c"'],
    ] as const) {
      expect(await world.run(command)).toEqual({
        exitCode: 4,
        stdout: "[]\n",
        stderr: `fluxiondb: ${message}\n`,
      });
    }
    expect(await world.run("query c /none/")).toMatchObject({ exitCode: 0, stdout: "[]\n", stderr: "" });
  });

  test("ends quietly when its reader has seen enough", async () => {
    const lines = Array.from({ length: 30_000 }, (_, ts) => record(ts, "d", "x".repeat(100)));
    await world.output("insert c", { input: lines.join("") });
    const child = Bun.spawn(["sh", "-c", `"$@" query c d --format ndjson | head -1`, "sh", ...PROGRAM], {
      env: { ...process.env, ...world.env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    expect(await new Response(child.stdout).text()).toBe(lines[0] as string);
    expect(await new Response(child.stderr).text()).toBe("");
    expect(await child.exited).toBe(0);
  });

  test.each([
    ["query", "Give the collection: --col <collection>"],
    ["query c a b", "error: too many arguments"],
    ["query c a --at 1 --limit 3", "--limit does not go with latest records"],
    ["query c --to 3", "--to does not go with latest records"],
    ["query c a --from tomorrow", "--from: expected a time such as 1700000000"],
    ["query c a --unit h", '--unit: expected s, ms, us or ns, got "h"'],
    ["query c a --format xml", '--format: expected table, json, ndjson or csv, got "xml"'],
  ])("refuses %p", async (command, message) => {
    const { exitCode, stdout, stderr } = await world.run(command);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
    expect(stderr).toContain(message.replace("error: ", ""));
  });
});

describe("insert", () => {
  test("takes fields by other names, numbers in text, and what has no data as a whole", async () => {
    const input =
      '\ufeff{"at":"2026-03-01","room":"a","t":12345678901234567890}\r\n\n{"at":"7","room":"a","value":{"x":[1, 2]}}\n' +
      '{"at":8.9,"room":"b","value":"text"}';
    const flags = "insert c --ts-field at --doc-field room --data-field value";
    expect(await world.output(flags, { input })).toBe('{\n  "inserted": 3,\n  "skipped": 0\n}\n');
    expect(await world.output("query c a --format ndjson")).toBe(
      record(7, "a", '{"x":[1,2]}') + record(1772323200, "a", '{"t":12345678901234567890}'),
    );
    expect(await world.output("query c b --format ndjson")).toBe(record(8, "b", "text"));
  });

  test("takes CSV, with line breaks in cells, numbers as numbers and text as text", async () => {
    const input =
      'date,station,"temp ""max""",code\r\n2012-01-01,"Sea,ttle",12.80,007\n2012-01-02,"Sea,ttle","a\nb",-0.5e3\n';
    await world.output("insert w --ts-field date --doc-field station", { input });
    expect(await world.output(["query", "w", "Sea,ttle", "--format", "ndjson"])).toBe(
      record(1325376000, "Sea,ttle", '{"temp \\"max\\"":12.8,"code":"007"}') +
        record(1325462400, "Sea,ttle", '{"temp \\"max\\"":"a\\nb","code":-500}'),
    );
    const columns = "ts,data,doc\n5,17,x\n";
    await world.output("insert w y", { input: columns });
    expect(await world.output("query w y --format ndjson")).toBe(record(5, "y", "17"));
  });

  test("stops at a broken line and says where, or leaves it out and counts", async () => {
    const input = `${record(1, "d", "x")}{"ts":2}\n${record(3, "d", "x")}`;
    const problem = "standard input, line 2: doc: expected a non-empty string, got nothing";
    expect(await world.run("insert c", { input })).toEqual({
      exitCode: 2,
      stdout: "",
      stderr: expect.stringContaining(`fluxiondb: ${problem}; records stored: 1\n`),
    });
    expect(await world.output("query c d --format ndjson")).toBe(record(1, "d", "x"));
    expect(await world.run("insert c --skip-bad", { input })).toEqual({
      exitCode: 0,
      stdout: '{\n  "inserted": 2,\n  "skipped": 1\n}\n',
      stderr: `Skipped ${problem}\n`,
    });
  });

  test.each([
    ["nonsense\n", "--format ndjson", 'expected JSON, got "nonsense"'],
    ['{"doc":"d","data":"x"}', "", "ts: expected a 64-bit integer, got nothing"],
    ['{"ts":"soon","doc":"d","data":"x"}', "", "ts: expected a time such as"],
    ['{"ts":1,"doc":"d"}', "", "data: expected a string or a JSON value, got nothing"],
    ["ts,doc,data\n1,d\n", "", "standard input, line 2: expected 3 cells, got 2"],
    ["ts,doc,data\n1,d,x,y\n", "", "standard input, line 2: expected 3 cells, got 4"],
    ['ts,doc,data\n1,d,"x"y\n', "", "Invalid Closing Quote"],
    ['ts,doc,data\n1,d,"x\n', "", "Quote Not Closed"],
  ])("refuses %p %p", async (input, flags, problem) => {
    const { exitCode, stderr } = await world.run(`insert c ${flags}`.trim(), { input });
    expect(exitCode).toBe(2);
    expect(stderr).toContain(problem);
    expect(stderr).not.toContain("bug");
  });

  test("leaves out lines of CSV with too few or too many cells, and goes on", async () => {
    const input = "ts,doc,data\n1,d\n2,d,x\n3,d,x,y\n4,d,x\n";
    expect(await world.run("insert c --skip-bad", { input })).toEqual({
      exitCode: 0,
      stdout: '{\n  "inserted": 2,\n  "skipped": 2\n}\n',
      stderr:
        "Skipped standard input, line 2: expected 3 cells, got 2\nSkipped standard input, line 4: expected 3 cells, got 4\n",
    });
    expect(await world.output("query c d --format ndjson")).toBe(record(2, "d", "x") + record(4, "d", "x"));
  });

  test("sends what comes slowly without waiting for more", async () => {
    const child = Bun.spawn([...PROGRAM, "insert", "slow", "d"], {
      env: { ...process.env, ...world.env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    child.stdin.write(record(1, "d", "x"));
    child.stdin.flush();
    while ((await world.output("query slow d").catch(() => "")) === "") await Bun.sleep(10);
    child.kill("SIGINT");
    expect(await child.exited).toBe(130);
    expect(await new Response(child.stderr).text()).toBe("fluxiondb: Interrupted: records stored: 1\n");
  });

  test("takes all of a large input", async () => {
    const input = Array.from({ length: 25_000 }, (_, ts) => record(ts, `d${ts % 10}`, "x")).join("");
    expect(JSON.parse(await world.output("insert c", { input }))).toEqual({ inserted: 25_000, skipped: 0 });
    expect(JSON.parse(await world.output("status"))).toMatchObject({ documents: 10, records: 25_000 });
  });
});

describe("the shorter spellings", () => {
  test("take names as words", async () => {
    await world.output(["insert", "c", "d", "--data", "x", "--ts", "5"]);
    expect(JSON.parse(await world.output("latest c d"))).toEqual({ d: { ts: 5, data: "x" } });
    expect(JSON.parse(await world.output("history c d"))).toEqual([{ ts: 5, data: "x" }]);
    await world.output("set c k v");
    writeFileSync(world.folder.join("value"), "from a file\n");
    await world.output(`set c f --value-file ${world.folder.join("value")}`);
    await world.output("set c i --value-file -", { input: "from input" });
    expect(await world.run(`set c k v --value-file ${world.folder.join("value")}`)).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining("fluxiondb: Give the value or --value-file, not both\n"),
    });
    expect(JSON.parse(await world.output("get c"))).toEqual({ f: "from a file\n", i: "from input", k: "v" });
    for (const names of ["c none", "nowhere none"]) {
      expect(await world.run(`get ${names}`)).toMatchObject({ exitCode: 4, stdout: "" });
    }
    expect(JSON.parse(await world.output("get nowhere /none/"))).toEqual({});
    expect(JSON.parse(await world.output("value-keys c"))).toEqual(["f", "i", "k"]);
    await world.output("delete-value c k");
    await world.output(["delete-record", "c", "d", "--ts", "1970-01-01T00:00:05Z"]);
    expect(JSON.parse(await world.output("latest c"))).toEqual({});
    expect(JSON.parse(await world.output("clients"))).toHaveLength(1);
  });

  test("status says how the server is", async () => {
    const status = JSON.parse(await world.output("status"));
    expect(status).toMatchObject({ durability: "memory", disk: null, lastCheckpoint: null, connections: 1 });
    expect(status.memory.residentBytes).toBeGreaterThan(1e6);
    await using saved = await CommandWorld.open(["--data", world.folder.join("data"), "-f", "0.05"]);
    await saved.output("insert c d --data x");
    // The file of the collection has its bytes before the checkpoint is over.
    let last = JSON.parse(await saved.output("status"));
    while (last.lastCheckpoint === null || last.disk.dataBytes === 0) {
      last = JSON.parse(await saved.output("status"));
    }
    expect(last).toMatchObject({ collections: 1, documents: 1, records: 1, durability: "everysec" });
    expect(last.lastCheckpoint.tookMs).toBeGreaterThanOrEqual(0);
  });

  test("add-key makes a key when none is given, and takes one from a file", async () => {
    const { key, scope } = JSON.parse(await world.output("add-key --scope read_write"));
    expect(scope).toBe("read_write");
    expect(await world.run("delete-collection c", { env: { FLUXIONDB_API_KEY: key } })).toEqual({
      exitCode: 3,
      stdout: "",
      stderr:
        "fluxiondb: permission denied. Take an API key with a wider scope (fluxiondb add-key), or the master key\n",
    });
    const file = world.folder.join("key");
    writeFileSync(file, `${key}\n`);
    expect(
      await world.run(`collections --api-key-file ${file}`, { env: { FLUXIONDB_API_KEY: "" } }),
    ).toMatchObject({
      exitCode: 0,
      stdout: "[]\n",
    });
    await world.output(`remove-key --key-file ${file}`);
    expect(await world.run("collections", { env: { FLUXIONDB_API_KEY: key } })).toMatchObject({
      exitCode: 3,
    });
  });
});

describe("export and import", () => {
  test("work on a data directory without a server, and not while one holds it", async () => {
    const data = world.folder.join("held");
    const out = world.folder.join("out");
    const env = { FLUXIONDB_API_KEY: "", FLUXIONDB_URL: "" };
    await using held = await CommandWorld.open(["--data", data]);
    await held.output("insert c d --data x --ts 7");
    await held.output("add-key --key K");
    expect(await world.run(`export --data ${data} --all --out-dir ${out}`, { env })).toMatchObject({
      exitCode: 1,
      stdout: "",
      stderr: expect.stringContaining(`The data directory ${data} is in use by process ${held.server.pid}`),
    });
    await held.server.kill("SIGTERM");
    const withKey = { ...env, FLUXIONDB_API_KEY: "secret-of-the-tests" };
    const exported = await world.run(`export --data ${data} --all --out-dir ${out}`, { env: withKey });
    expect(exported).toMatchObject({ exitCode: 0, stderr: expect.stringContaining("Exported as of 20") });
    expect(readFileSync(`${out}/c/d.jsonl`, "utf8")).toBe('{"ts":7,"doc":"d","data":"x"}\n');
    expect(JSON.parse(readFileSync(`${out}/apikeys.json`, "utf8"))).toMatchObject([{ key: "K" }]);

    const copy = world.folder.join("copy");
    const imported = await world.run(`import --data ${copy} --all --in-dir ${out}`, { env });
    expect(imported).toMatchObject({ exitCode: 0, stderr: expect.stringContaining("Made a secret key") });
    await world.run(`export --data ${copy} --all --out-dir ${out}2`, { env });
    for (const file of readdirSync(out, { recursive: true, withFileTypes: true })) {
      if (!file.isFile()) continue;
      const path = `${file.parentPath}/${file.name}`;
      expect(readFileSync(path.replace(out, `${out}2`), "utf8")).toBe(readFileSync(path, "utf8"));
    }
    expect(await world.run(`export --data ${out} --all --out-dir ${out}3`, { env })).toMatchObject({
      exitCode: 1,
      stderr: `fluxiondb: ${out} holds no data of FluxionDB\n`,
    });
  });

  test("say what is wrong, and what would be done", async () => {
    const folder = world.folder.join("broken");
    expect(await world.run(`import --all --in-dir ${folder}`)).toMatchObject({
      exitCode: 1,
      stderr: `fluxiondb: Cannot read ${folder}: there is no such folder\n`,
    });
    await Bun.write(`${folder}/c/d.jsonl`, '{"ts":1,"data":"x"}\n{"ts":2}\n');
    const failed = await world.run(`import --all --in-dir ${folder}`);
    expect(failed).toMatchObject({ exitCode: 1, stdout: "" });
    expect(failed.stderr).toContain(
      `${folder}/c/d.jsonl:2: data: expected a string or a JSON value, got nothing`,
    );
    const dry = JSON.parse(await world.output(`import --all --in-dir ${folder} --skip-bad --dry-run`));
    expect(dry).toMatchObject({ collections: [{ records: 1 }], skipped: 1, dryRun: true });
    expect(await world.output("collections")).toBe("[]\n");
    expect(await world.run(`export --col none --out-dir ${folder}`)).toMatchObject({
      exitCode: 1,
      stderr: 'fluxiondb: There is no collection "none"\n',
    });
  });
});

test("export of all with a key that is not the master key says so before it writes anything", async () => {
  const out = world.folder.join("denied");
  const { key } = JSON.parse(await world.output("add-key --scope readonly"));
  await world.output("insert c d --data x");
  const env = { FLUXIONDB_API_KEY: key };
  const outcome = await world.run(`export --all --out-dir ${out}`, { env });
  expect(outcome).toMatchObject({ exitCode: 3, stdout: "" });
  expect(outcome.stderr).toContain(
    "Nothing was exported: the API keys need the master key, collections by name do not",
  );
  expect(existsSync(out)).toBe(false);
  expect(await world.run(`export --col c --out-dir ${out}`, { env })).toMatchObject({ exitCode: 0 });
});

test("an import that the server cannot take says how far it came", async () => {
  await using small = await CommandWorld.open(["--memory-limit", "16MiB"]);
  const lines = Array.from({ length: 3000 }, (_, ts) =>
    record(ts, "d", randomBytes(6000).toString("base64")),
  );
  await Bun.write(small.folder.join("in", "c", "d.jsonl"), lines);
  const { exitCode, stdout, stderr } = await small.run(`import --all --in-dir ${small.folder.join("in")}`);
  expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
  expect(stderr).toMatch(
    /^Records stored so far: [1-9]\d*\. The same command starts from the beginning; what it sends again changes nothing\nfluxiondb: .*memory/,
  );
});

test("an import that is dry, or has no source, makes no data directory", async () => {
  const folder = world.folder.join("dry");
  await Bun.write(`${folder}/c/d.jsonl`, '{"ts":1,"data":"x"}\n');
  const data = world.folder.join("not-made");
  const env = { FLUXIONDB_API_KEY: "" };
  const dry = await world.run(`import --all --in-dir ${folder} --data ${data} --dry-run`, { env });
  expect(dry).toMatchObject({ exitCode: 0, stderr: "" });
  expect(JSON.parse(dry.stdout)).toMatchObject({ collections: [{ records: 1 }], dryRun: true });
  for (const [source, problem] of [
    [`--all --in-dir ${folder}/none`, `Cannot read ${folder}/none: there is no such folder`],
    [`--from-fluxiondb ${folder}/none`, `There is no file ${folder}/none`],
  ]) {
    const outcome = await world.run(`import ${source} --data ${data}`, { env });
    expect(outcome).toEqual({ exitCode: 1, stdout: "", stderr: `fluxiondb: ${problem}\n` });
  }
  expect(existsSync(data)).toBe(false);
});

test("an import into a data directory that fails counts nothing that is not saved", async () => {
  const folder = world.folder.join("refused");
  await Bun.write(`${folder}/c/d.jsonl`, '{"ts":1,"data":"x"}\n');
  await Bun.write(`${folder}/apikeys.json`, JSON.stringify([{ key: "k".repeat(10_000), scope: "readonly" }]));
  const command = `import --all --in-dir ${folder} --data ${world.folder.join("unsaved")}`;
  const { exitCode, stderr } = await world.run(command, { env: { FLUXIONDB_API_KEY: "" } });
  expect(exitCode).toBeGreaterThan(0);
  expect(stderr).toContain(
    "What was imported so far may be lost. The same command imports all, from the beginning\n",
  );
  expect(stderr).not.toContain("Records stored");
});

describe("every command", () => {
  test("has help with an example, and says where it belongs", async () => {
    const { stdout } = await runProgram(["--help"]);
    const names = [...stdout.matchAll(/^ {2}([a-z]+(?:-[a-z]+)*)(?: [[<].*)? {2,}[A-Z]/gm)].map(
      ([, name]) => name as string,
    );
    expect(names.length).toBeGreaterThan(20);
    for (const name of [
      ...names.filter((each) => each !== "help"),
      "fetch-latest",
      "insert-record",
      "connections",
    ]) {
      const help = await runProgram(["help", name]);
      expect(help).toMatchObject({ exitCode: 0, stderr: "" });
      if (name !== "serve" && !/^(fetch|insert-record|connections)/.test(name)) {
        expect(help.stdout).toMatch(new RegExp(`Examples?:\n {2}.*fluxiondb .*${name}`));
      }
    }
    expect(stdout).not.toContain("fetch-collections");
    // Thirty programs, one after another.
  }, 30_000);

  test("explains why it cannot talk to the server", async () => {
    for (const [command, env, exitCode, message] of [
      [
        "collections",
        { FLUXIONDB_API_KEY: "nobody" },
        3,
        "Unknown API key, or one that has expired. Check --api-key-file",
      ],
      ["collections", { FLUXIONDB_API_KEY: "" }, 2, "Give an API key: --api-key-file FILE"],
      ["collections --url ws://127.0.0.1:1", {}, 1, "Is the server running? Start one with: fluxiondb serve"],
      [
        "collections --url ftp://x",
        {},
        2,
        '--url: expected an address such as ws://127.0.0.1:8080, got "ftp://x"',
      ],
      ["collections --api-key-file /none", {}, 2, "--api-key-file: cannot read /none"],
      ["collections --api-key a --api-key-file b", {}, 2, "Give --api-key or --api-key-file, not both"],
      ["collections --timeout never", {}, 2, "--timeout: expected seconds"],
      ["nonsense", {}, 2, "unknown command 'nonsense'"],
      ["help nonsense", {}, 2, "unknown command 'nonsense'"],
    ] as const) {
      const outcome = await world.run(command, { env });
      expect(outcome).toMatchObject({ exitCode, stdout: "" });
      expect(outcome.stderr).toContain(message);
      expect(outcome.stderr).not.toContain("nobody");
    }
  });

  test("gives the server's reason when it lets nobody in", async () => {
    await using full = await CommandWorld.open(["--max-connections", "1"]);
    await using _client = await full.server.connect();
    expect(await full.run("collections")).toMatchObject({
      exitCode: 1,
      stdout: "",
      stderr: expect.stringMatching(/refused the connection \(503\): Too many connections[^.]*\n$/),
    });
  });

  test("takes an address as people write it", async () => {
    const address = world.server.url.replace("ws://", "");
    for (const url of [address, `http://${address}`, `ws://${address}/any/path`]) {
      expect(await world.run(["collections", "--url", url])).toMatchObject({ exitCode: 0 });
    }
  });
});

describe("completion", () => {
  test("knows all commands, in bash", async () => {
    const script = world.folder.join("completion.bash");
    await Bun.write(script, await world.output("completion bash"));
    const complete = async (...words: string[]): Promise<string[]> => {
      const line = `source ${script}; COMP_WORDS=(fluxiondb ${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length}; _fluxiondb; echo "\${COMPREPLY[@]}"`;
      return (await Bun.$`bash -c ${line}`.text()).trim().split(" ");
    };
    expect(await complete("del")).toEqual([
      "delete-collection",
      "delete-document",
      "delete-record",
      "delete-range",
      "delete-value",
    ]);
    expect(await complete("query", "--f")).toEqual(["--from", "--filter", "--format"]);
  });

  test.each(["zsh", "fish"])("is printed for %s", async (shell) => {
    const script = await world.output(`completion ${shell}`);
    for (const word of ["query", "delete-range", "format"]) expect(script).toContain(word);
  });

  test("is for shells that it knows", async () => {
    expect(await world.run("completion tcsh")).toMatchObject({ exitCode: 2 });
  });
});

test("version is text for people and JSON for programs", async () => {
  const version = JSON.parse(await world.output("version"));
  expect(await world.output("--version")).toBe(`fluxiondb ${version.version} (${version.commit})\n`);
});

describe("add-key", () => {
  test("limits a key by time and by collections, which keys lists", async () => {
    const before = Date.now();
    await world.output("add-key --key L --scope read_write --expires 30d --collections a,/^b{1,2}$/,c");
    const listed = async () =>
      (JSON.parse(await world.output("keys")) as { key: string; expiresAt?: number }[]).find(
        ({ key }) => key === "L",
      );
    const key = await listed();
    expect(key).toMatchObject({ scope: "read_write", collections: ["a", "/^b{1,2}$/", "c"] });
    expect(key?.expiresAt).toBeGreaterThanOrEqual(before + 30 * 86_400_000);
    const env = { FLUXIONDB_API_KEY: "L" };
    expect(await world.run("set bb k v", { env })).toMatchObject({ exitCode: 0 });
    expect(await world.run("set d k v", { env })).toMatchObject({
      exitCode: 3,
      stderr: expect.stringContaining("permission denied"),
    });
    // The scope, too, stays as it is where only a limit is given.
    const added = await world.output("add-key --key L --expires 2999-01-01");
    expect(JSON.parse(added)).toEqual({
      id: expect.any(String),
      status: "ok",
      scope: "read_write",
      expiresAt: Date.UTC(2999, 0, 1),
      collections: ["a", "/^b{1,2}$/", "c"],
    });
    expect(await listed()).toMatchObject({
      scope: "read_write",
      expiresAt: Date.UTC(2999, 0, 1),
      collections: ["a", "/^b{1,2}$/", "c"],
    });
    await world.output("add-key --key L --scope read_write --expires never --all-collections");
    expect(await listed()).toEqual({ key: "L", scope: "read_write", deletable: true } as never);
    await world.output("remove-key --key L");
  });

  test.each([
    [
      "--expires yesterday",
      "--expires: expected a time such as 2026-12-31, 2026-12-31T12:30:00Z, 30d or never, got",
    ],
    ["--expires 2001-01-01", '--expires: expected a time to come, got "2001-01-01"'],
    ["--expires 1700000000", "--expires: expected a time to come"],
    ["--collections a,,b", '--collections: expected names joined by commas, got "a,,b"'],
    ["--collections a --all-collections", "Give --collections or --all-collections, not both"],
  ])("%s is refused", async (options, message) => {
    expect(await world.run(`add-key --key L ${options}`)).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining(message),
    });
  });
});
