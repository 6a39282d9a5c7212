/**
 * The commands on a terminal: tables, questions, progress, and what data may not do to it.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { environmentWith, PROGRAM } from "../support/program.ts";
import { CommandWorld } from "./command_world.ts";

let world: CommandWorld;
beforeAll(async () => {
  world = await CommandWorld.open();
});
afterAll(() => world[Symbol.asyncDispose]());

type OnTerminal = {
  readonly columns?: number;
  readonly color?: boolean;
  /** Typed as soon as this was shown. */
  readonly answer?: readonly [question: string, typed: string];
};

/** What a terminal shows, with its line breaks as plain ones. */
async function onTerminal(
  args: readonly string[],
  { columns = 80, color = false, answer }: OnTerminal = {},
): Promise<{ shown: string; exitCode: number }> {
  const decoder = new TextDecoder();
  let shown = "";
  let isAnswered = false;
  const env = environmentWith(world.env);
  if (color) delete env.NO_COLOR;
  const child = Bun.spawn([...PROGRAM, ...args], {
    env,
    terminal: {
      cols: columns,
      rows: 24,
      data(terminal, bytes) {
        shown += decoder.decode(bytes, { stream: true });
        if (answer === undefined || isAnswered || !shown.includes(answer[0])) return;
        isAnswered = true;
        terminal.write(answer[1]);
      },
    },
  });
  const exitCode = await child.exited;
  child.terminal?.close();
  return { shown: shown.replaceAll("\r\n", "\n"), exitCode };
}

const insert = (doc: string, ts: number, data: string) =>
  world.output(["insert", "c", doc, "--ts", String(ts), "--data", data]);

test("a result is a table, which data cannot disturb and the terminal's width cuts", async () => {
  await insert("a", 100, `${"x".repeat(100)}`);
  await insert("日本", 5, "\u001b[2J\u0007\n😀\u202e");
  const { shown, exitCode } = await onTerminal(["latest", "c", "--unit", "s"], { columns: 60 });
  expect(exitCode).toBe(0);
  expect(shown).toBe(
    `document  ts                    data
a         1970-01-01T00:01:40Z  xxxxxxxxxxxxxxxxxxxxxxxxxxx…
日本      1970-01-01T00:00:05Z  \\u001b[2J\\u0007\\n😀\\u202e
`,
  );
  expect((await onTerminal(["query", "c", "a"], { columns: 20 })).shown).toBe(
    "doc  ts   data\na    100  xxxxxxxxx…\n",
  );
  expect((await onTerminal(["collections"], { color: true })).shown).toBe(
    "\u001b[1mcollection\u001b[22m\nc\n",
  );
  expect((await onTerminal(["get", "c"])).shown).toBe("There are no key-values\n");
  expect((await onTerminal(["set", "c", "k", "v"])).shown).toBe('Set "k" in "c"\n');
  expect((await onTerminal(["get", "c"])).shown).toBe("key  value\nk    v\n");
  expect((await onTerminal(["clients"])).shown).toMatch(
    /^name {2}address {4}for *\n– {5}127\.0\.0\.1 {2}\d+ ms {2}this one\n$/,
  );
  expect((await onTerminal(["status"])).shown).toMatch(
    /^Version {6}0\.\d+\.\d+ \(.+\)\nUp for {7}.*s\nCollections {2}1\n/,
  );
  expect((await onTerminal(["version"])).shown).toMatch(/^fluxiondb 0\.\d+\.\d+ \(.+\), Bun /);
});

test("it is JSON when that is asked for, and of the older commands always", async () => {
  expect((await onTerminal(["collections", "--json"])).shown).toBe('[\n  "c"\n]\n');
  expect((await onTerminal(["fetch-collections"])).shown).toBe('[\n  "c"\n]\n');
  expect((await onTerminal(["set-value", "--col", "c", "--key", "k", "--value", "v"])).shown).toBe(
    'Set "k" in "c"\n{\n  "status": "ok"\n}\n',
  );
});

test("a deletion is asked for, and not made when the answer is not yes", async () => {
  await insert("d", 1, "x");
  const question = 'Delete the document "d" in "c"? [y/N] ';
  const args = ["delete-document", "c", "d"];
  for (const typed of ["n\r", "\r", "\u0004"]) {
    const { shown, exitCode } = await onTerminal(args, { answer: [question, typed] });
    expect(shown).toContain(question);
    expect(shown).toContain("fluxiondb: Nothing was deleted");
    expect(exitCode).toBe(1);
  }
  expect(await onTerminal(args, { answer: [question, "\u0003"] })).toMatchObject({ exitCode: 130 });
  expect(JSON.parse(await world.output("latest c d"))).toHaveProperty("d");
  const yes = await onTerminal(args, { answer: [question, "y\r"] });
  expect(yes).toMatchObject({ exitCode: 0, shown: expect.stringContaining('"status": "ok"') });
  expect(JSON.parse(await world.output("latest c d"))).toEqual({});
  expect((await onTerminal([...args, "--yes"])).shown).not.toContain("[y/N]");
});

test("long work shows its progress and cleans up after itself", async () => {
  const lines = Array.from({ length: 60_000 }, (_, ts) => `{"ts":${ts},"doc":"d${ts % 20}","data":"x"}\n`);
  await world.output("insert big", { input: lines.join("") });
  const exported = await onTerminal(["export", "--col", "big", "--out-dir", world.folder.join("out")]);
  expect(exported.exitCode).toBe(0);
  expect(exported.shown).toMatch(/\[2KExporting [━─]{24} {1,3}\d+ % {2}[\d,]+ records {2}[\d,]+\/s/);
  expect(exported.shown).toMatch(/\[2KExported as of 20.*\n/);
  expect(exported.shown).toMatch(/collection {2}documents {2}records {2}folder\nbig {9}20 {9}60000 {4}/);
  const imported = await onTerminal(["import", "--col", "big", "--in-dir", world.folder.join("out")]);
  expect(imported.shown).toMatch(/Checking [━─]{24}/);
  expect(imported.shown).toMatch(/Importing [━─]{24}/);
  expect(imported.exitCode).toBe(0);
});

test("keys shows limits where a key has them", async () => {
  const table = async () => (await onTerminal(["keys"])).shown;
  expect(await table()).toMatch(/^key +scope\n/);
  const limited = ["add-key", "--key", "K", "--collections", "a,/b/", "--expires", "2999-01-01"];
  expect((await onTerminal(limited)).shown).toStartWith(
    "Added a key with the scope readonly, expires 2999-01-01T00:00:00.000Z, collections a,/b/\n",
  );
  expect(await table()).toMatch(
    /^key +scope +expires +collections\nK +readonly +2999-01-01T00:00:00.000Z +a,\/b\/\n.*master key *\n$/,
  );
  await world.output("remove-key --key K");
});
