/**
 * `fluxiondb check`: reads all of a data directory, and says what is wrong with it.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Command, Option } from "commander";
import { type DatabaseCounts, MemoryDatabase } from "../engine/memory_database.ts";
import { nextTurn } from "../engine/next_turn.ts";
import type { Verified } from "../engine/verification.ts";
import { SqliteStorage } from "../storage/sqlite_storage.ts";
import { StorageError } from "../storage/storage.ts";
import { interruptible } from "./client_options.ts";
import { CommandError } from "./command_error.ts";
import { GROUP_ARCHIVE } from "./command_group.ts";
import { addCommand } from "./command_names.ts";
import { writeNote } from "./output.ts";
import { ProgressBar } from "./progress_bar.ts";
import { writeResult } from "./result.ts";
import { escapeControls } from "./table.ts";

const HELP = `
Everything is read and compared: what SQLite finds in each file; checksums of records, documents, key-values, the journal
and API keys; the index of chunks with the chunks, times with the records that hold them, counts with what is counted.
No data is changed. The directory has to be one that you may write to, and one that a server holds is refused. It ends
with 0 when all is well, and with 1 when something is not.

Example:
  fluxiondb check ./data
`;

/** Between two looks at the clock and at Ctrl-C. */
const CHUNKS_A_TURN = 200;
const PROBLEMS_SHOWN_MAX = 20;

export type Report = Verified & { readonly directory: string; readonly problems: readonly string[] };

export function addCheck(program: Command): void {
  const summary = "Read all of a data directory, and say what is wrong with it";
  addCommand(program, { name: "check", summary, group: GROUP_ARCHIVE }, (command) => {
    command
      .argument("<directory>", "the data directory")
      .addOption(new Option("--json", "JSON on a terminal too"))
      .addHelpText("after", HELP)
      .action((directory: string) => check(directory, { json: command.opts().json === true }));
  });
}

async function check(directory: string, { json }: { readonly json: boolean }): Promise<void> {
  if (!existsSync(join(directory, "catalog.db"))) {
    throw new CommandError(`${directory} holds no data of FluxionDB`);
  }
  let report: Report | undefined;
  await interruptible(async (signal) => {
    report = await readAll(directory, signal);
  });
  const { problems, ...counts } = report as Report;
  for (const problem of problems.slice(0, PROBLEMS_SHOWN_MAX)) writeNote(`${escapeControls(problem)}\n`);
  const rows = () => [
    [counts.collections, counts.documents, counts.records, counts.keyValues, problems.length].map(String),
  ];
  const head = ["collections", "documents", "records", "key-values", "problems"];
  writeResult({ ...counts, problems }, () => ({ head, rows: rows() }), { json });
  if (problems.length === 0) return;
  const what = problems.length === 1 ? "one problem" : `${problems.length} problems`;
  throw new CommandError(`${directory} has ${what}. Restore what is named from a backup`);
}

/** @throws StorageError when it is held by a server */
export async function readAll(directory: string, signal: AbortSignal): Promise<Report> {
  // Durability is what a server writes with; nothing is written here.
  const storage = await SqliteStorage.open({ directory, durability: "interval" });
  const problems: string[] = [];
  try {
    await checkFiles(storage, problems, signal);
    // Without a limit to its memory: what is on the disk stays there, and what the journal has would be saved to make room.
    const database = new MemoryDatabase({ storage });
    await database.load();
    const verified = await verify(database, (problem) => problems.push(problem), signal);
    return { directory, ...verified, problems };
  } catch (error) {
    // What cannot be started with cannot be counted.
    if (!(error instanceof StorageError)) throw error;
    const none = { collections: 0, documents: 0, records: 0, keyValues: 0 };
    return { directory, ...none, problems: [...new Set([...problems, error.message])] };
  } finally {
    storage.leave();
  }
}

async function checkFiles(storage: SqliteStorage, problems: string[], signal: AbortSignal): Promise<void> {
  using bar = new ProgressBar({ title: "Checking" });
  let count = 0;
  for await (const found of storage.problems()) {
    problems.push(...found);
    bar.update({ part: ++count / storage.fileCount, count, unit: "files" });
    await nextTurn();
    signal.throwIfAborted();
  }
}

async function verify(
  database: MemoryDatabase,
  onProblem: (problem: string) => void,
  signal: AbortSignal,
): Promise<Verified> {
  using bar = new ProgressBar({ title: "Checking" });
  const total: DatabaseCounts = database.counts();
  const steps = database.verify(onProblem);
  for (let chunks = 1; ; chunks++) {
    const { value, done } = steps.next();
    if (done) return value;
    if (chunks % CHUNKS_A_TURN !== 0) continue;
    bar.update({ part: value.records / total.records, count: value.records, unit: "records" });
    await nextTurn();
    signal.throwIfAborted();
  }
}
