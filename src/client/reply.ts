/**
 * Reads replies. Times beyond 2^53 keep their digits, in every JavaScript engine.
 *
 * JSON.parse rounds such numbers. Where it did, the text is read once more with those times in quotes; most replies
 * have none and are read once.
 */
import { serverError } from "./fluxion_error.ts";
import type { DataRecord, Timestamp } from "./types.ts";

export type Reply = { readonly text: string; readonly body: Readonly<Record<string, unknown>> };

type RawRecord = { readonly ts: number | string; readonly data: string };

/**
 * A member `ts` with 16 digits or more. Its name cannot be met inside a string, where a quote has a backslash before
 * it; the end of a longer name (`"x\"ts":`) can, but no reply has a number behind one.
 */
const LONG_TIMESTAMP = /"ts":(-?[0-9]{16,})/g;

/** @throws FluxionError when the reply is an error. */
export function checkReply({ body }: Reply): void {
  if (typeof body.error === "string") throw serverError(body.error, body.code);
}

export function readRecords({ text, body }: Reply): DataRecord[] {
  const records = body.records as RawRecord[];
  if (records.every(isExact)) return records as DataRecord[];
  return (reparse(text).records as RawRecord[]).map(exactRecord);
}

export function readRecordsByDocument({ text, body }: Reply): Map<string, DataRecord> {
  const records = body.records as Record<string, RawRecord>;
  if (Object.values(records).every(isExact))
    return new Map(Object.entries(records as Record<string, DataRecord>));
  const exact = reparse(text).records as Record<string, RawRecord>;
  return new Map(Object.entries(exact).map(([document, record]) => [document, exactRecord(record)]));
}

const isExact = ({ ts }: RawRecord): boolean => Number.isSafeInteger(ts);

const reparse = (text: string): Record<string, unknown> =>
  JSON.parse(text.replace(LONG_TIMESTAMP, '"ts":"$1"'));

const exactRecord = ({ ts, data }: RawRecord): DataRecord => ({ ts: exactTimestamp(ts), data });

function exactTimestamp(ts: number | string): Timestamp {
  if (typeof ts === "number") return ts;
  const rounded = Number(ts);
  return Number.isSafeInteger(rounded) ? rounded : BigInt(ts);
}
