/**
 * The main job, as a stranger does it: load two files of weather, ask, stop, start, and get the same answers.
 */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { ServerProcess } from "../support/server_process.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";
import type { TestClient } from "../support/test_client.ts";

type WeatherRecord = { readonly ts: number; readonly data: string };
type Row = WeatherRecord & { readonly doc: string };

const COLLECTION = "weather";
const STATION = "Seattle station, hourly";
const NO_END = "9223372036854775807";
const RECORDS_A_MESSAGE = 100;
const READER = { key: "reader/ü +&", scope: "readonly" };

/** A CSV file's rows: a document a location, its time in seconds, the other columns as a JSON object. */
function readRows(file: string): Row[] {
  const text = readFileSync(join(import.meta.dir, "fixtures", file), "utf8");
  const [header = "", ...lines] = text.trim().split("\n");
  const names = header.split(",");
  return lines.map((line) => {
    const fields = Object.fromEntries(line.split(",").map((field, index) => [names[index] as string, field]));
    const { date = "", location = STATION, ...rest } = fields;
    const values = Object.entries(rest).map(([name, field]) => [name, name === "weather" ? field : +field]);
    const ts = Date.parse(date.includes("T") ? `${date}Z` : date) / 1000;
    return { doc: location, ts, data: JSON.stringify(Object.fromEntries(values)) };
  });
}

const ROWS = [...readRows("weather.csv"), ...readRows("seattle-hourly-normals.csv")];

const rowsOf = (doc: string): WeatherRecord[] =>
  ROWS.filter((row) => row.doc === doc)
    .map(({ ts, data }) => ({ ts, data }))
    .sort((a, b) => a.ts - b.ts);

const SEATTLE = rowsOf("Seattle");
const NEW_YORK = rowsOf("New York");
const HOURLY = rowsOf(STATION);
const latest = (rows: readonly WeatherRecord[], ts = Number.POSITIVE_INFINITY): WeatherRecord | undefined =>
  rows.findLast((row) => row.ts <= ts);
const between = (rows: readonly WeatherRecord[], from: number, to: number): WeatherRecord[] =>
  rows.filter(({ ts }) => ts >= from && ts <= to);

/** Both are times of a row, so that it shows whether both ends are included. */
const FROM = (SEATTLE[40] as WeatherRecord).ts;
const TO = (SEATTLE[90] as WeatherRecord).ts;

/** Everything a stranger asks; each with what the files say. */
const QUESTIONS: readonly { what: string; type: string; data: string; expected: Record<string, unknown> }[] =
  [
    { what: "collections", type: "cols", data: "{}", expected: { collections: [COLLECTION] } },
    {
      what: "the latest of every document",
      type: "qry",
      data: `{"col":"weather","ts":${NO_END}}`,
      expected: {
        records: { "New York": latest(NEW_YORK), Seattle: latest(SEATTLE), [STATION]: latest(HOURLY) },
      },
    },
    {
      what: "the latest at a time between two rows",
      type: "qry",
      data: `{"col":"weather","doc":"New York","ts":${TO + 1}}`,
      expected: { records: { "New York": latest(NEW_YORK, TO + 1) } },
    },
    {
      what: "the latest of the documents that a pattern names",
      type: "qry",
      data: `{"col":"weather","ts":${TO},"doc":"/^(seattle|new york)$/i"}`,
      expected: { records: { "New York": latest(NEW_YORK, TO), Seattle: latest(SEATTLE, TO) } },
    },
    {
      what: "the latest of those that have one since a time",
      type: "qry",
      data: `{"col":"weather","ts":${TO},"from":${FROM},"doc":"/seattle/i"}`,
      expected: { records: { Seattle: latest(SEATTLE, TO) } },
    },
    {
      what: "the latest that hold a text",
      type: "qry",
      data: `{"col":"weather","ts":${NO_END},"where":"pressure"}`,
      expected: { records: { [STATION]: latest(HOURLY) } },
    },
    {
      what: "a whole history",
      type: "qdoc",
      data: `{"col":"weather","doc":"${STATION}","from":0,"to":${NO_END}}`,
      expected: { records: HOURLY },
    },
    {
      what: "a history with both its ends",
      type: "qdoc",
      data: `{"col":"weather","doc":"Seattle","from":${FROM},"to":${TO}}`,
      expected: { records: between(SEATTLE, FROM, TO) },
    },
    {
      what: "the first of a history",
      type: "qdoc",
      data: `{"col":"weather","doc":"Seattle","from":${FROM},"to":${TO},"limit":7}`,
      expected: { records: between(SEATTLE, FROM, TO).slice(0, 7) },
    },
    {
      what: "the last of a history, newest first",
      type: "qdoc",
      data: `{"col":"weather","doc":"New York","from":${FROM},"to":${TO},"limit":7,"reverse":true}`,
      expected: { records: between(NEW_YORK, FROM, TO).reverse().slice(0, 7) },
    },
    {
      what: "a history's records that hold a text",
      type: "qdoc",
      data: JSON.stringify({ col: COLLECTION, doc: "Seattle", where: '"weather":"snow"' }),
      expected: { records: SEATTLE.filter(({ data }) => data.includes('"weather":"snow"')) },
    },
    {
      what: "a history's records that match one pattern and not the other",
      type: "qdoc",
      data: JSON.stringify({
        col: COLLECTION,
        doc: "Seattle",
        where: '/"weather":"(rain|snow)"/',
        filter: '/"temp_min":-/',
      }),
      expected: {
        records: SEATTLE.filter(
          ({ data }) => /"weather":"(rain|snow)"/.test(data) && !/"temp_min":-/.test(data),
        ),
      },
    },
    {
      what: "a document that is not there",
      type: "qdoc",
      data: `{"col":"weather","doc":"Nowhere"}`,
      expected: { records: [] },
    },
    {
      what: "a key's value",
      type: "gval",
      data: `{"col":"weather","key":"source"}`,
      expected: { value: "NOAA" },
    },
    {
      what: "all values",
      type: "gvals",
      data: `{"col":"weather"}`,
      expected: { values: { license: "BSD-3-Clause", source: "NOAA" } },
    },
  ];

