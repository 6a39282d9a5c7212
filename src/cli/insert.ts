/**
 * `fluxiondb insert`: one record from the command line, or any number from a pipe.
 */
import { type Command, Option } from "commander";
import { SendWindow } from "../archive/send_window.ts";
import { FluxionError } from "../client/fluxion_error.ts";
import type { FluxionDB } from "../client/fluxiondb.ts";
import type { CallOptions } from "../client/types.ts";
import { explainClientError } from "./client_error.ts";
import { addClientOptions, withClient } from "./client_options.ts";
import { CommandError, usageError } from "./command_error.ts";
import { GROUP_WRITE } from "./command_group.ts";
import { addCommand, addNames, readNames } from "./command_names.ts";
import { writeDone } from "./done.ts";
import { EXIT_FAILED, EXIT_USAGE } from "./exit_code.ts";
import { INPUT_FORMATS, type InputFields, type InputRecord, readInput } from "./insert_input.ts";
import { oneOf } from "./option_value.ts";
import { writeNote } from "./output.ts";
import { ProgressBar } from "./progress_bar.ts";
import { writeResult } from "./result.ts";
import { addTimes, readTimes } from "./time_options.ts";
import { TIME_HELP } from "./time_value.ts";

/** Records that come slowly are sent after so long, not when a batch is full. */
const FLUSH_MS = 50;
const PROBLEMS_SHOWN_MAX = 10;

const HELP = `
With --data it stores one record. Without, it reads standard input: NDJSON, a JSON object a line, or CSV, whose first
line names the columns. Of each object or line,
  "ts" is the time (--ts-field takes another name; without such a field, --ts counts for all),
  "doc" is the document (--doc-field), unless it is given on the command line,
  "data" is what is stored (--data-field); without such a field, all other fields are, as a JSON object.

Lines are sent as they come. A broken line ends it, unless --skip-bad: what came before is stored, and running it again
changes nothing, since a record replaces one at the same time. A wrong quote in CSV ends it in any case.

${TIME_HELP}
Examples:
  fluxiondb insert sensors room-1 --data '{"t":21.5}'
  fluxiondb insert sensors room-1 < records.ndjson
  fluxiondb insert weather --doc-field location --ts-field date < weather.csv
`;

export function addInsert(program: Command): void {
  const summary = "Insert records: one, or NDJSON or CSV from standard input";
  addCommand(program, { name: "insert", summary, group: GROUP_WRITE }, (command) => {
    addNames(command, ["col", "doc?"]);
    command.addOption(new Option("--data <text>", "the record's data"));
    addTimes(command, { ts: "the record's time (with --data: now)" });
    command
      .addOption(
        new Option("--format <format>", `${INPUT_FORMATS.join("|")} (default: what it looks like)`).argParser(
          (text) => oneOf(INPUT_FORMATS)(text, "--format"),
        ),
      )
      .addOption(new Option("--ts-field <name>", "the field that is the time").default("ts"))
      .addOption(new Option("--doc-field <name>", "the field that is the document").default("doc"))
      .addOption(new Option("--data-field <name>", "the field that is the data").default("data"))
      .addOption(new Option("--skip-bad", "leave out broken lines, and count them"));
    addClientOptions(command)
      .addHelpText("after", HELP)
      .action(() => (command.opts().data === undefined ? insertInput(command) : insertOne(command, false)));
  });
}

/** As older scripts know it. */
export function addInsertRecord(program: Command): void {
  const command = program.command("insert-record", { hidden: true }).description("Insert one record");
  addNames(command, ["col", "doc"]);
  command.addOption(new Option("--data <text>", "the record's data"));
  addTimes(command, { ts: "its time (default: now)" });
  addClientOptions(command)
    .addHelpText("after", "\nThe shorter spelling: fluxiondb insert\n")
    .action(() => insertOne(command, true));
}

