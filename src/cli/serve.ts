/**
 * `fluxiondb serve`: puts the parts together, and takes them apart in the right order when told to stop.
 */
import { Command, InvalidArgumentError, Option } from "commander";
import { ApiKeys } from "../engine/api_keys.ts";
import { MemoryDatabase } from "../engine/memory_database.ts";
import { FRAME_BYTES_MAX, REPLY_BYTES_MAX } from "../protocol/limits.ts";
import { type RunningServer, startServer } from "../server/server.ts";
import { SqliteStorage } from "../storage/sqlite_storage.ts";
import { DURABILITIES, type Durability } from "../storage/storage.ts";
import { EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_TERMINATED } from "./exit_code.ts";
import { Housekeeping } from "./housekeeping.ts";
import { LOG_FORMATS, LOG_LEVELS, Log, type LogFormat, type LogLevel } from "./log.ts";
import { readPort, readSeconds, readSize } from "./option_value.ts";
import { fail, note, styled } from "./output.ts";
import { findSecretKey } from "./secret_key.ts";

type ServeOptions = {
  port: number;
  host: string;
  secretKey?: string;
  secretKeyFile?: string;
  data?: string;
  flushInterval: number;
  durability: Durability;
  logLevel: LogLevel;
  logFormat: LogFormat;
  maxFrame: number;
  maxReply: number;
};

/** Only the owner may read what the server writes. */
const UMASK = 0o077;
const MIB = 2 ** 20;
/** Bun's own limit of one message. */
const REPLY_BYTES_CEILING = 1024 * MIB;

const HELP_AFTER = `
Every option can also be set in the environment, as FLUXIONDB_ and its name: FLUXIONDB_PORT=9000,
FLUXIONDB_DATA=/var/lib/fluxiondb. An option on the command line goes first.

A key on the command line is seen by everyone who can run ps on this machine: prefer --secret-key-file
or FLUXIONDB_SECRET_KEY. With --data and no key, one is made on the first run, shown once, and kept in
the data directory.

Examples:
  $ fluxiondb serve --data ./data
      Keeps everything in ./data; what was acknowledged survives a crash of the process.
  $ fluxiondb serve --data ./data --durability always
      Each reply to a write waits for the disk: survives a power cut too.
  $ fluxiondb serve --host 0.0.0.0 --port 9000 --data /var/lib/fluxiondb --secret-key-file /etc/fluxiondb.key
      Reachable from other machines; put a TLS proxy in front.
  $ fluxiondb serve
      In memory only, to try it out.
`;

export function serveCommand(): Command {
  return new Command("serve")
    .description("Run the database server.")
    .addOption(
      new Option("-p, --port <port>", "port to listen on; 0 takes a free one")
        .env("FLUXIONDB_PORT")
        .default(8080)
        .argParser(readPort),
    )
    .addOption(
      new Option("--host <address>", "address to listen on").env("FLUXIONDB_HOST").default("127.0.0.1"),
    )
    .addOption(
      new Option("-s, --secret-key <key>", "the master key (shows in ps)").env("FLUXIONDB_SECRET_KEY"),
    )
    .addOption(
      new Option("--secret-key-file <file>", "file that holds the master key")
        .env("FLUXIONDB_SECRET_KEY_FILE")
        .conflicts("secretKey"),
    )
    .addOption(
      new Option("-d, --data <dir>", "data directory; without one, everything is in memory only").env(
        "FLUXIONDB_DATA",
      ),
    )
    .addOption(
      new Option("-f, --flush-interval <seconds>", "seconds between checkpoints")
        .env("FLUXIONDB_FLUSH_INTERVAL")
        .default(15)
        .argParser(readSeconds({ min: 0.1, max: 86_400 })),
    )
    .addOption(
      new Option("--durability <mode>", "what a reply to a write waits for: the disk, the system, or nothing")
        .env("FLUXIONDB_DURABILITY")
        .choices(DURABILITIES)
        .default("everysec"),
    )
    .addOption(
      new Option("--log-level <level>", "least level that is logged")
        .env("FLUXIONDB_LOG_LEVEL")
        .choices(LOG_LEVELS)
        .default("info"),
    )
    .addOption(
      new Option("--log-format <format>", "form of the log")
        .env("FLUXIONDB_LOG_FORMAT")
        .choices(LOG_FORMATS)
        .default("text"),
    )
    .addOption(
      new Option("--max-frame <size>", "largest frame a client may send")
        .env("FLUXIONDB_MAX_FRAME")
        .default(FRAME_BYTES_MAX, "16MiB")
        .argParser(readSize({ min: 1024, max: REPLY_BYTES_CEILING })),
    )
    .addOption(
      new Option("--max-reply <size>", "largest reply that is sent")
        .env("FLUXIONDB_MAX_REPLY")
        .default(REPLY_BYTES_MAX, "256MiB")
        .argParser(readSize({ min: 1024, max: REPLY_BYTES_CEILING })),
    )
    .addHelpText("after", HELP_AFTER)
    .action(serve);
}

