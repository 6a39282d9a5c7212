/**
 * The limits among the options of `serve`: a row each. A limit without a row does not compile.
 */
import { ADJUSTABLE_LIMITS, type AdjustableLimits } from "../protocol/adjustable_limits.ts";
import { NAME_LENGTH_MAX, PATTERN_LENGTH_MAX } from "../protocol/limits.ts";
import { describeSize, integerIn, type Range, sizeIn, type ValueReader } from "./option_value.ts";

type LimitOption = {
  readonly flags: string;
  readonly description: string;
  readonly read: ValueReader<number>;
  /** The default, as it is typed. */
  readonly fallback: string;
};

type Row = Omit<LimitOption, "fallback"> & { readonly show: (value: number) => string };

const MANY = { min: 1, max: 1_000_000_000 };
const FRAME_BYTES = { min: 2 ** 10, max: 2 ** 28 };
/** Bun takes a text up to 2 GiB; half of that leaves room for what waits before it. */
const REPLY_BYTES = { min: 2 ** 10, max: 2 ** 30 };

const count = (name: string, description: string, range: Range = MANY): Row => ({
  flags: `--${name} <number>`,
  description,
  read: integerIn(range),
  show: String,
});
const size = (name: string, description: string, range: Range): Row => ({
  flags: `--${name} <size>`,
  description,
  read: sizeIn(range),
  show: describeSize,
});

const ROWS: { readonly [Name in keyof AdjustableLimits]: Row } = {
  connectionsMax: count("max-connections", "most connections"),
  connectionsPerKeyMax: count("max-connections-per-key", "most connections with one API key"),
  connectionsPerSecondMax: count(
    "max-connection-rate",
    "most new connections a second from one address; ten seconds' worth may come at once",
  ),
  frameBytesMax: size("max-frame", "largest frame taken", FRAME_BYTES),
  replyBytesMax: size("max-reply", "largest reply sent", REPLY_BYTES),
  requestsInFlightMax: count(
    "max-in-flight",
    "most requests of a connection that wait for the disk; beyond it, it is not read from",
  ),
  frameRecordsMax: count("max-records", "most records in a frame"),
  recordBytesMax: size("max-record", "largest record or value", { min: 64, max: FRAME_BYTES.max }),
  nameLengthMax: count("max-name", "most characters of a new collection, document or key", {
    min: 1,
    max: NAME_LENGTH_MAX,
  }),
  patternLengthMax: count("max-pattern", "most characters of a pattern", { min: 1, max: PATTERN_LENGTH_MAX }),
  collectionsMax: count("max-collections", "most collections"),
  documentsMax: count("max-documents", "most documents in all collections"),
  keyValuesMax: count("max-values", "most key-values in a collection"),
};

export const LIMIT_OPTIONS: ReadonlyMap<keyof AdjustableLimits, LimitOption> = new Map(
  (Object.keys(ROWS) as (keyof AdjustableLimits)[]).map((name) => {
    const { show, ...row } = ROWS[name];
    return [name, { ...row, fallback: show(ADJUSTABLE_LIMITS[name]) }];
  }),
);
