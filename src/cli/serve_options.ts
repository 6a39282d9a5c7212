/**
 * The options of `fluxiondb serve`: on the command line, or in the environment, where the command line wins.
 */
import { totalmem } from "node:os";
import { type Command, Option } from "commander";
import type { AdjustableLimits } from "../protocol/adjustable_limits.ts";
import { SLOW_REQUEST_MS } from "../protocol/limits.ts";
import { DURABILITIES, type Durability } from "../storage/storage.ts";
import { usageError } from "./command_error.ts";
import { LIMIT_OPTIONS } from "./limit_options.ts";
import { LOG_FORMATS, LOG_LEVELS, type LogFormat, type LogLevel } from "./log.ts";
import { integerIn, nonEmptyText, oneOf, secondsIn, sizeIn, type ValueReader } from "./option_value.ts";
import type { TlsFiles } from "./tls_files.ts";

export type ServeOptions = AdjustableLimits & {
  readonly port: number;
  readonly host: string;
  readonly secretKey: string | undefined;
  readonly secretKeyFile: string | undefined;
  /** The data directory; in memory only without. */
  readonly data: string | undefined;
  readonly flushIntervalMs: number;
  readonly durability: Durability;
  /** Whether a damaged data directory is to be started with what is whole of it. */
  readonly recover: boolean;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  /** Standard error without. */
  readonly logFile: string | undefined;
  readonly slowRequestMs: number;
  readonly tlsFiles: TlsFiles | undefined;
  /** None: any. */
  readonly allowedOrigins: readonly string[];
  /** Where metrics are for everyone who gets there. */
  readonly opsPort: number | undefined;
  readonly memoryBytesMax: number;
};

const PORTS = { min: 0, max: 65_535 };
const FLUSH_SECONDS = { min: 0.01, max: 86_400 };
const SLOW_REQUEST = { min: 0, max: 3_600_000 };
const MEMORY_BYTES = { min: 2 ** 24, max: 2 ** 50 };

/** Adds the options to a command; `readServeOptions` reads them again. */
export function addServeOptions(command: Command): Command {
  addPlainOptions(command);
  for (const { flags, description, read, fallback } of LIMIT_OPTIONS.values()) {
    command.addOption(option(flags, description, read, fallback));
  }
  return command;
}

function addPlainOptions(command: Command): void {
  command
    .addOption(
      option("-p, --port <number>", "port to listen on; 0 takes a free one", integerIn(PORTS), "8080"),
    )
    .addOption(
      option("--host <address>", "address to listen on; 0.0.0.0 is all of them", nonEmptyText, "127.0.0.1"),
    )
    .addOption(option("-s, --secret-key <key>", "the master key; beware: `ps` shows it to all users", asItIs))
    .addOption(option("--secret-key-file <file>", "a file that holds the master key", nonEmptyText))
    .addOption(
      option("-d, --data <directory>", "where data is kept; in memory only without it", nonEmptyText),
    )
    .addOption(
      option("-f, --flush-interval <seconds>", "time between checkpoints", secondsIn(FLUSH_SECONDS), "15"),
    )
    .addOption(
      option("--durability <mode>", `${DURABILITIES.join("|")}, see below`, oneOf(DURABILITIES), "everysec"),
    )
    .addOption(new Option("--recover", "start with what is whole of a damaged data directory, see below"))
    .addOption(
      option(
        "--tls-cert <file>",
        "the certificate, with its chain (PEM); read again on SIGHUP",
        nonEmptyText,
      ),
    )
    .addOption(option("--tls-key <file>", "its private key (PEM)", nonEmptyText))
    .addOption(
      option(
        "--allow-origin <origins>",
        "let in pages of these origins only, joined by commas; programs are let in always",
        origins,
      ),
    )
    .addOption(
      option(
        "--ops-port <number>",
        "another port, with /healthz, /readyz and /metrics only",
        integerIn(PORTS),
      ),
    )
    .addOption(option("--log-level <level>", `${LOG_LEVELS.join("|")}`, oneOf(LOG_LEVELS), "info"))
    .addOption(option("--log-format <format>", `${LOG_FORMATS.join("|")}`, oneOf(LOG_FORMATS), "text"))
    .addOption(
      option(
        "--log-file <file>",
        "where the log goes; opened again on SIGHUP (default: standard error)",
        nonEmptyText,
      ),
    )
    .addOption(
      option(
        "--slow-request-ms <number>",
        "requests that take so many milliseconds are logged",
        integerIn(SLOW_REQUEST),
        String(SLOW_REQUEST_MS),
      ),
    )
    .addOption(
      option(
        "--memory-limit <size>",
        "most memory for records and caches (default: 3/4 of what the machine or the container has)",
        sizeIn(MEMORY_BYTES),
      ),
    );
}

