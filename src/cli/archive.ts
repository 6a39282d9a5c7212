/**
 * `fluxiondb export` and `import`: collections and API keys to and from a folder.
 */
import { existsSync } from "node:fs";
import { type Command, Option } from "commander";
import { ArchiveError } from "../archive/archive_error.ts";
import { readFolder } from "../archive/archive_folder.ts";
import { exportArchive } from "../archive/exporting.ts";
import { type ImportClient, type ImportProgress, importArchive } from "../archive/importing.ts";
import { importOlderDatabase, type OlderImportSummary } from "../archive/older_database.ts";
import type { FluxionDB } from "../client/fluxiondb.ts";
import type { ServerStatus } from "../protocol/server_status.ts";
import {
  addClientOptions,
  type ClientAction,
  givenApiKey,
  interruptible,
  withClient,
} from "./client_options.ts";
import { CommandError, usageError } from "./command_error.ts";
import { GROUP_ARCHIVE } from "./command_group.ts";
import { addCommand } from "./command_names.ts";
import { explainingFiles } from "./file_problem.ts";
import { withLocalServer } from "./local_server.ts";
import { isNoteTerminal, writeNote } from "./output.ts";
import { ProgressBar } from "./progress_bar.ts";
import { writeResult } from "./result.ts";
import { escapeControls } from "./table.ts";

const EXPORT_HELP = `
The archive is a folder a collection, and in it a file of lines of JSON a document:
  DIR/sensors/room-1.jsonl      {"ts":1700000000,"doc":"room-1","data":"…"}, oldest first
  DIR/sensors/key_value.json    the collection's key-values
  DIR/apikeys.json              API keys, for you only (0600); never the master key

A server that goes on being written to is exported document by document: each is as of when it was read.
With --data, it is read from a data directory, while no server holds it; API keys need the directory's secret key, in its
secret.key or given as the API key.

Examples:
  fluxiondb export --all --out-dir backup
  fluxiondb export --col sensors --out-dir backup
  fluxiondb export --data ./data --all --out-dir backup
`;

const IMPORT_HELP = `
All of the archive is checked before anything is sent. Records replace those at the same times, so an import that was
interrupted is simply run again.

--from-fluxiondb takes over the database of an older server, which should be stopped: records, key-values and API keys
but the master key. The file is only read.

--legacy reads DIR/COLLECTION/DOCUMENT/…/*.json instead: an object or an array of objects a file, the time in its field
ts, timestamp or time, or as the file's name.
With --data, it goes into a data directory, which is made if it is not there, while no server holds it.

Examples:
  fluxiondb import --all --in-dir backup
  fluxiondb import --col sensors --in-dir backup --dry-run
  fluxiondb import --data ./new --all --in-dir backup
  fluxiondb import --data ./data --from-fluxiondb /var/lib/old/fluxion.db
`;

export function addExport(program: Command): void {
  const summary = "Write collections and API keys to a folder";
  addCommand(program, { name: "export", summary, group: GROUP_ARCHIVE }, (command) => {
    command.addOption(new Option("--out-dir <dir>", "the folder to write to; made if it is not there"));
    addScope(command);
    addClientOptions(command)
      .addHelpText("after", EXPORT_HELP)
      .action(() => runExport(command));
  });
}

export function addImport(program: Command): void {
  const summary = "Read collections and API keys from a folder";
  addCommand(program, { name: "import", summary, group: GROUP_ARCHIVE }, (command) => {
    command
      .addOption(new Option("--in-dir <dir>", "the folder to read from"))
      .addOption(new Option("--from-fluxiondb <file>", "instead, all of an older server's fluxion.db"));
    addScope(command)
      .addOption(new Option("--legacy", "the older layout, of JSON files in folders"))
      .addOption(new Option("--dry-run", "check and count, and change nothing"))
      .addOption(new Option("--skip-bad", "leave out broken lines, and count them"));
    addClientOptions(command)
      .addHelpText("after", IMPORT_HELP)
      .action(() => runImport(command));
  });
}

