/**
 * `fluxiondb serve`: a server that runs until a signal ends it.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { CommandError } from "./command_error.ts";
import { GROUP_SERVER } from "./command_group.ts";
import { describeError, Log } from "./log.ts";
import { LogFile } from "./log_file.ts";
import { writeNote } from "./output.ts";
import { describeReady } from "./ready_line.ts";
import { announceKey, FILE_MASK, givenSecretKey, ownSecretKey } from "./secret_key.ts";
import { addServeOptions, readServeOptions, type ServeOptions } from "./serve_options.ts";
import { type ReadyServer, runServer } from "./server_instance.ts";
import { ServiceManager } from "./service_manager.ts";
import { StopSignal } from "./stop_signal.ts";
import { validUntil } from "./tls_files.ts";
import { COMMIT, VERSION } from "./version.ts";

const HELP = `
Durability, with --data:
  always    a write is answered when it is safe on the disk (fsync)
  everysec  a write is answered when it is written, and is safe within a second: kill -9 loses nothing, a power
            cut at most the last second
  interval  a write is answered at once, and is safe with the next checkpoint (--flush-interval)

Damage, with --data:
  A start that finds a damaged file ends, and changes nothing. With --recover the server starts with what is whole, and
  says what it has left out; the damaged files are kept in DIRECTORY/damaged-TIME, as they were found, with a text that
  says the same. A backup is better: see \`fluxiondb restore\`.

Secret key:
  It is the master key: clients connect with it, and make other keys with it. Without one, the first run makes one,
  shows it once and keeps it in DIRECTORY/secret.key; in memory it is another one on each run. On the command line
  every user of the machine can see it in \`ps\`: prefer --secret-key-file or FLUXIONDB_SECRET_KEY.

Memory, with --data:
  When records and caches near --memory-limit, what is on disk is let go and read back when it is asked for. In memory
  only, inserts past it are refused (memory_full), and deleting makes room again.

Every option can also be set in the environment, under the name shown in brackets. The command line wins.

Examples:
  fluxiondb serve                                        try it out: in memory only
  fluxiondb serve --data ./data                          keep data in ./data
  fluxiondb serve --data ./data --host 0.0.0.0 -p 9000   let other machines in
  FLUXIONDB_DATA=./data fluxiondb serve --durability always
  FLUXIONDB_SECRET_KEY=change-me fluxiondb serve --max-frame 32MiB --log-format json

Signals: SIGTERM and SIGINT (Ctrl-C) stop the server after all is saved, a second one stops it at once. SIGHUP opens
the log file again and reads the certificate again.
`;

export function addServe(program: Command): void {
  const command = program.command("serve").description("Run the database server").helpGroup(GROUP_SERVER);
  addServeOptions(command)
    .addHelpText("after", HELP)
    .action(() => serve(readServeOptions(command)));
}

/** Runs until a signal ends it. */
async function serve(options: ServeOptions): Promise<void> {
  refuseOlderData(options.data);
  const givenKey = givenSecretKey({ key: options.secretKey, file: options.secretKeyFile });
  process.umask(FILE_MASK);
  const { logLevel: level, logFormat: format } = options;
  const logFile = options.logFile === undefined ? undefined : new LogFile(options.logFile, writeNote);
  const write = logFile === undefined ? writeNote : (line: string) => logFile.write(line);
  const log = new Log({ level, format, write, now: () => new Date() });
  const manager = ServiceManager.of(process.env, (reason) => {
    log.warn("The service manager cannot be told how the server is", { reason });
  });
  const stopSignal = new StopSignal(log);
  if (logFile !== undefined) stopSignal.onHangUp = () => reopenLog(log, logFile);
  log.info("Starting", { version: VERSION, commit: COMMIT, pid: process.pid });
  try {
    await runServer(options, {
      log,
      secretKey() {
        const secretKey = givenKey ?? ownSecretKey(options.data);
        // At once: it is not shown again, even if the start fails.
        announceKey(secretKey);
        return secretKey.text;
      },
      onLoading(counts) {
        log.info("Still loading", counts);
        manager?.status(`Loading, ${counts.records} records so far`);
      },
      async use({ port, opsPort, counts, loadedMs, reloadTls }) {
        const { collections, documents, records } = counts;
        const fields = { port, ...(opsPort !== undefined && { opsPort }), collections, documents, records };
        const ready = describeReady({ ...options, port, counts, loadedMs });
        if (opsPort !== undefined) log.info("Listening for operations", { port: opsPort });
        log.ready(ready, fields);
        manager?.ready(ready);
        stopSignal.onHangUp = () => {
          manager?.reloading();
          reload(log, { logFile, reloadTls });
          manager?.ready(ready);
        };
        log.info("Stopping", { signal: await stopSignal.received() });
        manager?.stopping();
      },
    });
  } catch (error) {
    // What ends the process is said on the terminal; who reads a file looks there.
    if (logFile !== undefined) log.error("The server ends", { error: describeError(error) });
    throw error;
  }
  log.info(options.data === undefined ? "Stopped" : "Stopped, all is saved");
}

/** An empty server where an older one has its data would look like a loss. @throws CommandError */
function refuseOlderData(directory: string | undefined): void {
  if (directory === undefined) return;
  const older = join(directory, "fluxion.db");
  if (!existsSync(older) || existsSync(join(directory, "catalog.db"))) return;
  throw new CommandError(
    `${directory} holds the data of an older server, and none of this one. Take it over, the file stays as it is:\n` +
      `  fluxiondb import --from-fluxiondb ${older} --data ${directory}\n` +
      "To go on with its secret key, add --api-key-file FILE, and give serve --secret-key-file FILE. To start with " +
      "nothing, move fluxion.db away",
  );
}

type Reloaded = { readonly logFile: LogFile | undefined; readonly reloadTls: ReadyServer["reloadTls"] };

/** What SIGHUP does. */
function reload(log: Log, { logFile, reloadTls }: Reloaded): void {
  if (logFile !== undefined) reopenLog(log, logFile);
  const isRenewed = renewCertificate(log, reloadTls);
  if (logFile === undefined && !isRenewed) log.info("SIGHUP: there is nothing to open or read again");
}

function reopenLog(log: Log, logFile: LogFile): void {
  try {
    logFile.reopen();
    log.info("The log was opened again");
  } catch (error) {
    log.error("The log could not be opened again, the old file stays in use", {
      error: describeShort(error),
    });
  }
}

/** One that cannot be used changes nothing. Returns whether there is any. */
function renewCertificate(log: Log, reloadTls: ReadyServer["reloadTls"]): boolean {
  try {
    const tls = reloadTls();
    if (tls === undefined) return false;
    log.info("The certificate was read again", { validUntil: validUntil(tls) });
  } catch (error) {
    log.error("The certificate could not be read again, the old one stays in use", {
      error: describeShort(error),
    });
  }
  return true;
}

const describeShort = (error: unknown): string =>
  error instanceof CommandError ? error.message : describeError(error);
