/**
 * `fluxiondb query`: latest records or a history of any length, in the format that the next program wants.
 */
import { type Command, Option } from "commander";
import type { FluxionDB } from "../client/fluxiondb.ts";
import type { DataRecord } from "../client/types.ts";
import { addClientOptions, withClient } from "./client_options.ts";
import { CommandError, usageError } from "./command_error.ts";
import { GROUP_READ } from "./command_group.ts";
import { addCommand, addNames, readNames } from "./command_names.ts";
import { EXIT_NOT_FOUND } from "./exit_code.ts";
import { addLimit, addPredicates, readLimit, readPredicates, readRange, recordCells } from "./fetch.ts";
import { oneOf } from "./option_value.ts";
import { bold, isTerminal, streamOutput, terminalWidth } from "./output.ts";
import { jsonText } from "./result.ts";
import { TableLayout } from "./table.ts";
import { addTimes, readTimes, type Times } from "./time_options.ts";
import { TIME_HELP } from "./time_value.ts";

const FORMATS = ["table", "json", "ndjson", "csv"] as const;
type Format = (typeof FORMATS)[number];
type Row = DataRecord & { readonly doc: string };
type Pages = AsyncIterable<readonly Row[]>;

const PATTERN = /^\/.*\/[ims]*$/s;
const TABLE_HEAD = ["doc", "ts", "data"];

const HELP = `
With a document's name: its history. With a /pattern/, or without a document: the latest record of each, as of --at.

Formats: table (on a terminal), json (in a pipe), ndjson (a record a line, which fluxiondb insert takes), csv.
In a table, --unit shows times by the calendar; the other formats have numbers always.

${TIME_HELP}
Examples:
  fluxiondb query sensors
  fluxiondb query sensors room-1 --from -1h --unit ms
  fluxiondb query sensors room-1 --format csv > room-1.csv
  fluxiondb query sensors room-1 --format ndjson | fluxiondb insert copies room-1
`;

export function addQuery(program: Command): void {
  const summary = "Query records: latest ones, or a history of any length, as table, JSON or CSV";
  addCommand(program, { name: "query", summary, group: GROUP_READ }, (command) => {
    addNames(command, ["col", "doc?"]);
    addTimes(command, {
      at: "latest records: at or before this (default: no bound)",
      from: "the first time",
      to: "a history: the last time",
    });
    addLimit(command);
    addPredicates(command);
    command
      .addOption(new Option("--latest", "of a document only its latest record"))
      .addOption(
        new Option("--format <format>", `${FORMATS.join("|")} (default: see below)`).argParser((text) =>
          oneOf(FORMATS)(text, "--format"),
        ),
      );
    addClientOptions(command)
      .addHelpText("after", HELP)
      .action(() => query(command));
  });
}

async function query(command: Command): Promise<void> {
  const { col, doc } = readNames(command, ["col", "doc?"]);
  const values = command.opts();
  const times = readTimes(command);
  const isHistory =
    doc !== undefined && !PATTERN.test(doc) && values.latest !== true && values.at === undefined;
  refuseUnused(command, isHistory ? ["at"] : ["to", "limit", "reverse"], isHistory);
  const format: Format = values.format ?? (values.json !== true && isTerminal() ? "table" : "json");
  await withClient(
    command,
    async (client, signal) => {
      const pages = isHistory
        ? historyOf({ client, signal }, col, doc, {
            ...readRange(times),
            ...readLimit(command),
            ...readPredicates(command),
          })
        : latestOf({ client, signal }, col, { ...latestQuery(times, doc), ...readPredicates(command) });
      const count = await writePages(pages, format, times);
      if (count === 0) await explainNothing(client, col, doc);
    },
    { isLong: true },
  );
}

function refuseUnused(command: Command, names: readonly string[], isHistory: boolean): void {
  const given = names.find((name) => command.opts()[name] !== undefined);
  if (given === undefined) return;
  const what = isHistory ? "a document's history" : "latest records";
  throw usageError(`--${given} does not go with ${what}; see fluxiondb query --help`);
}

function latestQuery(times: Times, doc: string | undefined) {
  const at = times.of("at");
  const from = times.of("from");
  return {
    ...(at !== undefined && { at }),
    ...(from !== undefined && { from }),
    ...(doc !== undefined && { document: doc }),
  };
}

type Source = { readonly client: FluxionDB; readonly signal: AbortSignal };

async function* historyOf(
  { client, signal }: Source,
  col: string,
  doc: string,
  range: Parameters<FluxionDB["historyPages"]>[2],
): Pages {
  for await (const page of client.historyPages(col, doc, range, { signal })) {
    yield page.map(({ ts, data }) => ({ ts, doc, data }));
  }
}

async function* latestOf(
  { client, signal }: Source,
  col: string,
  latest: Parameters<FluxionDB["latest"]>[1],
): Pages {
  const records = await client.latest(col, latest, { signal });
  if (records.size > 0) yield [...records].map(([doc, { ts, data }]) => ({ ts, doc, data }));
}

/** Returns how many there were. */
async function writePages(pages: Pages, format: Format, times: Times): Promise<number> {
  const writer = WRITERS[format](times);
  let count = 0;
  for await (const page of pages) {
    await streamOutput(writer.page(page, count));
    count += page.length;
  }
  await streamOutput(writer.end(count));
  return count;
}

type Writer = {
  /** `before`: how many were written before these. */
  readonly page: (rows: readonly Row[], before: number) => string;
  readonly end: (count: number) => string;
};

const WRITERS: Readonly<Record<Format, (times: Times) => Writer>> = {
  json: () => ({
    page: (rows, before) =>
      rows.map((row, index) => `${before + index === 0 ? "[\n" : ",\n"}  ${jsonText(row)}`).join(""),
    end: (count) => (count === 0 ? "[]\n" : "\n]\n"),
  }),
  ndjson: () => ({ page: (rows) => rows.map((row) => `${jsonText(row)}\n`).join(""), end: () => "" }),
  csv: () => ({
    page: (rows, before) =>
      (before === 0 ? CSV_HEAD : "") +
      rows.map(({ ts, doc, data }) => `${ts},${csvField(doc)},${csvField(data)}\r\n`).join(""),
    end: (count) => (count === 0 ? CSV_HEAD : ""),
  }),
  table(times) {
    let layout: TableLayout | undefined;
    return {
      page(rows) {
        const cells = rows.map((row) => [row.doc, ...recordCells(row, times)]);
        const head = layout === undefined;
        // As wide as the first page needs; the last column takes the rest of the line anyway.
        layout ??= new TableLayout(TABLE_HEAD, cells, { widthMax: terminalWidth() });
        return (head ? bold(layout.line(TABLE_HEAD)) : "") + cells.map((row) => layout?.line(row)).join("");
      },
      end: () => "",
    };
  },
};

const CSV_HEAD = "ts,doc,data\r\n";

/** As RFC 4180 has it. */
const csvField = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

/** Nothing found may be right; that there is no such collection or document is not. */
async function explainNothing(client: FluxionDB, col: string, doc: string | undefined): Promise<void> {
  const isKnown = async (): Promise<boolean> =>
    doc === undefined || PATTERN.test(doc) || (await client.latest(col, { document: doc })).size > 0;
  if (!(await client.collections()).includes(col)) {
    throw new CommandError(`There is no collection ${JSON.stringify(col)}`, { exitCode: EXIT_NOT_FOUND });
  }
  if (await isKnown()) return;
  throw new CommandError(`There is no document ${JSON.stringify(doc)} in ${JSON.stringify(col)}`, {
    exitCode: EXIT_NOT_FOUND,
  });
}