function addScope(command: Command): Command {
  return command
    .addOption(
      new Option("--col <collection>", "a collection; repeatable").argParser(
        (text, before: string[] = []) => [...before, text],
      ),
    )
    .addOption(new Option("--api-keys", "the API keys; needs the master key"))
    .addOption(new Option("--all", "all collections, and the API keys"))
    .addOption(new Option("--data <dir>", "a data directory instead of a server"));
}

async function runExport(command: Command): Promise<void> {
  const directory = folderOf(command, "outDir", "--out-dir");
  const { collections, apiKeys } = readScope(command);
  await withSource(command, { mustExist: true }, async (client, signal) => {
    using bar = new ProgressBar({ title: "Exporting" });
    const { summary, startedAt, endedAt, notes } = await archiving(() =>
      exportArchive(client, {
        directory,
        collections,
        apiKeys: apiKeys !== false,
        signal,
        onProgress: ({ documents, documentsKnown, records }) =>
          bar.update({ part: documents / documentsKnown, count: records, unit: "records" }),
      }),
    );
    bar.clear();
    for (const note of notes) writeNote(`${escapeControls(note)}\n`);
    writeNote(`Exported as of ${startedAt.toISOString()} to ${endedAt.toISOString()}: ${MOMENT}\n`);
    const head = ["collection", "documents", "records", "folder"];
    const rows = () =>
      summary.collections.map((each) => [
        each.collection,
        String(each.documents),
        String(each.records),
        each.outputDir,
      ]);
    writeResult(summary, () => ({ head, rows: rows() }), { json: command.opts().json === true });
  });
}

const MOMENT = "each document is as of a moment in between";

async function runImport(command: Command): Promise<void> {
  const { fromFluxiondb: file } = command.opts();
  if (file !== undefined) {
    await runTakeOver(command, file);
    return;
  }
  const directory = folderOf(command, "inDir", "--in-dir");
  const { collections, apiKeys } = readScope(command);
  const { legacy, skipBad, dryRun, json, timeout: timeoutMs } = command.opts();
  // A target that is made for nothing would be taken for what was imported.
  await archiving(async () => void readFolder(directory));
  await withTarget(command, async (client, signal) => {
    const bars = new ImportBars();
    const { summary, notes } = await archiving(() =>
      importArchive(client, {
        directory,
        collections,
        apiKeys,
        legacy: legacy === true,
        skipBad: skipBad === true,
        dryRun: dryRun === true,
        signal,
        timeoutMs,
        onProgress: (progress) => bars.update(progress),
      }),
    ).catch((error: unknown) => bars.endWith(error, command));
    bars.clear();
    for (const note of notes) writeNote(`${escapeControls(note)}\n`);
    if (dryRun === true && isNoteTerminal()) writeNote("Nothing was sent: this is what would have been\n");
    const head = ["collection", "documents", "records", "key-values", "folder"];
    const rows = () =>
      summary.collections.map((each) => [
        each.collection,
        String(each.documents),
        String(each.records),
        String(each.keyValues),
        each.inputDir,
      ]);
    writeResult(summary, () => ({ head, rows: rows() }), { json: json === true });
  });
}

async function runTakeOver(command: Command, file: string): Promise<void> {
  const { skipBad, dryRun, json, inDir, timeout: timeoutMs } = command.opts();
  if (inDir !== undefined) throw usageError("Give --in-dir or --from-fluxiondb, not both");
  if (!existsSync(file)) throw new CommandError(`There is no file ${file}`);
  await withTarget(command, async (client, signal) => {
    const bars = new ImportBars();
    const before = dryRun === true ? undefined : await client.status({ signal });
    const { summary, notes } = await archiving(() =>
      importOlderDatabase(client, {
        file,
        skipBad: skipBad === true,
        dryRun: dryRun === true,
        signal,
        timeoutMs,
        onProgress: (progress) => bars.update(progress),
      }),
    ).catch((error: unknown) => bars.endWith(error, command));
    bars.clear();
    for (const note of notes) writeNote(`${escapeControls(note)}\n`);
    if (before !== undefined) checkCounts(summary, before, await client.status({ signal }));
    const head = ["collection", "documents", "records", "key-values"];
    const rows = () =>
      summary.collections.map(({ collection, ...counts }) => [
        collection,
        String(counts.documents),
        String(counts.records),
        String(counts.keyValues),
      ]);
    writeResult(summary, () => ({ head, rows: rows() }), { json: json === true });
  });
}

