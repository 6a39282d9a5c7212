/**
 * `fluxiondb backup` and `restore`: a whole data directory as one file, and back.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname, resolve } from "node:path";
import { type Command, Option } from "commander";
import { FluxionError } from "../client/fluxion_error.ts";
import { readBackup } from "../storage/backup_file.ts";
import { readAll } from "./check.ts";
import { addServerOptions, interruptible, readApiKey, readUrl } from "./client_options.ts";
import { CommandError, usageError } from "./command_error.ts";
import { GROUP_ARCHIVE } from "./command_group.ts";
import { addCommand } from "./command_names.ts";
import { writeNote } from "./output.ts";
import { ProgressBar } from "./progress_bar.ts";
import { writeResult } from "./result.ts";
import { describeBytes } from "./status.ts";

const BACKUP_HELP = `
One file with everything: collections, key-values, API keys (sealed with the server's secret key, which is not in it)
and the journal, all as of one moment, with checksums. Clients are served meanwhile. It is read to its end before it gets
its name. Needs the master key. With --durability interval, each collection is as of its own last checkpoint.

Example:
  fluxiondb backup --api-key-file data/secret.key --out data-$(date +%F).backup
`;

const RESTORE_HELP = `
Checks the whole file, writes a new data directory, and reads all of that. A directory that holds anything is refused.
API keys work again when the server gets the same secret key: keep DATA/secret.key in a safe place of its own.

Example:
  fluxiondb restore --in data-2026-03-01.backup --data ./restored
`;

const PARTIAL = ".partial";

export function addBackup(program: Command): void {
  const summary = "Save all of a running server to a file, as of one moment";
  addCommand(program, { name: "backup", summary, group: GROUP_ARCHIVE }, (command) => {
    command
      .addOption(new Option("--out <file>", "the file to write"))
      .addOption(new Option("--json", "JSON on a terminal too"));
    addServerOptions(command)
      .addHelpText("after", BACKUP_HELP)
      .action(() => backup(command));
  });
}

export function addRestore(program: Command): void {
  const summary = "Make a data directory of a backup";
  addCommand(program, { name: "restore", summary, group: GROUP_ARCHIVE }, (command) => {
    command
      .addOption(new Option("--in <file>", "the backup"))
      .addOption(new Option("--data <dir>", "the data directory; it must not be there, or be empty"))
      .addOption(new Option("--json", "JSON on a terminal too"))
      .addHelpText("after", RESTORE_HELP)
      .action(() => restore(command));
  });
}

async function backup(command: Command): Promise<void> {
  const { out, json } = command.opts();
  if (!out) throw usageError("Give the file: --out <file>");
  const url = readUrl(command);
  const apiKey = readApiKey(command);
  const partial = `${out}${PARTIAL}`;
  await interruptible(async (signal) => {
    try {
      const bytes = await download(url, { apiKey, partial, signal });
      const { takenAt, files } = await readBackup(Bun.file(partial).stream());
      renameSync(partial, out);
      const table = () => `Saved ${out}: ${describeBytes(bytes)}, as of ${takenAt}\n`;
      writeResult({ file: out, takenAt, files, bytes }, table, { json: json === true });
    } finally {
      rmSync(partial, { force: true });
    }
  });
}

type Download = { readonly apiKey: string; readonly partial: string; readonly signal: AbortSignal };

/** Returns its size. It is on the disk then. */
async function download(url: URL, { apiKey, partial, signal }: Download): Promise<number> {
  const address = new URL(url);
  address.protocol = url.protocol.replace(/^ws/, "http");
  address.pathname = "/backup";
  const response = await ask(address, { headers: { authorization: `Bearer ${latin1(apiKey)}` }, signal });
  if (!response.ok || response.body === null) throw refused(response.status, await response.text());
  using bar = new ProgressBar({ title: "Saving" });
  const handle = openSync(partial, "w", 0o600);
  let bytes = 0;
  try {
    for await (const block of response.body) {
      for (let at = 0; at < block.length; ) at += writeSync(handle, block, at);
      bytes += block.length;
      bar.update({ part: undefined, count: bytes, unit: "bytes" });
    }
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  return bytes;
}

async function ask(address: URL, init: RequestInit): Promise<Response> {
  try {
    return await fetch(address, init);
  } catch (cause) {
    if (init.signal?.aborted) throw cause;
    throw new FluxionError(
      "connection_failed",
      `Cannot connect to ${address.origin}: ${(cause as Error).message}`,
    );
  }
}

/** A header's characters are bytes; the key is UTF-8. */
const latin1 = (key: string): string => Buffer.from(key, "utf8").toString("latin1");

function refused(status: number, body: string): Error {
  const reason = body.trim().slice(0, 200);
  if (status === 401) return new FluxionError("unauthorized", `The server refused the API key: ${reason}`);
  if (status === 403) return new FluxionError("permission_denied", reason);
  if (status === 426 || status === 404)
    return new CommandError("This server cannot be backed up: export it instead");
  return new CommandError(`The server made no backup: ${reason}`);
}

async function restore(command: Command): Promise<void> {
  const { in: file, data, json } = command.opts();
  if (!file) throw usageError("Give the backup: --in <file>");
  if (!data) throw usageError("Give the data directory: --data <dir>");
  if (!existsSync(file)) throw new CommandError(`There is no file ${file}`);
  if (existsSync(data) && readdirSync(data).length > 0) {
    throw new CommandError(`${data} holds something: give a data directory that is empty, or not there yet`);
  }
  const directory = resolve(data);
  const partial = `${directory}${PARTIAL}`;
  await interruptible(async (signal) => {
    try {
      rmSync(partial, { recursive: true, force: true });
      await unpack(file, { partial, signal });
      if (existsSync(directory)) rmSync(directory, { recursive: true });
      renameSync(partial, directory);
      syncFolder(dirname(directory));
    } finally {
      rmSync(partial, { recursive: true, force: true });
    }
    const { problems, ...counts } = await readAll(directory, signal);
    if (problems.length > 0) throw new CommandError(`What was restored is damaged: ${problems[0]}`);
    const head = ["collections", "documents", "records", "key-values"];
    const rows = () => [[counts.collections, counts.documents, counts.records, counts.keyValues].map(String)];
    writeResult(counts, () => ({ head, rows: rows() }), { json: json === true });
    writeNote(
      `Start it with the same secret key as before: fluxiondb serve --data ${data} --secret-key-file FILE\n`,
    );
  });
}

async function unpack(
  file: string,
  { partial, signal }: { readonly partial: string; readonly signal: AbortSignal },
): Promise<void> {
  using bar = new ProgressBar({ title: "Restoring" });
  const total = Bun.file(file).size;
  let count = 0;
  await readBackup(Bun.file(file).stream(), {
    directory: partial,
    onBytes(bytes) {
      signal.throwIfAborted();
      count += bytes;
      bar.update({ part: count / total, count, unit: "bytes" });
    },
  });
}

function syncFolder(folder: string): void {
  const handle = openSync(folder, "r");
  fsyncSync(handle);
  closeSync(handle);
}
