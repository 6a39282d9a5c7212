/**
 * The options of `add-key` that limit a key: until when it is good, and for which collections.
 */
import { type Command, Option } from "commander";
import type { ApiKey, ApiKeyLimits } from "../client/types.ts";
import { usageError } from "./command_error.ts";
import { formatTime, readTime } from "./time_value.ts";

/** A step from now, which here goes only one way. */
const STEP_AHEAD = /^[0-9]+(?:s|m|h|d|w)$/;
/** A pattern, which may hold commas, or a name up to the next comma. */
const ENTRY = /\/(?:[^/\\]|\\[\s\S])*\/[ims]*(?=,|$)|[^,]+/g;

export const addLimitOptions = (command: Command): Command =>
  command
    .addOption(new Option("--expires <time>", "until when it is good: 30d, 2026-12-31, or never"))
    .addOption(
      new Option(
        "--collections <names>",
        "it may know of these collections only: names and /patterns/, joined by commas; repeatable",
      ).argParser((text, before: string[] = []) => [...before, ...readEntries(text)]),
    )
    .addOption(new Option("--all-collections", "it may know of all again"));

/** What is not given is left as it is. @throws CommandError */
export function readLimitOptions(command: Command, nowMs: number): ApiKeyLimits {
  const { expires, collections, allCollections } = command.opts();
  if (collections !== undefined && allCollections === true) {
    throw usageError("Give --collections or --all-collections, not both");
  }
  return {
    ...(expires !== undefined && { expiresAt: readExpiry(expires, nowMs) }),
    ...(collections !== undefined && { collections }),
    ...(allCollections === true && { collections: "all" as const }),
  };
}

/** The columns of a table of keys: those that some key has something in. */
export function limitColumns(keys: readonly ApiKey[]): { head: string; cell: (key: ApiKey) => string }[] {
  const expires = {
    head: "expires",
    cell: ({ expiresAt }: ApiKey) => (expiresAt === undefined ? "" : formatTime(expiresAt, "ms")),
  };
  const collections = {
    head: "collections",
    cell: ({ collections }: ApiKey) => collections?.join(",") ?? "",
  };
  return [expires, collections].filter(({ cell }) => keys.some((key) => cell(key) !== ""));
}

function readEntries(text: string): string[] {
  const entries = text.match(ENTRY);
  if (entries !== null && entries.join(",") === text) return entries;
  throw usageError(`--collections: expected names joined by commas, got ${JSON.stringify(text)}`);
}

function readExpiry(text: string, nowMs: number): number | "never" {
  if (text.toLowerCase() === "never") return "never";
  const step = STEP_AHEAD.test(text) ? `+${text}` : text;
  const at = Number(
    readTime(step, "--expires", {
      unit: "ms",
      nowMs,
      examples: "2026-12-31, 2026-12-31T12:30:00Z, 30d or never",
    }),
  );
  if (at > nowMs) return at;
  throw usageError(`--expires: expected a time to come, got ${JSON.stringify(text)}`);
}
