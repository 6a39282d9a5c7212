/**
 * One server, from its storage to its listener: the only place where concrete parts are joined, and taken apart again.
 *
 * Parts start from the disk upwards and stop from the network downwards, so that nothing is asked of a part that is
 * not there.
 */
import { isIP } from "node:net";
import { ApiKeys } from "../engine/api_keys.ts";
import { type DatabaseCounts, MemoryDatabase } from "../engine/memory_database.ts";
import type { AdjustableLimits } from "../protocol/adjustable_limits.ts";
import { UNSENT_BYTES_MIN, UNSENT_SHARE } from "../protocol/limits.ts";
import type { StatusOf } from "../server/context.ts";
import { Metrics } from "../server/metrics.ts";
import { OpsPortError } from "../server/operations.ts";
import { type RunningServer, startServer, type TlsKeyPair } from "../server/server.ts";
import { recoverDirectory } from "../storage/recovery.ts";
import { SqliteStorage } from "../storage/sqlite_storage.ts";
import type { CommitObserver } from "../storage/storage.ts";
import { CommandError } from "./command_error.ts";
import { Housekeeping } from "./housekeeping.ts";
import { makeLateGlobals } from "./late_globals.ts";
import { LiveBackup } from "./live_backup.ts";
import type { Log } from "./log.ts";
import type { ServeOptions } from "./serve_options.ts";
import { readTlsFiles } from "./tls_files.ts";
import { COMMIT, VERSION } from "./version.ts";

/** What of the options of `serve` a server is made of. */
export type InstanceOptions = Pick<
  ServeOptions,
  "data" | "durability" | "flushIntervalMs" | "host" | "memoryBytesMax" | "port"
> &
  Partial<
    AdjustableLimits &
      Pick<ServeOptions, "allowedOrigins" | "opsPort" | "recover" | "slowRequestMs" | "tlsFiles">
  >;

export type InstanceParts = {
  readonly log: Log;
  /** Asked for when the data directory is held. */
  readonly secretKey: () => string;
  /** Told once a second while a start takes longer. */
  readonly onLoading?: (counts: DatabaseCounts) => void;
  /** Uses the server; when it is done, all is saved and the server ends. */
  readonly use: (server: ReadyServer) => Promise<void>;
};

export type ReadyServer = {
  readonly port: number;
  readonly opsPort: number | undefined;
  readonly counts: DatabaseCounts;
  readonly loadedMs: number;
  /** Reads the certificate's files again, if there are any. @throws CommandError; the old one stays in use then */
  readonly reloadTls: () => TlsKeyPair | undefined;
};

/** A start that takes longer says so, again and again. */
const PROGRESS_MS = 1000;

export async function runServer(
  options: InstanceOptions,
  { log, secretKey, onLoading, use }: InstanceParts,
): Promise<void> {
  const startedAtMs = performance.now();
  makeLateGlobals();
  if (options.recover && options.data !== undefined) await recover(options.data, log);
  const metrics = new Metrics();
  const storage = await openStorage(options, metrics);
  let isLoaded = false;
  try {
    // Before the data is loaded: if that fails, its owner has seen the key all the same.
    const masterKey = secretKey();
    const database = new MemoryDatabase({ ...storage, ...options });
    const { data, flushIntervalMs } = options;
    const stored = storage.storage?.apiKeys() ?? [];
    const apiKeys = new ApiKeys({ secretKey: masterKey, stored, ...storage });
    const isSaved = data !== undefined;
    const housekeeping = new Housekeeping({ database, log, metrics, flushIntervalMs, isSaved });
    const status = statusOf({ options, startedAtMs, database, housekeeping, ...storage });
    const notReady = (): string | undefined => database.failure ?? housekeeping.failure;
    const loaded = Promise.withResolvers<void>();
    // Before the data is there: clients wait instead of being refused, and `/readyz` says why.
    const backups = new LiveBackup(database, log);
    const backup = (signal: AbortSignal) => backups.start(signal);
    const parts = { database, apiKeys, log, metrics, status, notReady, backup, loaded: loaded.promise };
    const server = listen(options, parts);
    try {
      const loadingFromMs = performance.now();
      const progress = setInterval(() => onLoading?.(database.counts()), PROGRESS_MS);
      await database.load().finally(() => clearInterval(progress));
      isLoaded = true;
      const loadedMs = performance.now() - loadingFromMs;
      housekeeping.start();
      const { port, opsPort } = server;
      const reloadTls = (): TlsKeyPair | undefined => {
        if (options.tlsFiles === undefined) return undefined;
        const tls = readTlsFiles(options.tlsFiles);
        server.replaceTls(tls);
        return tls;
      };
      const ready = { port, opsPort, counts: database.counts(), loadedMs, reloadTls };
      // Whoever waited is let in after this.
      loaded.resolve();

      await use(ready);
    } catch (error) {
      loaded.reject(error);
      throw error;
    } finally {
      await server.stop();
    }
    await housekeeping.stop();
    await database.close();
  } finally {
    // Closing writes: a directory that could not be loaded stays as it was found, and the process ends.
    if (isLoaded) await storage.storage?.close();
    else storage.storage?.leave();
  }
}

