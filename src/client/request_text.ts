/**
 * Requests as text. Times are written digit for digit, which JSON.stringify cannot do for a bigint.
 *
 * `data` goes out as a string that holds JSON: the one form that every server of this protocol takes.
 */
import { FluxionError } from "./fluxion_error.ts";
import type { NewRecord, RecordKey, Timestamp } from "./types.ts";

export const TIMESTAMP_MIN = -(2n ** 63n);
export const TIMESTAMP_MAX = 2n ** 63n - 1n;

/** The fields of a request's `data`; what is undefined is left out. */
export type Fields = Readonly<
  Record<string, string | number | bigint | boolean | readonly string[] | undefined>
>;

/** `data` is the JSON text of the payload. */
export const frameText = (id: string, type: string, data: string): string =>
  `{"id":"${id}","type":"${type}","data":${JSON.stringify(data)}}`;

export function objectText(fields: Fields): string {
  const members: string[] = [];
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    members.push(`"${name}":${typeof value === "bigint" ? value : JSON.stringify(value)}`);
  }
  return `{${members.join(",")}}`;
}

/**
 * Checked here as far as it can be: older servers close the connection on a record that they can't use.
 *
 * @throws FluxionError `bad_request` when a name is no text, the time is not one, or there is no data.
 */
export function newRecordText({ collection, document, ts, data }: NewRecord, place: string): string {
  const text = typeof data === "string" ? data : JSON.stringify(data);
  if (text === undefined) {
    throw new FluxionError("bad_request", `${place}.data: expected a string or a JSON value, got nothing`);
  }
  const col = nameText(collection, `${place}.collection`);
  return `{"ts":${timestampText(ts, `${place}.ts`)},"doc":${nameText(document, `${place}.document`)},"data":${JSON.stringify(text)},"col":${col}}`;
}

/** @throws FluxionError `bad_request` when a name is no text or the time is not one. */
export function recordKeyText({ collection, document, ts }: RecordKey, place: string): string {
  const col = nameText(collection, `${place}.collection`);
  return `{"ts":${timestampText(ts, `${place}.ts`)},"doc":${nameText(document, `${place}.document`)},"col":${col}}`;
}

/** @throws FluxionError `bad_request` when it is not an integer, or a number that has lost digits. */
export function checkTimestamp(ts: Timestamp, place: string): Timestamp {
  if (typeof ts === "bigint" ? ts >= TIMESTAMP_MIN && ts <= TIMESTAMP_MAX : Number.isSafeInteger(ts))
    return ts;
  const hint = Number.isInteger(ts) && typeof ts === "number" ? ": beyond 2^53 it has to be a bigint" : "";
  throw new FluxionError("bad_request", `${place}: expected a 64-bit integer, got ${String(ts)}${hint}`);
}

function timestampText(ts: Timestamp, place: string): string {
  // -0 is an integer too, and its text is 0.
  return String(checkTimestamp(ts, place));
}

function nameText(name: string, place: string): string {
  if (typeof name === "string" && name !== "") return JSON.stringify(name);
  throw new FluxionError("bad_request", `${place}: expected a non-empty string, got ${JSON.stringify(name)}`);
}
