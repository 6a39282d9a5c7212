/**
 * `fluxiondb restore`: a new data directory from a backup.
 *
 * All is unpacked and checked in a folder inside it first. The catalog, which makes it a data directory, gets its place
 * last, so that no server starts with half of it.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmdirSync, rmSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { type Command, Option } from "commander";
import { readBackup } from "../storage/backup_file.ts";
import { COLLECTIONS_FOLDER } from "../storage/file_name.ts";
import { syncFolder } from "../storage/folder.ts";
import { JOURNAL_FOLDER } from "../storage/journal_segment.ts";
import { readAll } from "./check.ts";
import { interruptible } from "./client_options.ts";
import { CommandError, usageError } from "./command_error.ts";
import { GROUP_ARCHIVE } from "./command_group.ts";
import { addCommand } from "./command_names.ts";
import { explainingFiles } from "./file_problem.ts";
import { writeNote } from "./output.ts";
import { ProgressBar } from "./progress_bar.ts";
import { writeResult } from "./result.ts";

const HELP = `
Checks the whole file, writes a new data directory, and reads all of that. A directory that holds anything is refused.
API keys work with any secret key; to list or export them, the server needs the same as before: keep DATA/secret.key in
a safe place of its own. The master key is the secret key that the server is started with.

Example:
  fluxiondb restore --in data-2026-03-01.backup --data ./restored
`;

const UNPACKED = "restoring";
const FOLDERS = [COLLECTIONS_FOLDER, JOURNAL_FOLDER];
const CATALOG = "catalog.db";

export function addRestore(program: Command): void {
  const summary = "Make a data directory of a backup";
  addCommand(program, { name: "restore", summary, group: GROUP_ARCHIVE }, (command) => {
    command
      .addOption(new Option("--in <file>", "the backup"))
      .addOption(new Option("--data <dir>", "the data directory; it must not be there, or be empty"))
      .addOption(new Option("--json", "JSON on a terminal too"))
      .addHelpText("after", HELP)
      .action(() => restore(command));
  });
}

async function restore(command: Command): Promise<void> {
  const { in: file, data, json } = command.opts();
  if (!file) throw usageError("Give the backup: --in <file>");
  if (!data) throw usageError("Give the data directory: --data <dir>");
  if (!existsSync(file)) throw new CommandError(`There is no file ${file}`);
  if (statSync(file).isDirectory()) throw new CommandError(`${file} is a folder. Give the file of a backup`);
  await interruptible((signal) =>
    explainingFiles(async () => {
      const directory = resolve(data);
      await unpackInto(directory, file, signal);
      const { problems, ...counts } = await readAll(directory, signal);
      const head = ["collections", "documents", "records", "key-values"];
      const rows = () => [
        [counts.collections, counts.documents, counts.records, counts.keyValues].map(String),
      ];
      writeResult({ ...counts, problems }, () => ({ head, rows: rows() }), { json: json === true });
      if (problems.length > 0) {
        throw new CommandError(`${data} is as it was saved, and damaged like that: ${problems[0]}`);
      }
      writeNote(
        `Start it with the same secret key as before: fluxiondb serve --data ${data} --secret-key-file FILE\n`,
      );
    }),
  );
}

async function unpackInto(directory: string, file: string, signal: AbortSignal): Promise<void> {
  const isNew = !existsSync(directory);
  if (isNew) mkdirSync(directory, { mode: 0o700 });
  else if (readdirSync(directory).length > 0) {
    throw new CommandError(
      `${directory} holds something: give a data directory that is empty, or not there yet`,
    );
  }
  const unpacked = join(directory, UNPACKED);
  mkdirSync(unpacked, { mode: 0o700 });
  try {
    await unpack(file, unpacked, signal);
    for (const name of FOLDERS) {
      mkdirSync(join(unpacked, name), { recursive: true, mode: 0o700 });
      syncFolder(join(unpacked, name));
    }
  } catch (error) {
    rmSync(unpacked, { recursive: true, force: true });
    if (isNew) rmdirSync(directory);
    throw error;
  }
  for (const name of [...FOLDERS, CATALOG]) {
    renameSync(join(unpacked, name), join(directory, name));
    syncFolder(directory);
  }
  rmdirSync(unpacked);
  syncFolder(dirname(directory));
}

async function unpack(file: string, directory: string, signal: AbortSignal): Promise<void> {
  using bar = new ProgressBar({ title: "Restoring" });
  const total = Bun.file(file).size;
  let count = 0;
  await readBackup(Bun.file(file).stream(), {
    directory,
    onBytes(bytes) {
      signal.throwIfAborted();
      count += bytes;
      bar.update({ part: count / total, count, unit: "bytes" });
    },
  });
  if (existsSync(join(directory, CATALOG))) return;
  throw new CommandError(`The backup is damaged: it has no ${CATALOG}`);
}
