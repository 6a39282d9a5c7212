/**
 * `fluxiondb delete-document`, `delete-collection`, `delete-record` and `delete-range`.
 */
import { type Command, Option } from "commander";
import type { FluxionDB } from "../client/fluxiondb.ts";
import { addClientOptions, withClient } from "./client_options.ts";
import { usageError } from "./command_error.ts";
import { GROUP_WRITE } from "./command_group.ts";
import { addCommand, addNames, type NameSpec, readNames } from "./command_names.ts";
import { confirm } from "./confirmation.ts";
import { writeDone } from "./done.ts";
import { addTimes, readTimes, type Times } from "./time_options.ts";
import { TIME_HELP } from "./time_value.ts";

export const addYes = (command: Command): Command =>
  command.addOption(new Option("-y, --yes", "do not ask, on a terminal"));

export const confirmDeletion = (command: Command, what: string, signal: AbortSignal): Promise<void> =>
  confirm(`Delete ${what}?`, { isYes: command.opts().yes === true, signal });

type Deletion = {
  /** What is deleted, in words. */
  readonly what: string;
  readonly run: (client: FluxionDB, signal: AbortSignal) => Promise<void>;
};

type DeletionSpec = {
  readonly name: string;
  readonly summary: string;
  readonly names: readonly NameSpec[];
  readonly times: Readonly<Record<string, string>>;
  readonly example: string;
  readonly plan: (command: Command, times: Times) => Deletion;
};

const quote = (name: string): string => JSON.stringify(name);

const DELETIONS: readonly DeletionSpec[] = [
  {
    name: "delete-collection",
    summary: "Delete a collection: its records and its key-values",
    names: ["col"],
    times: {},
    example: "fluxiondb delete-collection old-sensors",
    plan(command) {
      const { col } = readNames(command, ["col"]);
      return {
        what: `the collection ${quote(col)} and all it holds`,
        run: (client, signal) => client.deleteCollection(col, { signal }),
      };
    },
  },
  {
    name: "delete-document",
    summary: "Delete a document; without a collection, in all of them",
    names: ["col?", "doc?"],
    times: {},
    example: "fluxiondb delete-document sensors room-1",
    plan(command) {
      const { col, doc } = readNames(command, ["col?", "doc?"]);
      if (doc === undefined) throw usageError("Give the document: --doc <document>");
      return {
        what: `the document ${quote(doc)} in ${col === undefined ? "every collection" : quote(col)}`,
        run: (client, signal) =>
          client.deleteDocument(doc, col === undefined ? {} : { collection: col }, { signal }),
      };
    },
  },
  {
    name: "delete-record",
    summary: "Delete one record",
    names: ["col", "doc"],
    times: { ts: "the record's time" },
    example: "fluxiondb delete-record sensors room-1 --ts 1700000000",
    plan(command, times) {
      const { col, doc } = readNames(command, ["col", "doc"]);
      const ts = needed(times, "ts");
      return {
        what: `the record at ${ts} of ${quote(doc)} in ${quote(col)}`,
        run: (client, signal) => client.deleteRecords({ collection: col, document: doc, ts }, { signal }),
      };
    },
  },
  {
    name: "delete-range",
    summary: "Delete a document's records from one time to another, both included",
    names: ["col", "doc"],
    times: { from: "the first time", to: "the last time" },
    example: "fluxiondb delete-range sensors room-1 --from 0 --to 2026-01-01",
    plan(command, times) {
      const { col, doc } = readNames(command, ["col", "doc"]);
      const range = { from: needed(times, "from"), to: needed(times, "to") };
      return {
        what: `the records from ${range.from} to ${range.to} of ${quote(doc)} in ${quote(col)}`,
        run: (client, signal) => client.deleteRange(col, doc, range, { signal }),
      };
    },
  },
];

export function addDeletions(program: Command): void {
  for (const { name, summary, names, times, example, plan } of DELETIONS) {
    addCommand(program, { name, summary, group: GROUP_WRITE }, (command) => {
      addNames(command, names);
      const hasTimes = Object.keys(times).length > 0;
      if (hasTimes) addTimes(command, times);
      addYes(command);
      addClientOptions(command)
        .addHelpText("after", `${hasTimes ? `\n${TIME_HELP}` : ""}\nExample:\n  ${example}\n`)
        .action(async () => {
          const { what, run } = plan(command, readTimes(command));
          await withClient(command, async (client, signal) => {
            await confirmDeletion(command, what, signal);
            await run(client, signal);
            writeDone(`Deleted ${what}`, { json: true });
          });
        });
    });
  }
}

function needed(times: Times, name: string): bigint {
  const time = times.of(name);
  if (time === undefined) throw usageError(`Give the time: --${name} <time>`);
  return time;
}
