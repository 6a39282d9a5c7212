/**
 * A record as a line: `{"ts":150,"doc":"room/2 é","data":"text"}`.
 */
import type { DataRecord, Timestamp } from "../client/types.ts";
import { parseJson } from "../protocol/json.ts";
import { DATA_DEPTH_MAX, FRAME_BYTES_MAX, NAME_LENGTH_MAX } from "../protocol/limits.ts";
import { readTimestamp, timestampToBigInt } from "../protocol/timestamp.ts";

export type LineRecord = { readonly document: string; readonly ts: Timestamp; readonly data: string };

/** What is wrong with a line, a file or a field, without saying where. */
export class BadInput extends Error {
  override readonly name = "BadInput";
}

/** `document` as JSON text. */
export const recordLine = (document: string, { ts, data }: DataRecord): string =>
  `{"ts":${ts},"doc":${document},"data":${JSON.stringify(data)}}\n`;

/**
 * Reads a line. One without `doc` is of the document `fallback`; `data` that is no text is taken as compact JSON.
 *
 * @throws BadInput
 */
export function readRecordLine(line: string, fallback: string): LineRecord {
  const value = parseObject(line);
  const { ts, doc = fallback, data } = value;
  return {
    ts: typeof ts === "number" && Number.isSafeInteger(ts) ? ts : exactTimestamp(line, ts),
    document: checkName(doc, "doc"),
    data: checkSize(typeof data === "string" ? data : dataText(line)),
  };
}

/** @throws BadInput */
export function checkName(name: unknown, field: string): string {
  if (typeof name !== "string" || name === "") {
    throw new BadInput(`${field}: expected a non-empty string, got ${show(name)}`);
  }
  if (name.length <= NAME_LENGTH_MAX) return name;
  throw new BadInput(`${field}: expected at most ${NAME_LENGTH_MAX} characters, got ${name.length}`);
}

/** A number, a fraction of which is cut, or a string of digits. @throws BadInput */
export function checkTime(value: unknown, field: string): Timestamp {
  const timestamp = readTimestamp(value);
  if (timestamp === undefined) {
    throw new BadInput(`${field}: expected a 64-bit integer, got ${show(value)}`);
  }
  const exact = timestampToBigInt(timestamp);
  return Number.isSafeInteger(Number(exact)) ? Number(exact) : exact;
}

/** A record travels in one frame, in which its text is escaped twice. @throws BadInput */
export function checkSize(data: string): string {
  // Twice escaped, a character takes at most 7 bytes; most records are far from the limit.
  if (data.length * 7 < FRAME_BYTES_MAX / 2) return data;
  const bytes = Buffer.byteLength(JSON.stringify(JSON.stringify(data)));
  if (bytes <= FRAME_BYTES_MAX - ENVELOPE_BYTES) return data;
  throw new BadInput(`data: expected at most 16 MiB as it is sent, got ${(bytes / 2 ** 20).toFixed(1)} MiB`);
}

/** Any JSON value as compact text, with the digits of its numbers. @throws BadInput */
export function compactJson(value: unknown, field: string): string {
  if (value === undefined) throw new BadInput(`${field}: expected a string or a JSON value, got nothing`);
  try {
    return JSON.stringify(value);
  } catch {
    throw new BadInput(`${field}: nested too deep, at most ${DATA_DEPTH_MAX} levels are taken`);
  }
}

/** A value as a message quotes it: short. */
export function show(value: unknown): string {
  if (value === undefined) return "nothing";
  if (typeof value === "bigint") return String(value);
  if (Array.isArray(value)) return "an array";
  if (typeof value === "string" && value.length > SHOWN_LENGTH_MAX)
    return `a string of ${value.length} characters`;
  if (typeof value === "object" && value !== null && !("rawJSON" in value)) return "an object";
  return JSON.stringify(value).slice(0, SHOWN_LENGTH_MAX + 2);
}

/** Names and the rest of the frame, each character of a name escaped twice. */
const ENVELOPE_BYTES = 100_000;
const SHOWN_LENGTH_MAX = 60;

/** @throws BadInput */
export function parseObject(
  text: string,
  parse: (text: string) => unknown = JSON.parse,
): Record<string, unknown> {
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    const isTooDeep = error instanceof RangeError;
    throw new BadInput(isTooDeep ? "nested too deep" : `expected JSON, got ${show(text)}`);
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value) && !("rawJSON" in value)) {
    return value as Record<string, unknown>;
  }
  throw new BadInput(`expected an object {"ts","doc","data"}, got ${show(value)}`);
}

function exactTimestamp(line: string, ts: unknown): Timestamp {
  return checkTime(typeof ts === "number" ? parseObject(line, parseJson).ts : ts, "ts");
}

const dataText = (line: string): string => compactJson(parseObject(line, parseJson).data, "data");
