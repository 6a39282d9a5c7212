/**
 * The storage contract: what the engine asks of whatever keeps its data.
 *
 * Three things are kept: the journal (groups of write commands, in order), checkpoints (the state of each collection
 * as of a place in the journal) and API keys. SqliteStorage is the implementation.
 */
import type { Scope } from "../protocol/scope.ts";

/** What `--durability` may be. */
export const DURABILITIES = ["always", "everysec", "interval"] as const;
export type Durability = (typeof DURABILITIES)[number];

/** An API key as it is stored: nothing in it authenticates. */
export type StoredApiKey = {
  /** SHA-256 of the key's UTF-8. */
  readonly digest: Uint8Array;
  readonly scope: Scope;
  /** The key itself, sealed with the master key. */
  readonly sealed: Uint8Array;
};

export type ApiKeyStorage = {
  /** Adds or replaces the key of that digest; resolves when it is durable. */
  putApiKey(key: StoredApiKey): Promise<void>;
  deleteApiKey(digest: Uint8Array): Promise<void>;
};
