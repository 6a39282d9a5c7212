/**
 * What goes into the client and comes out of it, as plain data.
 */

/**
 * A signed 64-bit integer in a unit that is the user's own.
 *
 * Both forms are taken. A time comes back as a number where that is exact (up to 2^53 − 1 either way: seconds,
 * milliseconds and microseconds of our age), and as a bigint beyond (nanoseconds), so `typeof` tells them apart.
 */
export type Timestamp = number | bigint;

export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue };

export type DataRecord = { readonly ts: Timestamp; readonly data: string };

export type RecordKey = { readonly collection: string; readonly document: string; readonly ts: Timestamp };

/** `data`: a string is stored as it is, any other JSON value as its compact text. */
export type NewRecord = RecordKey & { readonly data: JsonValue };

/** Text that a record's data must contain, or must not; a literal, or `/pattern/flags`. */
export type Predicates = { readonly where?: string; readonly filter?: string };

export type LatestQuery = Predicates & {
  /** The latest record at or before this; without it, the latest of all. */
  readonly at?: Timestamp;
  /** A name, or a `/pattern/`; without it, all documents. */
  readonly document?: string;
  /** Leaves out documents whose latest record is older. */
  readonly from?: Timestamp;
};

export type HistoryQuery = Predicates & {
  /** Both ends are included; without them there is no bound. */
  readonly from?: Timestamp;
  readonly to?: Timestamp;
  /** At most so many, the oldest of them, or the newest with `reverse`. */
  readonly limit?: number;
  /** Newest first. */
  readonly reverse?: boolean;
};

export type PagedHistoryQuery = HistoryQuery & {
  /** The records of the first page; later ones adapt to pages of about 2 MiB. */
  readonly pageRecords?: number;
};

export type Scope = "readonly" | "read_write" | "read_write_delete";

export type ApiKey = {
  readonly key: string;
  readonly scope: Scope;
  readonly deletable: boolean;
  /** When it stops being good, in milliseconds since 1970; missing for a key that never does. */
  readonly expiresAt?: number;
  /** What it may know of, names and `/patterns/`; missing for a key that may know of all. */
  readonly collections?: readonly string[];
};

/** What a key is held to beside its scope. What is not given stays as it is, and a new key is not limited. */
export type ApiKeyLimits = {
  /** In milliseconds since 1970; `never` lifts it. */
  readonly expiresAt?: number | Date | "never";
  /** Exact names and `/patterns/`; `all` lifts it. */
  readonly collections?: readonly string[] | "all";
};

export type ConnectionInfo = {
  readonly ip: string;
  /** For how many milliseconds it has been connected. */
  readonly since: number;
  readonly name: string | null;
  /** Whether it is the connection that asks. */
  readonly self: boolean;
};

/** `waiting`: for the next attempt to connect. `closed` is final. */
export type ConnectionState = "connecting" | "ready" | "waiting" | "closed";

export type CallOptions = {
  /** Ends the call with `aborted`. What was sent may still be done by the server. */
  readonly signal?: AbortSignal;
  /** Instead of the client's own; 0 waits for ever. */
  readonly timeoutMs?: number;
};
