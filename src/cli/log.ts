/**
 * The server's log: one line an event, on standard error, for people or as JSON.
 *
 *     2026-03-01T12:00:00.000Z info  Client connected ip=127.0.0.1 name="pump 1"
 *     {"time":"2026-03-01T12:00:00.000Z","level":"info","message":"Client connected","ip":"127.0.0.1","name":"pump 1"}
 */
import type { ClientLabel, KeyChange, ServerLog } from "../server/server_log.ts";

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export const LOG_FORMATS = ["text", "json"] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

export type LogFields = Readonly<Record<string, string | number | null>>;

export type LogOptions = {
  /** The least important level that is written. */
  readonly level: LogLevel;
  readonly format: LogFormat;
  readonly write: (line: string) => void;
  readonly now: () => Date;
};

const LEVEL_WIDTH = 5;
const NO_FIELDS: LogFields = {};
/** A value that needs no quotes in the text format. */
const PLAIN = /^[\w.:/-]+$/;
/** What a terminal might obey, or a reader of lines might take for an end, and JSON leaves as it is. */
const UNSAFE = /[\u007f-\u009f\u2028\u2029]/g;

export class Log implements ServerLog {
  readonly #options: LogOptions;

  constructor(options: LogOptions) {
    this.#options = options;
  }

  debug(message: string, fields: LogFields = NO_FIELDS): void {
    this.#event("debug", message, fields);
  }

  info(message: string, fields: LogFields = NO_FIELDS): void {
    this.#event("info", message, fields);
  }

  warn(message: string, fields: LogFields = NO_FIELDS): void {
    this.#event("warn", message, fields);
  }

  error(message: string, fields: LogFields = NO_FIELDS): void {
    this.#event("error", message, fields);
  }

  /** Written whatever the level is: scripts wait for it. The fields say the same again, for readers of JSON. */
  ready(message: string, fields: LogFields): void {
    this.#write("info", message, this.#options.format === "json" ? fields : NO_FIELDS);
  }

  connected({ ip, name }: ClientLabel): void {
    this.info("Client connected", { ip, name });
  }

  disconnected({ ip, name, code, seconds }: ClientLabel & { code: number; seconds: number }): void {
    this.info("Client disconnected", { ip, name, code, seconds: Math.round(seconds * 1000) / 1000 });
  }

  rejected({ ip, reason }: { ip: string; reason: string }): void {
    this.warn("Connection refused", { ip, reason });
  }

  badFrame({ ip, name, reason }: ClientLabel & { reason: string }): void {
    this.warn("Bad frame, client closed", { ip, name, reason });
  }

  slowRequest({ ip, name, type, ms }: ClientLabel & { type: string; ms: number }): void {
    this.warn("Slow request", { ip, name, type, ms: Math.round(ms) });
  }

  readerGivenUp({ ip, name, unsentBytes }: ClientLabel & { unsentBytes: number }): void {
    this.warn("Client dropped: it has read nothing for too long", { ip, name, unsentBytes });
  }

  keyChanged({
    ip,
    name,
    action,
    fingerprint,
    scope,
    expiresAt,
    collections,
  }: ClientLabel & KeyChange): void {
    this.info(action === "add" ? "API key added" : "API key removed", {
      ip,
      name,
      action,
      key: fingerprint,
      scope,
      ...(expiresAt !== undefined && { expires: new Date(expiresAt).toISOString() }),
      ...(collections && { collections: collections.join(",") }),
    });
  }

  diskFailed({ reason }: { reason: string }): void {
    this.error("The disk failed", { reason });
  }

  bug(error: unknown, { type }: { type: string }): void {
    this.error("Bug in the server", { type, error: describeError(error) });
  }

  #event(level: LogLevel, message: string, fields: LogFields): void {
    if (LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(this.#options.level)) {
      this.#write(level, message, fields);
    }
  }

  #write(level: LogLevel, message: string, fields: LogFields): void {
    const { format, write, now } = this.#options;
    const time = now().toISOString();
    const line =
      format === "json"
        ? JSON.stringify({ time, level, message, ...fields })
        : `${time} ${level.padEnd(LEVEL_WIDTH)} ${message}${renderFields(fields)}`;
    write(`${line.replace(UNSAFE, escapeCharacter)}\n`);
  }
}

/** An error with its stack and its causes, where there are any. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const stack = error.stack ?? error.message;
  return error.cause === undefined ? stack : `${stack}\ncaused by ${describeError(error.cause)}`;
}

function renderFields(fields: LogFields): string {
  let text = "";
  for (const [name, value] of Object.entries(fields)) {
    if (value === null) continue;
    text += ` ${name}=${typeof value === "string" && !PLAIN.test(value) ? JSON.stringify(value) : value}`;
  }
  return text;
}

const escapeCharacter = (character: string): string =>
  `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