async function serve(options: ServeOptions): Promise<void> {
  process.umask(UMASK);
  const log = new Log({
    level: options.logLevel,
    format: options.logFormat,
    write: (line) => process.stderr.write(line),
    now: () => new Date(),
  });
  const startedAt = performance.now();
  const { data, durability } = options;
  if (data === "") throw new InvalidArgumentError("--data: expected a directory, got nothing");
  // The directory is taken before a key is put into it.
  const storage = data === undefined ? undefined : await SqliteStorage.open({ directory: data, durability });
  const secret = findSecretKey({ secretKey: options.secretKey, secretKeyFile: options.secretKeyFile, data });
  const withStorage = storage === undefined ? {} : { storage };
  const database = new MemoryDatabase({ ...withStorage, replyBytesMax: options.maxReply });
  await database.load();
  const loadSeconds = (performance.now() - startedAt) / 1000;
  const apiKeys = new ApiKeys({ secretKey: secret.key, stored: storage?.apiKeys() ?? [], ...withStorage });
  const server = listen({ options, database, apiKeys, log });
  const housekeeping = new Housekeeping({
    database,
    log,
    flushSeconds: options.flushInterval,
    isSaved: storage !== undefined,
  });
  housekeeping.start();
  if (secret.isNew) showNewKey(secret.key, data);
  log.event("info", readyLine({ server, database, options, loadSeconds }));
  handleSignals(log, async () => {
    await server.stop();
    await housekeeping.stop();
    await database.close();
    await storage?.close();
  });
}

function listen({
  options,
  database,
  apiKeys,
  log,
}: {
  options: ServeOptions;
  database: MemoryDatabase;
  apiKeys: ApiKeys;
  log: Log;
}): RunningServer {
  const { host, port } = options;
  try {
    return startServer({
      host,
      port,
      database,
      apiKeys,
      log,
      nowMs: () => performance.now(),
      frameBytesMax: options.maxFrame,
      replyBytesMax: options.maxReply,
    });
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
    if (code === "EADDRINUSE") {
      throw new Error(
        `Port ${port} on ${host} is in use by another program: stop it, or choose another --port`,
        { cause },
      );
    }
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`Cannot listen on ${host}:${port}: ${reason}`, { cause });
  }
}

function showNewKey(key: string, data: string | undefined): void {
  note("");
  note(`  The master key: ${styled("bold", key)}`);
  note(
    data === undefined
      ? "  It holds until the server stops. Clients connect with ?api-key=KEY"
      : `  It is shown this once, and kept in ${data}/secret.key. Clients connect with ?api-key=KEY`,
  );
  note("");
}

function readyLine({
  server,
  database,
  options,
  loadSeconds,
}: {
  server: RunningServer;
  database: MemoryDatabase;
  options: ServeOptions;
  loadSeconds: number;
}): string {
  const host = server.host.includes(":") ? `[${server.host}]` : server.host;
  const address = `ws://${host}:${server.port}`;
  if (options.data === undefined) return `Ready: ${address}, in memory only: nothing is saved`;
  const { collections, documents, records } = database.counts();
  const counted = [
    count(collections, "collection"),
    count(documents, "document"),
    count(records, "record"),
  ].join(", ");
  const place = `data in ${options.data} (durability ${options.durability})`;
  return `Ready: ${address}, ${place}, ${counted}, loaded in ${loadSeconds.toFixed(2)} s`;
}

const count = (number: number, noun: string): string =>
  `${number.toLocaleString("en-US")} ${noun}${number === 1 ? "" : "s"}`;

function handleSignals(log: Log, shutDown: () => Promise<void>): void {
  let isStopping = false;
  const stop = (signal: "SIGTERM" | "SIGINT"): void => {
    if (isStopping) process.exit(signal === "SIGINT" ? EXIT_INTERRUPTED : EXIT_TERMINATED);
    isStopping = true;
    log.event("info", `${signal}: finishing what came in; once more to stop at once`);
    shutDown().then(
      () => {
        log.event("info", "stopped");
        process.exit(EXIT_OK);
      },
      (error: unknown) => {
        fail(error instanceof Error ? error.message : String(error));
        process.exit(EXIT_FAILED);
      },
    );
  };
  process.on("SIGTERM", () => stop("SIGTERM"));
  process.on("SIGINT", () => stop("SIGINT"));
  process.on("SIGHUP", () => log.event("info", "SIGHUP: nothing to reload"));
}