/** @throws CommandError when two options contradict each other */
export function readServeOptions(command: Command): ServeOptions {
  const values = command.opts();
  const [secretKey, secretKeyFile] = chooseKeySource(command);
  if (values.recover === true && values.data === undefined) throw usageError("--recover needs --data");
  return {
    port: values.port,
    host: values.host,
    secretKey,
    secretKeyFile,
    data: values.data,
    flushIntervalMs: values.flushInterval,
    durability: values.durability,
    recover: values.recover === true,
    logLevel: values.logLevel,
    logFormat: values.logFormat,
    logFile: values.logFile,
    slowRequestMs: values.slowRequestMs,
    tlsFiles: readTlsOptions(values),
    allowedOrigins: values.allowOrigin ?? [],
    opsPort: values.opsPort,
    memoryBytesMax: values.memoryLimit ?? machineMemoryLimit(),
    ...readLimits(values),
  };
}

function readLimits(values: Readonly<Record<string, unknown>>): AdjustableLimits {
  const limits = Array.from(LIMIT_OPTIONS, ([name, { flags, description }]) => [
    name,
    values[new Option(flags, description).attributeName()],
  ]);
  // The readers of LIMIT_OPTIONS, one for each limit, have made numbers of them.
  return Object.fromEntries(limits) as AdjustableLimits;
}

function readTlsOptions({ tlsCert, tlsKey }: Record<string, string | undefined>): TlsFiles | undefined {
  if (tlsCert === undefined && tlsKey === undefined) return undefined;
  if (tlsCert !== undefined && tlsKey !== undefined) return { cert: tlsCert, key: tlsKey };
  throw usageError("Give both --tls-cert and --tls-key, or neither");
}

const origins: ValueReader<readonly string[]> = (text, source) =>
  text.split(",").map((part) => {
    const origin = part.trim();
    if (URL.parse(origin)?.origin === origin) return origin;
    throw usageError(
      `${source}: expected an origin such as https://example.com, got ${JSON.stringify(origin)}`,
    );
  });

/** The default of --memory-limit. */
export const machineMemoryLimit = (): number =>
  Math.max(MEMORY_BYTES.min, Math.floor(machineMemory() * 0.75));

/** What the machine has, or what a container on it may use. */
function machineMemory(): number {
  // Zero, or a number beyond all machines, where there is no such limit.
  return Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
}

/** Of a key and a key file, the one that is on the command line; two in the same place contradict each other. */
function chooseKeySource(command: Command): [key: string | undefined, file: string | undefined] {
  const { secretKey, secretKeyFile } = command.opts();
  const keySource = command.getOptionValueSource("secretKey");
  const fileSource = command.getOptionValueSource("secretKeyFile");
  if (secretKey === undefined || secretKeyFile === undefined) return [secretKey, secretKeyFile];
  if (keySource === fileSource) throw usageError("Give --secret-key or --secret-key-file, not both");
  return keySource === "cli" ? [secretKey, undefined] : [undefined, secretKeyFile];
}

/** The key is checked where it is used, so that its text is in no message. */
const asItIs: ValueReader<string> = (text) => text;

function option<Value>(
  flags: string,
  description: string,
  read: ValueReader<Value>,
  fallback?: string,
): Option {
  const made = new Option(flags, description);
  const environmentName = `FLUXIONDB_${made.name().toUpperCase().replaceAll("-", "_")}`;
  const source = `--${made.name()} (${environmentName})`;
  made.env(environmentName).argParser((text) => read(text, source));
  if (fallback !== undefined) made.default(read(fallback, source), fallback);
  return made;
}