type Counted = Pick<ServerStatus, "records" | "keyValues">;

/** What was sent has to be there, and nothing else where nothing was before. */
function checkCounts({ collections }: OlderImportSummary, before: Counted, after: Counted): void {
  for (const what of ["records", "keyValues"] as const) {
    const sent = collections.reduce((sum, each) => sum + each[what], 0);
    const isRight = before[what] === 0 ? after[what] === sent : after[what] >= Math.max(sent, before[what]);
    if (isRight) continue;
    const name = what === "records" ? "records" : "key-values";
    throw new CommandError(
      `Sent ${sent} ${name}; the server had ${before[what]} before, and has ${after[what]} now: somebody else has changed it, or something is lost`,
    );
  }
}

/** One bar for checking, one for sending: each has a rate of its own. */
class ImportBars {
  #phase: ImportProgress["phase"] | undefined;
  #bar: ProgressBar | undefined;
  /** Records that were sent and acknowledged. */
  #stored = 0;

  update({ phase, records, bytes, totalBytes }: ImportProgress): void {
    if (phase !== this.#phase) {
      this.clear();
      this.#phase = phase;
      this.#bar = new ProgressBar({ title: phase === "checking" ? "Checking" : "Importing" });
    }
    if (phase === "sending") this.#stored = records;
    const part = totalBytes > 0 ? bytes / totalBytes : undefined;
    this.#bar?.update({ part, count: records, unit: "records" });
  }

  clear(): void {
    this.#bar?.clear();
  }

  /** Says what is there of an import that failed. @throws the error */
  endWith(error: unknown, command: Command): never {
    this.clear();
    // A server in this process has not saved what it acknowledged.
    if (command.opts().data !== undefined && this.#phase === "sending") {
      writeNote("What was imported so far may be lost. The same command imports all, from the beginning\n");
    } else if (this.#stored > 0) {
      writeNote(
        `Records stored so far: ${this.#stored}. The same command starts from the beginning; what it sends again changes nothing\n`,
      );
    }
    throw error;
  }
}

function folderOf(command: Command, name: string, flag: string): string {
  const folder = command.opts()[name];
  if (folder) return folder;
  throw usageError(`Give the folder: ${flag} <dir>`);
}

function readScope(command: Command) {
  const { col, apiKeys, all } = command.opts();
  if (col === undefined && apiKeys !== true && all !== true) {
    // As the older tool says it.
    throw usageError("specify at least one of --col, --api-keys, or --all");
  }
  const collections: "all" | readonly string[] = all === true ? "all" : (col ?? []);
  const keys: boolean | "if there" = apiKeys === true ? true : all === true ? "if there" : false;
  return { collections, apiKeys: keys };
}

type ImportTarget = Pick<FluxionDB, keyof ImportClient | "status">;

const notToCall = (): never => {
  throw new Error("A dry run has sent something");
};
const NO_TARGET: ImportTarget = {
  addApiKey: notToCall,
  insert: notToCall,
  setValue: notToCall,
  status: notToCall,
};

/** A dry run does not open a data directory, let alone make one. */
async function withTarget(
  command: Command,
  action: (client: ImportTarget, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { data, dryRun } = command.opts();
  if (data === undefined || dryRun !== true) await withSource(command, { mustExist: false }, action);
  else await interruptible((signal) => action(NO_TARGET, signal));
}

/** A server, or a data directory. */
async function withSource(
  command: Command,
  { mustExist }: { readonly mustExist: boolean },
  action: ClientAction,
): Promise<void> {
  const { data: directory, timeout: timeoutMs } = command.opts();
  if (directory === undefined) {
    await withClient(command, action, { isLong: true });
    return;
  }
  const given = givenApiKey(command);
  await interruptible((signal) =>
    withLocalServer({ directory, mustExist, given, timeoutMs, signal }, action),
  );
}

/** What is wrong with an archive, or with where it is, is told without a stack. */
async function archiving<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await explainingFiles(work);
  } catch (cause) {
    if (cause instanceof ArchiveError) throw new CommandError(cause.message, { cause });
    throw cause;
  }
}
