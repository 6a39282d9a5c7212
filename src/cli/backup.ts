/**
 * `fluxiondb backup`: all of a running server to one file.
 */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { type Command, Option } from "commander";
import { FluxionError } from "../client/fluxion_error.ts";
import { BACKUP_BYTES_HEADER } from "../server/operations.ts";
import { readBackup } from "../storage/backup_file.ts";
import { syncFolder } from "../storage/folder.ts";
import { StorageError } from "../storage/storage.ts";
import { addServerOptions, interruptible, readApiKey, readUrl } from "./client_options.ts";
import { CommandError, usageError } from "./command_error.ts";
import { GROUP_ARCHIVE } from "./command_group.ts";
import { addCommand } from "./command_names.ts";
import { explainingFiles } from "./file_problem.ts";
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

async function backup(command: Command): Promise<void> {
  const { out, json } = command.opts();
  if (!out) throw usageError("Give the file: --out <file>");
  // Not after all has come.
  if (statSync(out, { throwIfNoEntry: false })?.isDirectory()) {
    throw new CommandError(`${out} is a folder. Give the name of a file in it`);
  }
  const url = readUrl(command);
  const apiKey = readApiKey(command);
  const partial = `${out}${PARTIAL}`;
  await interruptible((signal) =>
    explainingFiles(async () => {
      try {
        const bytes = await download(url, { apiKey, partial, signal });
        const { takenAt, files } = await verify(partial, { bytes, signal });
        renameSync(partial, out);
        syncFolder(dirname(out));
        const table = () => `Saved ${out}: ${describeBytes(bytes)}, as of ${takenAt}\n`;
        writeResult({ file: out, takenAt, files, bytes }, table, { json: json === true });
      } finally {
        rmSync(partial, { force: true });
      }
    }),
  );
}

type Download = { readonly apiKey: string; readonly partial: string; readonly signal: AbortSignal };

/** Returns its size. It is on the disk then. */
async function download(url: URL, { apiKey, partial, signal }: Download): Promise<number> {
  const address = new URL(url);
  address.protocol = url.protocol.replace(/^ws/, "http");
  address.pathname = "/backup";
  // Before the server begins: a file that cannot be written is noticed at once.
  const handle = openSync(partial, "w", 0o600);
  try {
    using bar = new ProgressBar({ title: "Saving" });
    // Until its copy is made, the server says nothing.
    bar.update({ part: 0, count: 0, unit: "bytes" });
    const response = await ask(address, { headers: { authorization: `Bearer ${latin1(apiKey)}` }, signal });
    if (!response.ok || response.body === null) throw refused(response.status, await response.text());
    const total = Number(response.headers.get(BACKUP_BYTES_HEADER)) || undefined;
    let bytes = 0;
    for await (const block of whole(response.body)) {
      for (let at = 0; at < block.length; ) at += writeSync(handle, block, at);
      bytes += block.length;
      bar.update({ part: total && bytes / total, count: bytes, unit: "bytes" });
    }
    fsyncSync(handle);
    return bytes;
  } finally {
    closeSync(handle);
  }
}

/** What comes from the disk, and not what went over the network: that it is whole is what its name stands for. */
async function verify(file: string, { bytes, signal }: { bytes: number; signal: AbortSignal }) {
  using bar = new ProgressBar({ title: "Checking" });
  let count = 0;
  return await readBackup(Bun.file(file).stream(), {
    onBytes(more) {
      signal.throwIfAborted();
      count += more;
      bar.update({ part: count / bytes, count, unit: "bytes" });
    },
  });
}

async function* whole(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } catch (cause) {
    throw new StorageError("The connection broke before the backup's end. Try again", { cause });
  }
}

async function ask(address: URL, init: RequestInit): Promise<Response> {
  try {
    return await fetch(address, init);
  } catch (cause) {
    if (init.signal?.aborted) throw cause;
    throw new FluxionError(
      "connection_failed",
      `Cannot connect to ${address.origin} (${(cause as NodeJS.ErrnoException).code ?? "no answer"})`,
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
