/**
 * Times as they are typed: numbers as they are, ISO 8601, `now`, and steps from now such as `-1h`.
 *
 * The server does not know the unit of its times; `--unit` says it, and matters wherever a time is no bare number.
 */
import { usageError } from "./command_error.ts";

export const TIME_UNITS = ["s", "ms", "us", "ns"] as const;
export type TimeUnit = (typeof TIME_UNITS)[number];

const NANOSECONDS_BY_UNIT: Readonly<Record<TimeUnit, bigint>> = {
  s: 1_000_000_000n,
  ms: 1_000_000n,
  us: 1000n,
  ns: 1n,
};
const NANOSECONDS_BY_STEP: Readonly<Record<string, bigint>> = {
  ...NANOSECONDS_BY_UNIT,
  m: 60n * 1_000_000_000n,
  h: 3600n * 1_000_000_000n,
  d: 86_400n * 1_000_000_000n,
  w: 7n * 86_400n * 1_000_000_000n,
};
const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;
const NANOSECONDS_IN_MS = 1_000_000n;

const NUMBER = /^[+-]?[0-9]{1,30}$/;
const STEP = /^(?:now)?([+-])([0-9]{1,15})(ns|us|ms|s|m|h|d|w)$/;
const ISO =
  /^([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]([0-9]{2}:[0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,9})[0-9]*)?)?(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?$/i;

export const TIME_HELP = `Times:
  a number as the records have it, 2026-03-01, 2026-03-01T12:30:00Z (without a zone: UTC), now, or a step from now:
  -90s -15m -1h -7d -2w. --unit s|ms|us|ns says which unit the records' times are in, seconds by default.
`;

export type Clock = { readonly unit: TimeUnit; readonly nowMs: number };
/** What is expected, where some times make no sense. */
type Expected = { readonly examples?: string };

const EXAMPLES = "1700000000, 2026-03-01T12:30:00Z, now or -1h";

/** @throws CommandError for what is no time, or one that 64 bits do not hold in that unit */
export function readTime(
  text: string,
  source: string,
  { unit, nowMs, examples = EXAMPLES }: Clock & Expected,
): bigint {
  const value = NUMBER.test(text) ? BigInt(text) : fromNanoseconds(readNanoseconds(text, nowMs), unit);
  if (value !== undefined && value >= INT64_MIN && value <= INT64_MAX) return value;
  const problem = value === undefined ? `a time such as ${examples}` : "64 bits";
  throw usageError(`${source}: expected ${problem}, got ${JSON.stringify(text)}`);
}

/** As ISO 8601 in UTC, with as many digits as the unit has; a number where the calendar ends. */
export function formatTime(ts: number | bigint, unit: TimeUnit): string {
  const nanoseconds = BigInt(ts) * NANOSECONDS_BY_UNIT[unit];
  const fraction = ((nanoseconds % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  const date = new Date(Number((nanoseconds - fraction) / NANOSECONDS_IN_MS));
  if (Number.isNaN(date.getTime())) return String(ts);
  const digits = { s: 0, ms: 3, us: 6, ns: 9 }[unit];
  const shown = digits === 0 ? "" : `.${String(fraction).padStart(9, "0").slice(0, digits)}`;
  return date.toISOString().replace(/\.[0-9]+Z$/, `${shown}Z`);
}

/** Since 1970, of what is no bare number. */
function readNanoseconds(text: string, nowMs: number): bigint | undefined {
  const now = BigInt(Math.floor(nowMs)) * NANOSECONDS_IN_MS;
  if (text.toLowerCase() === "now") return now;
  const [, sign, count, step] = STEP.exec(text) ?? [];
  if (count !== undefined) {
    const length = BigInt(count) * (NANOSECONDS_BY_STEP[step as string] as bigint);
    return sign === "-" ? now - length : now + length;
  }
  return readIso(text);
}

function readIso(text: string): bigint | undefined {
  const [, date, minutes = "00:00", seconds = "00", fraction = "", zone = "Z"] = ISO.exec(text) ?? [];
  if (date === undefined) return undefined;
  const ms = Date.parse(`${date}T${minutes}:${seconds}${completeZone(zone)}`);
  if (Number.isNaN(ms)) return undefined;
  // The 30th of February would be taken for one in March.
  if (!new Date(`${date}T00:00:00Z`).toISOString().startsWith(date)) return undefined;
  return BigInt(ms) * NANOSECONDS_IN_MS + BigInt(fraction.padEnd(9, "0"));
}

function completeZone(zone: string): string {
  if (/^z$/i.test(zone)) return "Z";
  const [, hours, minutes = "00"] = /^([+-][0-9]{2}):?([0-9]{2})?$/.exec(zone) as RegExpExecArray;
  return `${hours}:${minutes}`;
}

/** Cut toward the past, as clocks do. */
function fromNanoseconds(nanoseconds: bigint | undefined, unit: TimeUnit): bigint | undefined {
  if (nanoseconds === undefined) return undefined;
  const size = NANOSECONDS_BY_UNIT[unit];
  const rest = ((nanoseconds % size) + size) % size;
  return (nanoseconds - rest) / size;
}
