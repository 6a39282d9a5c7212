/**
 * A data directory without a server: one is run in this process, for this machine alone, as long as a command needs it.
 *
 * So there is one way to read and write data. The directory is held meanwhile, and refused while a server holds it.
 */
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { FluxionDB } from "../client/fluxiondb.ts";
import { runClient } from "./client_options.ts";
import { CommandError } from "./command_error.ts";
import { Log } from "./log.ts";
import { writeNote } from "./output.ts";
import { announceKey, FILE_MASK, keptSecretKey, ownSecretKey } from "./secret_key.ts";
import { machineMemoryLimit } from "./serve_options.ts";
import { runServer } from "./server_instance.ts";

export type LocalServerOptions = {
  readonly directory: string;
  /** A directory that is not there is an error, not one to be made. */
  readonly mustExist: boolean;
  /** Its secret key, if it is not kept in it. */
  readonly given: string | undefined;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
};

const KEY_BYTES = 20;
/** Data is saved when the command ends, and meanwhile now and then. */
const FLUSH_INTERVAL_MS = 15_000;
/** Of a tool; what does not fit is on the disk. */
const MEMORY_BYTES_MAX = 512 * 1024 * 1024;
const CATALOG_FILE = "catalog.db";

/** @throws CommandError, StorageError */
export async function withLocalServer(
  { directory, mustExist, given, timeoutMs, signal }: LocalServerOptions,
  action: (client: FluxionDB, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  if (mustExist && !existsSync(join(directory, CATALOG_FILE))) {
    throw new CommandError(`${directory} holds no data of FluxionDB`);
  }
  const apiKey = secretKeyOf(directory, { given, mustExist });
  // Data is for its owner alone; what is exported is as its owner's mask has it.
  if (!mustExist) process.umask(FILE_MASK);
  const options = {
    data: directory,
    host: "127.0.0.1",
    port: 0,
    // What is not saved at the end was not acknowledged: there is no need for a journal.
    durability: "interval",
    flushIntervalMs: FLUSH_INTERVAL_MS,
    memoryBytesMax: Math.min(machineMemoryLimit(), MEMORY_BYTES_MAX),
  } as const;
  await runServer(options, {
    log: new Log({ level: "warn", format: "text", write: writeNote, now: () => new Date() }),
    secretKey: () => apiKey,
    use: async ({ port }) => {
      const url = new URL(`ws://127.0.0.1:${port}`);
      await runClient({ url, apiKey, name: undefined, timeoutMs }, { isLong: false, signal }, action);
    },
  });
}

/**
 * API keys are sealed with a directory's secret key: without it they cannot be read, all else can. A new directory
 * gets one, as from a server's first run.
 */
function secretKeyOf(
  directory: string,
  { given, mustExist }: Pick<LocalServerOptions, "given" | "mustExist">,
): string {
  const known = keptSecretKey(directory) ?? given;
  if (known !== undefined) return known;
  if (mustExist || existsSync(join(directory, CATALOG_FILE))) return randomBytes(KEY_BYTES).toString("hex");
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const made = ownSecretKey(directory);
  announceKey(made);
  return made.text;
}
