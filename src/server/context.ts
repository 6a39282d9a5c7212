/**
 * What a message is handled with: the parts of the server that handlers know of.
 */
import type { ApiKeys } from "../engine/api_keys.ts";
import type { Database, IsVisible } from "../engine/database.ts";
import type { InsertBatch } from "../engine/insert_batch.ts";
import type { ServerStatus } from "../protocol/server_status.ts";
import type { Connections } from "./connections.ts";
import type { KeyExpiry } from "./key_expiry.ts";
import type { ServerLog } from "./server_log.ts";

export type Context = {
  readonly database: Database;
  readonly apiKeys: ApiKeys;
  readonly connections: Connections;
  readonly keyExpiry: KeyExpiry;
  /** Reused by every insert. */
  readonly batch: InsertBatch;
  readonly log: ServerLog;
  readonly status: StatusOf;
  readonly nowMs: () => number;
  /** The calendar's clock, in milliseconds since 1970. */
  readonly dateMs: () => number;
};

/** What is known below the network; the counts are of the collections that whoever asks may know of. */
export type StatusOf = (isVisible?: IsVisible) => Promise<Omit<ServerStatus, "connections">>;
