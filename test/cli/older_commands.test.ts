/**
 * Scripts around the older tool: the same commands print the same JSON, letter for letter.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { CommandWorld } from "./command_world.ts";

let world: CommandWorld;
beforeAll(async () => {
  world = await CommandWorld.open();
});
afterAll(() => world[Symbol.asyncDispose]());

const OK = '{\n  "status": "ok"\n}\n';
const indented = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;

test("each prints what it always has", async () => {
  const insert = (doc: string, ts: string, data: string) =>
    world.output(["insert-record", "--col", "sensors", "--doc", doc, "--ts", ts, "--data", data]);
  expect(await world.output("fetch-collections")).toBe("[]\n");
  expect(await world.output("fetch-latest --col sensors")).toBe("{}\n");
  expect(await world.output("fetch-document --col sensors --doc d --from 0 --to 9")).toBe("[]\n");
  expect(await insert("room-1", "100", '{"t":21}')).toBe(OK);
  expect(await insert("room-1", "200", '{"t":22}')).toBe(OK);
  expect(await insert("room-2", "1747604423123456789", "text")).toBe(OK);
  expect(await world.output("fetch-collections")).toBe(indented(["sensors"]));
  const room1 = { "room-1": { ts: 200, data: '{"t":22}' } };
  expect(await world.output("fetch-latest --col sensors")).toBe(indented(room1));
  expect(await world.output("fetch-latest --col sensors --doc room-2 --ts 1747604423123456789")).toBe(
    '{\n  "room-2": {\n    "ts": 1747604423123456789,\n    "data": "text"\n  }\n}\n',
  );
  expect(await world.output("fetch-latest --col sensors --ts 150 --from 101")).toBe("{}\n");
  expect(await world.output("fetch-latest --col sensors --where 22 --filter t")).toBe("{}\n");
  const history = [
    { ts: 100, data: '{"t":21}' },
    { ts: 200, data: '{"t":22}' },
  ];
  const fetch = "fetch-document --col sensors --doc room-1 --from 0 --to 300";
  expect(await world.output(fetch)).toBe(indented(history));
  expect(await world.output(`${fetch} --limit 1 --reverse`)).toBe(indented([history[1]]));
  expect(await world.output("set-value --col sensors --key k --value v")).toBe(OK);
  expect(await world.output("get-values --col sensors")).toBe(indented({ k: "v" }));
  expect(await world.output("get-values --col sensors --key /K/i")).toBe(indented({ k: "v" }));
  expect(await world.output("get-values --col sensors --key none")).toBe(indented({ none: "" }));
  expect(await world.output("list-keys --col sensors")).toBe(indented(["k"]));
  expect(await world.output("delete-value --col sensors --key k")).toBe(OK);
  expect(await world.output("delete-record --col sensors --doc room-1 --ts 100")).toBe(OK);
  expect(await world.output("delete-range --col sensors --doc room-1 --from 0 --to 300")).toBe(OK);
  expect(await world.output("delete-document --col sensors --doc room-2")).toBe(OK);
  expect(await world.output("delete-collection --col sensors")).toBe(OK);
  expect(await world.output("fetch-collections")).toBe("[]\n");
  // Twenty programs, one after another.
}, 30_000);

test("API keys and connections", async () => {
  const added = await world.output("add-key --key K");
  expect(added).toMatch(/^{\n {2}"id": "[^"]+",\n {2}"status": "ok",\n {2}"scope": "readonly"\n}\n$/);
  expect(JSON.parse(await world.output("add-key --key K --scope ReadWrite"))).toMatchObject({
    scope: "read_write",
  });
  expect(JSON.parse(await world.output("keys"))).toContainEqual({
    key: "K",
    scope: "read_write",
    deletable: true,
  });
  expect(await world.output("remove-key --key K")).toMatch(
    /^{\n {2}"id": "[^"]+",\n {2}"status": "ok"\n}\n$/,
  );
  expect(await world.output("connections")).toMatch(
    /^\[\n {2}{\n {4}"ip": "127.0.0.1",\n {4}"since": [0-9]+,\n {4}"self": true,\n {4}"name": null\n {2}}\n]\n$/,
  );
  expect(JSON.parse(await world.output("connections --name me"))).toMatchObject([{ name: "me" }]);
});

test("a record's time is now, in seconds", async () => {
  const from = Math.floor(Date.now() / 1000);
  await world.output("insert-record --col now --doc d --data x");
  const latest = JSON.parse(await world.output("fetch-latest --col now"));
  expect(latest.d.ts).toBeWithin(from, from + 60);
  await world.output("delete-collection --col now");
});

test("the key and the address are taken from where they always were", async () => {
  const env = { FLUXIONDB_API_KEY: "", FLUXIONDB_APIKEY: "secret-of-the-tests" };
  expect(await world.run("fetch-collections", { env })).toMatchObject({ exitCode: 0, stdout: "[]\n" });
  const flags = ["fetch-collections", "--url", world.server.url, "--apikey", "secret-of-the-tests"];
  const none = { FLUXIONDB_API_KEY: "wrong", FLUXIONDB_URL: "ws://127.0.0.1:1" };
  expect(await world.run(flags, { env: none })).toMatchObject({ exitCode: 0, stdout: "[]\n" });
});

test("archives are as they were", async () => {
  await world.output('insert-record --col sensors --doc room-1 --ts 100 --data {"t":21}');
  await world.output('insert-record --col sensors --doc room-1 --ts 200 --data {"t":22}');
  await world.output([
    "insert-record",
    "--col",
    "sensors",
    "--doc",
    "room/2 é",
    "--ts",
    "150",
    "--data",
    "text",
  ]);
  await world.output("set-value --col sensors --key k --value v");
  await world.output("add-key --key abc");
  const dir = world.folder.join("out");
  const collection = { collection: "sensors", documents: 2, records: 3 };
  const exported = {
    outputDir: dir,
    collections: [{ ...collection, outputDir: `${dir}/sensors` }],
  };
  const keys = { keys: 1, outputFile: `${dir}/apikeys.json` };
  expect(await world.output(`export --col sensors --out-dir ${dir}`)).toBe(indented(exported));
  expect(await world.output(`export --all --out-dir ${dir}`)).toBe(indented({ ...exported, apiKeys: keys }));
  const imported = {
    inputDir: dir,
    collections: [{ ...collection, keyValues: 1, inputDir: `${dir}/sensors` }],
  };
  expect(await world.output(`import --col sensors --in-dir ${dir}`)).toBe(indented(imported));
  expect(await world.output(`import --all --in-dir ${dir}`)).toBe(
    indented({ ...imported, apiKeys: { keys: 1, inputFile: `${dir}/apikeys.json` } }),
  );
  for (const command of [`export --out-dir ${dir}`, `import --in-dir ${dir}`]) {
    expect(await world.run(command)).toMatchObject({
      exitCode: 2,
      stdout: "",
      stderr: expect.stringContaining("specify at least one of --col, --api-keys, or --all"),
    });
  }
});
