/**
 * A data directory without a server: one is run in this process, for this machine alone, as long as a command needs it.
 *
 * So there is one way to read and write data. The directory is held meanwhile, and refused while a server holds it.
 */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { FluxionDB } from "../client/fluxiondb.ts";
import { FRAME_BYTES_MAX, REPLY_BYTES_MAX } from "../protocol/limits.ts";
import { runClient } from "./client_options.ts";
import { CommandError } from "./command_error.ts";
import { Log } from "./log.ts";
import { writeNote } from "./output.ts";
import { keptSecretKey } from "./secret_key.ts";
import { machineMemoryLimit } from "./serve_options.ts";
import { runServer } from "./server_instance.ts";

export type LocalServerOptions = {
  readonly directory: string;
  /** A directory that is not there is an error, not one to be made. */
  readonly mustExist: boolean;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
};

const KEY_BYTES = 20;
/** Data is saved when the command ends, and meanwhile now and then. */
const FLUSH_INTERVAL_MS = 15_000;
const CATALOG_FILE = "catalog.db";

/** @throws CommandError, StorageError */
export async function withLocalServer(
  { directory, mustExist, timeoutMs, signal }: LocalServerOptions,
  action: (client: FluxionDB, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  if (mustExist && !existsSync(join(directory, CATALOG_FILE))) {
    throw new CommandError(`${directory} holds no data of FluxionDB`);
  }
  // API keys are sealed with the directory's own secret key; without it they cannot be read, all else can.
  const apiKey = keptSecretKey(directory) ?? randomBytes(KEY_BYTES).toString("hex");
  const options = {
    data: directory,
    host: "127.0.0.1",
    port: 0,
    // What is not saved at the end was not acknowledged: there is no need for a journal.
    durability: "interval",
    flushIntervalMs: FLUSH_INTERVAL_MS,
    memoryBytesMax: machineMemoryLimit(),
    frameBytesMax: FRAME_BYTES_MAX,
    replyBytesMax: REPLY_BYTES_MAX,
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