/** Says what was left out: nobody else will know. */
async function recover(data: string, log: Log): Promise<void> {
  const { keptIn, leftOut } = await recoverDirectory(data, { now: new Date() });
  for (const what of leftOut) log.warn("Left out", { what });
  if (keptIn === undefined) log.info("Nothing is damaged", { data });
  else log.warn("The damaged files are kept, with a list of what was left out", { folder: keptIn });
}

/** As the options that the parts take, which have no storage when data is in memory only. */
async function openStorage(
  { data, durability }: InstanceOptions,
  observer: CommitObserver,
): Promise<{ storage?: SqliteStorage }> {
  if (data === undefined) return {};
  return { storage: await SqliteStorage.open({ directory: data, durability, observer }) };
}

type StatusSources = {
  readonly options: InstanceOptions;
  readonly startedAtMs: number;
  readonly database: MemoryDatabase;
  readonly housekeeping: Housekeeping;
  readonly storage?: SqliteStorage;
};

function statusOf(sources: StatusSources): StatusOf {
  const { options, startedAtMs, database, housekeeping, storage } = sources;
  const run = crypto.randomUUID();
  return async (isVisible) => {
    const disk = (await storage?.diskBytes()) ?? null;
    const writes = database.writes();
    const nowMs = performance.now();
    const last = housekeeping.lastCheckpoint;
    return {
      version: VERSION,
      commit: COMMIT,
      uptimeMs: Math.round(nowMs - startedAtMs),
      ...database.counts(isVisible),
      memory: {
        usedBytes: database.memory().usedBytes,
        limitBytes: options.memoryBytesMax,
        residentBytes: process.memoryUsage.rss(),
      },
      durability: storage === undefined ? "memory" : options.durability,
      writes: writes === undefined ? null : { run, ...writes },
      disk,
      lastCheckpoint: last ? { agoMs: Math.round(nowMs - last.endedAtMs), tookMs: last.tookMs } : null,
    };
  };
}

type ServerParts = Pick<
  Parameters<typeof startServer>[0],
  "database" | "apiKeys" | "log" | "metrics" | "status" | "notReady" | "backup" | "loaded"
>;

function listen(options: InstanceOptions, parts: ServerParts): RunningServer {
  try {
    const tls = options.tlsFiles && readTlsFiles(options.tlsFiles);
    const unsentBytesMax = Math.max(UNSENT_BYTES_MIN, options.memoryBytesMax * UNSENT_SHARE);
    return startServer({ ...options, ...parts, tls, unsentBytesMax, nowMs: () => performance.now() });
  } catch (cause) {
    if (cause instanceof CommandError) throw cause;
    const isOps = cause instanceof OpsPortError;
    const [port, option] = isOps ? [options.opsPort, "--ops-port"] : [options.port, "--port"];
    const reason = describeCause(isOps ? cause.cause : cause, { host: options.host, option });
    throw new CommandError(`Cannot listen on ${options.host}:${port}: ${reason}`, { cause });
  }
}

function describeCause(cause: unknown, { host, option }: { host: string; option: string }): string {
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code === "EADDRINUSE" && isIP(host) === 0) {
    // The runtime says the same of a name that nobody knows.
    return `the port is in use, or there is no such name. Take another ${option}, or check --host`;
  }
  if (code === "EADDRINUSE") return `the port is in use. Stop what uses it, or take another ${option}`;
  if (code === "EADDRNOTAVAIL") return "this machine has no such address. Check --host";
  if (code === "EACCES") return `access is denied. Take a ${option} above 1023`;
  return message;
}
