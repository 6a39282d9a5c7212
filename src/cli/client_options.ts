/**
 * What every command that talks to a server shares: its options, its client, and how it ends when it is interrupted.
 */
import { readFileSync } from "node:fs";
import { type Command, Option } from "commander";
import { FluxionDB } from "../client/fluxiondb.ts";
import { CommandError, usageError } from "./command_error.ts";
import { EXIT_INTERRUPTED, EXIT_TERMINATED } from "./exit_code.ts";
import { secondsIn } from "./option_value.ts";

export type ClientOptions = {
  readonly url: URL;
  readonly apiKey: string;
  readonly name: string | undefined;
  readonly timeoutMs: number;
};

/** `signal` is aborted by Ctrl-C. */
export type ClientAction = (client: FluxionDB, signal: AbortSignal) => Promise<void>;

const URL_DEFAULT = "ws://127.0.0.1:8080";
const TIMEOUT_SECONDS = { min: 0.001, max: 86_400 };
/** An earlier one wins over a later one. */
const KEY_VARIABLES = ["FLUXIONDB_API_KEY", "FLUXIONDB_APIKEY"] as const;

/** Adds the options to a command; `withClient` reads them again. */
export function addClientOptions(command: Command): Command {
  return addServerOptions(command)
    .addOption(group(new Option("--name <text>", "how `clients` shows this one to others")))
    .addOption(
      group(new Option("--timeout <seconds>", "how long to wait for a reply"))
        .argParser((text) => secondsIn(TIMEOUT_SECONDS)(text, "--timeout"))
        .default(30_000, "30"),
    )
    .addOption(group(new Option("--json", "JSON on a terminal too")));
}

/** Which server, and with which key. */
export function addServerOptions(command: Command): Command {
  return command
    .addOption(group(new Option("--url <url>", `the server (FLUXIONDB_URL, or ${URL_DEFAULT})`)))
    .addOption(group(new Option("--api-key <key>", "an API key (FLUXIONDB_API_KEY); beware: `ps` shows it")))
    .addOption(new Option("--apikey <key>", "the same").hideHelp())
    .addOption(group(new Option("--api-key-file <file>", "a file that holds the API key")));
}

const group = (option: Option): Option => option.helpGroup("Connection and output:");

/**
 * Runs a command with a client, and closes it. `isLong`: work that goes on when a connection breaks, on the next one.
 *
 * @throws CommandError for options that cannot be used, and when it is interrupted; FluxionError
 */
export async function withClient(
  command: Command,
  action: ClientAction,
  { isLong = false }: { readonly isLong?: boolean } = {},
): Promise<void> {
  const options = readClientOptions(command);
  await interruptible((signal) => runClient(options, { isLong, signal }, action));
}

export async function runClient(
  { url, apiKey, name, timeoutMs }: ClientOptions,
  { isLong, signal }: { readonly isLong: boolean; readonly signal: AbortSignal },
  action: ClientAction,
): Promise<void> {
  const connecting = FluxionDB.connect({
    url,
    apiKey,
    timeoutMs,
    reconnect: isLong,
    ...(name !== undefined && { name }),
  });
  const client = await Promise.race([connecting, rejectionBy(signal)]);
  try {
    await action(client, signal);
  } finally {
    await client.close();
  }
}

function rejectionBy(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

/** Ctrl-C aborts the signal, and what the work then throws becomes the end that a shell expects; twice ends at once. */
export async function interruptible(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const stop = new AbortController();
  let exitCode = EXIT_INTERRUPTED;
  const end = (code: number): void => {
    if (stop.signal.aborted) process.exit(code);
    exitCode = code;
    stop.abort();
  };
  const onInterrupt = (): void => end(EXIT_INTERRUPTED);
  const onTerminate = (): void => end(EXIT_TERMINATED);
  process.on("SIGINT", onInterrupt).on("SIGTERM", onTerminate);
  try {
    await work(stop.signal);
  } catch (cause) {
    if (!stop.signal.aborted) throw cause;
    const detail = cause instanceof CommandError ? `: ${cause.message}` : "";
    throw new CommandError(`Interrupted${detail}`, { exitCode, cause });
  } finally {
    process.off("SIGINT", onInterrupt).off("SIGTERM", onTerminate);
  }
}

function readClientOptions(command: Command): ClientOptions {
  const values = command.opts();
  return {
    url: readUrl(command),
    apiKey: readApiKey(command),
    name: values.name,
    timeoutMs: values.timeout,
  };
}

/** Kindly: `db:8080` and `http://…` mean what they can only mean. */
export function readUrl(command: Command, fallback = URL_DEFAULT): URL {
  const text: string = command.opts().url ?? (process.env.FLUXIONDB_URL || fallback);
  const url = URL.parse(text.includes("://") ? text : `ws://${text}`);
  if (url !== null && /^(wss?|https?):$/.test(url.protocol)) return url;
  throw usageError(`--url: expected an address such as ${URL_DEFAULT}, got ${JSON.stringify(text)}`);
}

/** @throws CommandError when there is none */
export function readApiKey(command: Command): string {
  const key = givenApiKey(command);
  if (key) return key;
  throw usageError(
    "Give an API key: --api-key-file FILE (a server keeps its own in DATA/secret.key), FLUXIONDB_API_KEY or --api-key",
  );
}

/** The command line wins over the environment. */
export function givenApiKey(command: Command): string | undefined {
  const values = command.opts();
  const given = values.apiKey ?? values.apikey;
  if (given !== undefined && values.apiKeyFile !== undefined) {
    throw usageError("Give --api-key or --api-key-file, not both");
  }
  return given ?? (values.apiKeyFile === undefined ? keyFromEnvironment() : readKeyFile(values.apiKeyFile));
}

const keyFromEnvironment = (): string | undefined =>
  KEY_VARIABLES.map((name) => process.env[name]).find(Boolean);

/** Editors end a file with a line break, which is no part of the key. */
export function readKeyFile(file: string, source = "--api-key-file"): string {
  let text: string;
  try {
    text = readFileSync(file, "utf8").replace(/\r?\n$/, "");
  } catch (cause) {
    throw usageError(`${source}: cannot read ${file}: ${(cause as Error).message}`);
  }
  if (text !== "") return text;
  throw usageError(`${source}: ${file} is empty`);
}
