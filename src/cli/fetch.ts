/**
 * `fluxiondb collections`, `latest` and `history`, which older scripts know as `fetch-…`.
 */
import { type Command, Option } from "commander";
import type { DataRecord } from "../client/types.ts";
import { addClientOptions, withClient } from "./client_options.ts";
import { GROUP_READ } from "./command_group.ts";
import { addCommand, addNames, readNames } from "./command_names.ts";
import { integerIn } from "./option_value.ts";
import { writeResult } from "./result.ts";
import { addTimes, readTimes, type Times } from "./time_options.ts";
import { formatTime, TIME_HELP } from "./time_value.ts";

const LIMIT = { min: 0, max: Number.MAX_SAFE_INTEGER };

export function addCollections(program: Command): void {
  const summary = "List the collections";
  addCommand(
    program,
    { name: "collections", older: "fetch-collections", summary, group: GROUP_READ },
    (command, { isOlder }) => {
      addClientOptions(command)
        .addHelpText("after", "\nExample:\n  fluxiondb collections\n")
        .action(() =>
          withClient(command, async (client, signal) => {
            const names = await client.collections({ signal });
            const json = isOlder || command.opts().json === true;
            const table = () => ({ head: ["collection"], rows: names.map((name) => [name]) });
            writeResult(names, table, { json, empty: "There is no collection" });
          }),
        );
    },
  );
}

export function addLatest(program: Command): void {
  const summary = "Show the latest record of each document of a collection, or of some";
  addCommand(
    program,
    { name: "latest", older: "fetch-latest", summary, group: GROUP_READ },
    (command, { isOlder }) => {
      addNames(command, ["col", "doc?"]);
      addTimes(command, { ts: "the latest at or before this (default: now)", from: "leave out older ones" });
      addPredicates(command);
      addClientOptions(command)
        .addHelpText("after", LATEST_HELP)
        .action(() => latest(command, { isOlder }));
    },
  );
}

const LATEST_HELP = `
The document is a name, or a /pattern/ that a part of the name matches; without one, it is all of them.

${TIME_HELP}
Examples:
  fluxiondb latest sensors
  fluxiondb latest sensors '/^room-/' --ts 2026-03-01T12:00:00Z --where '"t"'
`;

async function latest(command: Command, { isOlder }: { isOlder: boolean }): Promise<void> {
  const { col, doc } = readNames(command, ["col", "doc?"]);
  const times = readTimes(command);
  const from = times.of("from");
  const query = {
    at: times.of("ts") ?? times.now,
    ...(doc !== undefined && { document: doc }),
    ...(from !== undefined && { from }),
    ...readPredicates(command),
  };
  await withClient(command, async (client, signal) => {
    const records = await client.latest(col, query, { signal });
    const json = isOlder || command.opts().json === true;
    const rows = () => [...records].map(([name, record]) => [name, ...recordCells(record, times)]);
    const table = () => ({ head: ["document", "ts", "data"], rows: rows() });
    writeResult(Object.fromEntries(records), table, { json, empty: "There is no such record" });
  });
}

export function addHistory(program: Command): void {
  const summary = "Show the records of a document";
  addCommand(
    program,
    { name: "history", older: "fetch-document", summary, group: GROUP_READ },
    (command, { isOlder }) => {
      addNames(command, ["col", "doc"]);
      addTimes(command, {
        from: "the first time (default: no bound)",
        to: "the last time (default: no bound)",
      });
      addLimit(command);
      addPredicates(command);
      addClientOptions(command)
        .addHelpText("after", HISTORY_HELP)
        .action(() => history(command, { isOlder }));
    },
  );
}

const HISTORY_HELP = `
All of them in one piece; fluxiondb query takes histories of any length, and other formats.

${TIME_HELP}
Examples:
  fluxiondb history sensors room-1 --from -1h
  fluxiondb history sensors room-1 --limit 10 --reverse
`;

async function history(command: Command, { isOlder }: { isOlder: boolean }): Promise<void> {
  const { col, doc } = readNames(command, ["col", "doc"]);
  const times = readTimes(command);
  const query = { ...readRange(times), ...readLimit(command), ...readPredicates(command) };
  await withClient(command, async (client, signal) => {
    const records = await client.records(col, doc, query, { signal });
    const json = isOlder || command.opts().json === true;
    const table = () => ({ head: ["ts", "data"], rows: records.map((record) => recordCells(record, times)) });
    writeResult(records, table, { json, empty: "There is no such record" });
  });
}

export function addPredicates(command: Command): Command {
  return command
    .addOption(
      new Option("--where <text>", "only records whose data contains it, a text or a /pattern/flags"),
    )
    .addOption(new Option("--filter <text>", "leave out records whose data contains it"));
}

export function readPredicates(command: Command): { where?: string; filter?: string } {
  const { where, filter } = command.opts();
  return { ...(where !== undefined && { where }), ...(filter !== undefined && { filter }) };
}

export function addLimit(command: Command): Command {
  return command
    .addOption(
      new Option("--limit <number>", "at most so many records; 0 is all").argParser((text) =>
        integerIn(LIMIT)(text, "--limit"),
      ),
    )
    .addOption(new Option("--reverse", "newest first, and with --limit the newest"));
}

export function readLimit(command: Command): { limit?: number; reverse?: boolean } {
  const { limit, reverse } = command.opts();
  return { ...(limit > 0 && { limit }), ...(reverse === true && { reverse }) };
}

export function readRange(times: Times): { from?: bigint; to?: bigint } {
  const from = times.of("from");
  const to = times.of("to");
  return { ...(from !== undefined && { from }), ...(to !== undefined && { to }) };
}

/** Text, so that all digits are shown; by the calendar where the unit is known. */
export const recordCells = ({ ts, data }: DataRecord, { unit }: Times): [ts: string, data: string] => [
  unit === undefined ? String(ts) : formatTime(ts, unit),
  data,
];
