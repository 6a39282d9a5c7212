/**
 * The main job, as a stranger does it: load two files of weather, ask, stop, start, and get the same answers.
 */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { ServerProcess } from "../support/server_process.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";
import type { TestClient } from "../support/test_client.ts";

type Row = { readonly doc: string; readonly ts: number; readonly data: string };
type WeatherRecord = { readonly ts: number; readonly data: string };

const COLLECTION = "weather";
const NO_END = "9223372036854775807";
const RECORDS_A_MESSAGE = 100;

/** A CSV file's rows: a document a location, its time in seconds, the other columns as a JSON object. */
function readRows(file: string, station: string): Row[] {
  const [header = "", ...lines] = readFileSync(join(import.meta.dir, "fixtures", file), "utf8")
    .trim()
    .split("\n");
  const names = header.split(",");
  return lines.map((line) => {
    const fields = Object.fromEntries(line.split(",").map((text, index) => [names[index] as string, text]));
    const { date = "", location = station, ...rest } = fields;
    const values = Object.entries(rest).map(([name, text]) => [
      name,
      Number.isNaN(Number(text)) ? text : Number(text),
    ]);
    const ts = Date.parse(date.includes("T") ? `${date}Z` : date) / 1000;
    return { doc: location, ts, data: JSON.stringify(Object.fromEntries(values)) };
  });
}

const ROWS = [
  ...readRows("weather.csv", ""),
  ...readRows("seattle-hourly-normals.csv", "Seattle station, hourly"),
];

const rowsOf = (doc: string): WeatherRecord[] =>
  ROWS.filter((row) => row.doc === doc)
    .map(({ ts, data }) => ({ ts, data }))
    .sort((a, b) => a.ts - b.ts);

async function load(client: TestClient): Promise<void> {
  const replies: Promise<unknown>[] = [];
  for (let first = 0; first < ROWS.length; first += RECORDS_A_MESSAGE) {
    const records = ROWS.slice(first, first + RECORDS_A_MESSAGE).map((row) => ({ ...row, col: COLLECTION }));
    replies.push(client.request("ins", records));
  }
  for (const reply of await Promise.all(replies)) expect(reply).not.toHaveProperty("error");
}

/** Everything a stranger asks; each with what the files say. */
const QUESTIONS: readonly { type: string; data: string; expected: Record<string, unknown> }[] = [
  { type: "cols", data: "{}", expected: { collections: [COLLECTION] } },
  {
    type: "qry",
    data: `{"col":"weather","ts":${NO_END}}`,
    expected: {
      records: Object.fromEntries(
        ["New York", "Seattle", "Seattle station, hourly"].map((doc) => [doc, rowsOf(doc).at(-1)]),
      ),
    },
  },
  {
    type: "qry",
    data: `{"col":"weather","ts":1330000000,"doc":"/^seattle$/i"}`,
    expected: { records: { Seattle: rowsOf("Seattle").findLast(({ ts }) => ts <= 1_330_000_000) } },
  },
  {
    type: "qdoc",
    data: `{"col":"weather","doc":"Seattle","from":0,"to":${NO_END}}`,
    expected: { records: rowsOf("Seattle") },
  },
  {
    type: "qdoc",
    data: `{"col":"weather","doc":"New York","from":1327000000,"to":1332000000,"limit":7,"reverse":true}`,
    expected: {
      records: rowsOf("New York")
        .filter(({ ts }) => ts >= 1_327_000_000 && ts <= 1_332_000_000)
        .reverse()
        .slice(0, 7),
    },
  },
  {
    type: "qdoc",
    data: JSON.stringify({ col: COLLECTION, doc: "Seattle", where: '"weather":"snow"' }),
    expected: { records: rowsOf("Seattle").filter(({ data }) => data.includes('"weather":"snow"')) },
  },
  {
    type: "qdoc",
    data: JSON.stringify({
      col: COLLECTION,
      doc: "Seattle",
      where: '/"weather":"(rain|snow)"/',
      filter: '/"temp_min":-/',
    }),
    expected: {
      records: rowsOf("Seattle").filter(
        ({ data }) => /"weather":"(rain|snow)"/.test(data) && !/"temp_min":-/.test(data),
      ),
    },
  },
  { type: "qdoc", data: `{"col":"weather","doc":"Nowhere"}`, expected: { records: [] } },
  { type: "gval", data: `{"col":"weather","key":"source"}`, expected: { value: "NOAA" } },
];

const ask = (client: TestClient): Promise<string[]> =>
  Promise.all(QUESTIONS.map(({ type, data }) => client.requestText(type, data)));

/** Without the id, which counts up. */
const answersOf = (texts: readonly string[]): string[] =>
  texts.map((text) => text.replace(/^\{"id":"[^"]*",/, "{"));

test("weather goes in, is found again, and survives a stop and a kill byte for byte", async () => {
  using folder = new TemporaryFolder();
  const data = folder.join("data");
  const args = ["--data", data];
  let answers: string[];
  {
    await using server = await ServerProcess.start({ args });
    await using client = await server.connect({ name: "stranger" });
    await load(client);
    await client.request("sval", { col: COLLECTION, key: "source", value: "NOAA" });
    await client.request("keys", { action: "add", key: "reader/ü", scope: "ReadOnly" });
    const texts = await ask(client);
    for (const [index, { expected }] of QUESTIONS.entries()) {
      expect(JSON.parse(texts[index] as string)).toEqual({ id: expect.any(String), ...expected });
    }
    answers = answersOf(texts);
    expect(await server.kill("SIGTERM")).toBe(0);
  }
  {
    await using server = await ServerProcess.start({ args });
    expect(server.output).toContain(`1 collection, 3 documents, ${ROWS.length} records`);
    await using reader = await server.connect({ key: "reader/ü" });
    expect(answersOf(await ask(reader))).toEqual(answers);
    expect(await reader.request("dcol", { col: COLLECTION })).toMatchObject({ error: "permission denied" });
    await server.kill("SIGKILL");
  }
  await using server = await ServerProcess.start({ args });
  await using client = await server.connect();
  expect(answersOf(await ask(client))).toEqual(answers);
}, 60_000);

test("nobody but their owner may read the files, and no name leads out of the data directory", async () => {
  using folder = new TemporaryFolder();
  const data = folder.join("parent", "data");
  const names = [
    "../x",
    "../../etc/passwd",
    "a/b",
    "CON",
    ".",
    "x".repeat(1000),
    "😀",
    "nul\u0000",
    "\ud800",
  ];
  {
    await using server = await ServerProcess.start({ args: ["--data", data] });
    await using client = await server.connect();
    for (const col of names) {
      expect(await client.request("ins", [{ col, doc: col, ts: 1, data: col }])).not.toHaveProperty("error");
    }
    expect(await server.kill("SIGTERM")).toBe(0);
  }
  expect(readdirSync(folder.join("parent"))).toEqual(["data"]);
  for (const name of readdirSync(data, { recursive: true }) as string[]) {
    const found = statSync(join(data, name));
    expect(found.mode & 0o777).toBe(found.isDirectory() ? 0o700 : 0o600);
  }
  await using server = await ServerProcess.start({ args: ["--data", data] });
  await using client = await server.connect();
  expect(await client.request("cols", {})).toMatchObject({ collections: [...names].sort() });
  for (const col of names) {
    expect(await client.request("qdoc", { col, doc: col })).toMatchObject({
      records: [{ ts: 1, data: col }],
    });
  }
}, 60_000);