/** Sends one message after another without waiting for the answers between. */
async function load(client: TestClient): Promise<void> {
  const messages: [type: string, data: unknown][] = [
    ["sval", { col: COLLECTION, key: "source", value: "NOAA" }],
    ["sval", { col: COLLECTION, key: "license", value: "BSD-3-Clause" }],
    ["keys", { action: "add", key: "removed", scope: "read_write_delete" }],
    ["keys", { action: "add", key: READER.key, scope: "read_write" }],
    ["keys", { action: "add", ...READER }],
    ["keys", { action: "remove", key: "removed" }],
  ];
  for (let first = 0; first < ROWS.length; first += RECORDS_A_MESSAGE) {
    const rows = ROWS.slice(first, first + RECORDS_A_MESSAGE);
    messages.push(["ins", rows.map((row) => ({ ...row, col: COLLECTION }))]);
  }
  const replies = await Promise.all(messages.map(([type, data]) => client.request(type, data)));
  for (const reply of replies) expect(reply).not.toHaveProperty("error");
}

/** The answers as they came; a new client numbers its requests from one, so the same answers are the same text. */
async function ask(server: ServerProcess, options: { key?: string } = {}): Promise<string[]> {
  await using client = await server.connect(options);
  return await Promise.all(QUESTIONS.map(({ type, data }) => client.requestText(type, data)));
}

async function listKeys(server: ServerProcess): Promise<string> {
  await using client = await server.connect();
  return await client.requestText("keys", '{"action":"list"}');
}

test("weather goes in, is found again, and survives stops and kills byte for byte", async () => {
  using folder = new TemporaryFolder();
  const args = ["--data", folder.join("data")];
  let answers: string[];
  let keys: string;
  {
    await using server = await ServerProcess.start({ args });
    {
      await using client = await server.connect({ name: "stranger" });
      await load(client);
    }
    answers = await ask(server);
    for (const [index, { what, expected }] of QUESTIONS.entries()) {
      const { id, ...answer } = JSON.parse(answers[index] as string);
      expect({ what, ...answer }).toEqual({ what, ...expected });
    }
    keys = await listKeys(server);
    expect(JSON.parse(keys)).toMatchObject({ keys: [{ ...READER, deletable: true }, { deletable: false }] });
    // Before the first checkpoint: all there is on disk is the journal.
    await server.kill("SIGKILL");
  }
  for (const signal of ["SIGTERM", "SIGKILL", "SIGINT"] as const) {
    await using server = await ServerProcess.start({ args });
    expect(server.output).toContain(`1 collection, 3 documents, ${ROWS.length} records`);
    expect(await ask(server)).toEqual(answers);
    expect(await ask(server, READER)).toEqual(answers);
    expect(await listKeys(server)).toBe(keys);
    await using reader = await server.connect(READER);
    expect(await reader.request("dcol", { col: COLLECTION })).toMatchObject({ error: "permission denied" });
    await expect(server.connect({ key: "removed" })).rejects.toThrow("closed");
    expect(await server.kill(signal)).toBe(signal === "SIGKILL" ? 137 : 0);
  }
}, 60_000);

/** `NAME file 600` for everything in a folder, and the folder itself. */
function modesOf(folder: string): string[] {
  const names = [".", ...(readdirSync(folder, { recursive: true }) as string[])];
  return names.map((name) => {
    const found = statSync(join(folder, name));
    return `${name} ${found.isDirectory() ? "folder" : "file"} ${(found.mode & 0o777).toString(8)}`;
  });
}

test.skipIf(process.platform === "win32")(
  "nobody but their owner may read the files",
  async () => {
    using folder = new TemporaryFolder();
    const data = folder.join("parent", "data");
    const args = ["--data", data, "--flush-interval", "0.05", "--log-level", "debug"];
    for (const state of ["new", "found"]) {
      await using server = await ServerProcess.start({ args });
      await using client = await server.connect();
      await client.request("ins", [{ col: COLLECTION, doc: state, ts: 1, data: "" }]);
      await client.request("keys", { action: "add", key: state, scope: "readonly" });
      await server.waitForOutput(/ debug Checkpoint collections=1 /);
      // Files that come and go while it runs are no exception: what SQLite keeps beside a database.
      const running = modesOf(data);
      expect(running.some((text) => text.includes("-wal "))).toBe(true);
      expect(await server.kill("SIGTERM")).toBe(0);
      for (const text of [...running, ...modesOf(data)]) expect(text).toMatch(/ (folder 700|file 600)$/);
    }
  },
  60_000,
);
