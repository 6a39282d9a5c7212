/**
 * `fluxiondb serve`: a server that runs until a signal ends it.
 */
import type { Command } from "commander";
import { CommandError } from "./command_error.ts";
import { GROUP_SERVER } from "./command_group.ts";
import { describeError, Log } from "./log.ts";
import { writeNote } from "./output.ts";
import { describeReady } from "./ready_line.ts";
import { announceKey, FILE_MASK, givenSecretKey, ownSecretKey } from "./secret_key.ts";
import { addServeOptions, readServeOptions, type ServeOptions } from "./serve_options.ts";
import { type ReadyServer, runServer } from "./server_instance.ts";
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

Signals: SIGTERM and SIGINT (Ctrl-C) stop the server after all is saved, a second one stops it at once. SIGHUP reads
the certificate again.
`;

export function addServe(program: Command): void {
  const command = program.command("serve").description("Run the database server").helpGroup(GROUP_SERVER);
  addServeOptions(command)
    .addHelpText("after", HELP)
    .action(() => serve(readServeOptions(command)));
}

/** Runs until a signal ends it. */
async function serve(options: ServeOptions): Promise<void> {
  const givenKey = givenSecretKey({ key: options.secretKey, file: options.secretKeyFile });
  process.umask(FILE_MASK);
  const { logLevel: level, logFormat: format } = options;
  const log = new Log({ level, format, write: writeNote, now: () => new Date() });
  const stopSignal = new StopSignal(log);
  log.info("Starting", { version: VERSION, commit: COMMIT, pid: process.pid });
  await runServer(options, {
    log,
    secretKey() {
      const secretKey = givenKey ?? ownSecretKey(options.data);
      // At once: it is not shown again, even if the start fails.
      announceKey(secretKey);
      return secretKey.text;
    },
    async use({ port, opsPort, counts, loadedMs, reloadTls }) {
      const { collections, documents, records } = counts;
      const ready = { port, ...(opsPort !== undefined && { opsPort }), collections, documents, records };
      if (opsPort !== undefined) log.info("Listening for operations", { port: opsPort });
      log.ready(describeReady({ ...options, port, counts, loadedMs }), ready);
      if (options.tlsFiles !== undefined) stopSignal.onHangUp = () => renewCertificate(log, reloadTls);
      log.info("Stopping", { signal: await stopSignal.received() });
    },
  });
  log.info(options.data === undefined ? "Stopped" : "Stopped, all is saved");
}

/** One that cannot be used changes nothing. */
function renewCertificate(log: Log, reloadTls: ReadyServer["reloadTls"]): void {
  try {
    const tls = reloadTls();
    if (tls !== undefined) log.info("The certificate was read again", { validUntil: validUntil(tls) });
  } catch (error) {
    log.error("The certificate could not be read again, the old one stays in use", {
      error: error instanceof CommandError ? error.message : describeError(error),
    });
  }
}