async function insertOne(command: Command, isOlder: boolean): Promise<void> {
  const { col, doc } = readNames(command, ["col", "doc"]);
  const times = readTimes(command);
  const { data } = command.opts();
  if (data === undefined) throw usageError("Give the data: --data <text>");
  const record = { collection: col, document: doc, ts: times.of("ts") ?? times.now, data };
  await withClient(command, async (client, signal) => {
    await client.insert(record, { signal });
    const json = isOlder || command.opts().json === true;
    writeDone(`Inserted a record at ${record.ts} into ${JSON.stringify(doc)}`, { json });
  });
}

async function insertInput(command: Command): Promise<void> {
  const { col, doc } = readNames(command, ["col", "doc?"]);
  if (process.stdin.isTTY === true) {
    writeNote("Reading records from the terminal, one JSON object a line; Ctrl-D ends it\n");
  }
  const values = command.opts();
  const times = readTimes(command);
  const fields: InputFields = {
    ts: values.tsField,
    doc: values.docField,
    data: values.dataField,
    defaultDocument: doc,
    defaultTime: times.of("ts"),
    clock: { unit: times.unit ?? "s", nowMs: Date.now() },
  };
  const input = readInput(process.stdin, values.format, fields);
  await withClient(
    command,
    async (client, signal) => {
      const bad = new BadLines(values.skipBad === true);
      const call = { signal, timeoutMs: values.timeout };
      const inserted = await send(client, col, input, { call, bad });
      const skipped = bad.count;
      const table = () => ({ head: ["inserted", "skipped"], rows: [[String(inserted), String(skipped)]] });
      writeResult({ inserted, skipped }, table, { json: values.json === true });
    },
    { isLong: true },
  );
}

async function send(
  client: FluxionDB,
  collection: string,
  input: AsyncIterable<InputRecord>,
  { call, bad }: { readonly call: Required<CallOptions>; readonly bad: BadLines },
): Promise<number> {
  using bar = new ProgressBar({ title: "Inserting" });
  const { signal } = call;
  // Waiting for a slow pipe is not to outlast Ctrl-C, nor what the server says to what has come.
  const endInput = (): void => void process.stdin.destroy();
  const window = new SendWindow(client, call, { onFailure: endInput });
  const timer = setInterval(() => window.flush(), FLUSH_MS);
  signal.addEventListener("abort", endInput, { once: true });
  try {
    for await (const each of input) {
      signal.throwIfAborted();
      if ("problem" in each) bad.add(each);
      else if (window.add({ collection, ...each.record })) await window.room();
      bar.update({ part: undefined, count: window.records, unit: "records" });
    }
    signal.throwIfAborted();
    await window.finish();
    return window.records;
  } catch (error) {
    clearInterval(timer);
    // What is wrong with the input that was ended for it is of no interest.
    const cause = window.failure === undefined ? error : window.failure.error;
    if (!signal.aborted) await window.finish().catch(() => {});
    const { text, exitCode } = explain(cause);
    const reason = signal.aborted ? "" : `${text}; `;
    throw new CommandError(`${reason}records stored: ${window.records}`, { cause, exitCode });
  } finally {
    clearInterval(timer);
  }
}

function explain(cause: unknown): { text: string; exitCode: number } {
  if (cause instanceof FluxionError) return explainClientError(cause);
  const exitCode = cause instanceof CommandError ? cause.exitCode : EXIT_FAILED;
  return { text: cause instanceof Error ? cause.message : String(cause), exitCode };
}

/** Lines that cannot be used: the first one ends it, or they are told and counted. */
class BadLines {
  readonly #isSkipping: boolean;
  count = 0;

  constructor(isSkipping: boolean) {
    this.#isSkipping = isSkipping;
  }

  add({ line, problem }: { readonly line: number; readonly problem: string }): void {
    const text = `standard input, line ${line}: ${problem}`;
    if (!this.#isSkipping) throw new CommandError(text, { exitCode: EXIT_USAGE });
    this.count++;
    if (this.count <= PROBLEMS_SHOWN_MAX) writeNote(`Skipped ${text}\n`);
    if (this.count === PROBLEMS_SHOWN_MAX + 1) writeNote("Skipped more, which are only counted\n");
  }
}
