/**
 * Who may connect: the API keys with their scopes, and the master key.
 *
 * Only digests and sealed texts are kept; what was sealed with an earlier secret key still authenticates, but `list`
 * can show no more of it than a fingerprint.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { DatabaseError } from "../protocol/errors.ts";
import { API_KEY_LENGTH_MAX, API_KEYS_MAX } from "../protocol/limits.ts";
import type { Scope } from "../protocol/scope.ts";
import type { ApiKeyStorage, StoredApiKey } from "../storage/storage.ts";
import {
  changeLimits,
  type KeyLimitChange,
  type KeyLimits,
  type KeyLimitValues,
  readLimits,
  writeLimits,
} from "./key_limits.ts";
import { KeySeal } from "./key_seal.ts";

/** What a connection holds: one object a key as long as it is known, so that a new scope and new limits count at once. */
export type ApiKey = { scope: Scope; limits: KeyLimits | undefined; readonly isMaster: boolean };

/** The members of a limit are there where the key has it. */
export type ListedApiKey = KeyLimitValues & {
  readonly key: string;
  readonly scope: Scope;
  readonly deletable: boolean;
};

export type ApiKeysOptions = {
  /** The master key; it also seals the others. */
  readonly secretKey: string;
  readonly stored: readonly StoredApiKey[];
  /** Without, keys are in memory only. */
  readonly storage?: ApiKeyStorage;
};

type Entry = {
  readonly apiKey: ApiKey;
  readonly digest: Uint8Array;
  readonly sealed: Uint8Array;
  /** What `list` shows; opened when it is first asked for. */
  shown?: string;
};

const FINGERPRINT_DIGITS = 16;

export class ApiKeys {
  readonly #seal: KeySeal;
  readonly #storage: ApiKeyStorage | undefined;
  readonly #entries = new Map<string, Entry>();
  /** The last change that was asked for: each waits for the one before, so that their checks see its outcome. */
  #lastChange: Promise<unknown> = Promise.resolve();

  constructor({ secretKey, stored, storage }: ApiKeysOptions) {
    this.#seal = new KeySeal(secretKey);
    this.#storage = storage;
    for (const { digest, scope, limits, sealed } of stored) {
      const apiKey: ApiKey = { scope, limits: readLimits(limits), isMaster: false };
      this.#entries.set(nameOf(digest), { apiKey, digest, sealed });
    }
    // Last, so that it also stands for a stored key that has since become the secret key.
    const digest = digestOf(secretKey);
    const apiKey: ApiKey = { scope: "read_write_delete", limits: undefined, isMaster: true };
    this.#entries.set(nameOf(digest), { apiKey, digest, sealed: new Uint8Array(), shown: secretKey });
  }

  /**
   * The key's entry, also when it has expired. Tells nothing by the time it takes: only digests are compared, which a
   * client cannot steer.
   */
  authenticate(key: string): ApiKey | undefined {
    if (key.length > API_KEY_LENGTH_MAX) return undefined;
    const digest = digestOf(key);
    const entry = this.#entries.get(nameOf(digest));
    return entry !== undefined && timingSafeEqual(entry.digest, digest) ? entry.apiKey : undefined;
  }

  /**
   * Adds a key, or changes its scope and its limits. With a storage it counts once it is durable, which is when the
   * promise resolves.
   *
   * @throws DatabaseError `key_refused` for the master key, `too_large`, `limit_reached`, `storage_failed`
   */
  add(key: string, scope: Scope, change: KeyLimitChange = {}): Promise<void> | undefined {
    const storage = this.#storage;
    if (storage !== undefined) return this.#enqueue(() => this.#addStored(storage, key, scope, change));
    const entry = this.#entryFor(key, scope);
    this.#apply(entry, scope, changeLimits(entry.apiKey.limits, change));
    return undefined;
  }

  /**
   * Removes a key. With a storage it counts until that is durable.
   *
   * @returns what its connections hold, so that they can be closed
   * @throws DatabaseError `key_refused` for an unknown key and for the master key, `storage_failed`
   */
  remove(key: string): ApiKey | Promise<ApiKey> {
    const storage = this.#storage;
    if (storage !== undefined) return this.#enqueue(() => this.#removeStored(storage, key));
    const { apiKey, digest } = this.#removable(key);
    this.#entries.delete(nameOf(digest));
    return apiKey;
  }

  /** All keys, the master key among them, sorted by code unit. */
  list(): ListedApiKey[] {
    const keys = [...this.#entries.values()].map((entry): ListedApiKey => {
      const { scope, limits, isMaster } = entry.apiKey;
      return { key: this.#show(entry), scope, deletable: !isMaster, ...shownLimits(limits) };
    });
    return keys.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  #enqueue<Result>(change: () => Promise<Result>): Promise<Result> {
    const changed = this.#lastChange.then(change);
    this.#lastChange = changed.catch(() => {});
    return changed;
  }

  async #addStored(storage: ApiKeyStorage, key: string, scope: Scope, change: KeyLimitChange): Promise<void> {
    const entry = this.#entryFor(key, scope);
    const limits = changeLimits(entry.apiKey.limits, change);
    const { digest, sealed } = entry;
    await persist(storage.putApiKey({ digest, scope, limits: writeLimits(limits), sealed }), "add");
    this.#apply(entry, scope, limits);
  }

  async #removeStored(storage: ApiKeyStorage, key: string): Promise<ApiKey> {
    const { apiKey, digest } = this.#removable(key);
    await persist(storage.deleteApiKey(digest), "remove");
    this.#entries.delete(nameOf(digest));
    return apiKey;
  }

  /** A key's entry, sealed with the secret key of today, not added yet; its scope and limits are still the earlier ones, if any. */
  #entryFor(key: string, scope: Scope): Entry {
    if (key.length > API_KEY_LENGTH_MAX) {
      const problem = `expected at most ${API_KEY_LENGTH_MAX} characters, got ${key.length}`;
      throw new DatabaseError("too_large", `keys.key: ${problem}`);
    }
    const digest = digestOf(key);
    const known = this.#entries.get(nameOf(digest));
    if (known?.apiKey.isMaster) throw refused("the master key's scope cannot be changed");
    if (known === undefined && this.#entries.size > API_KEYS_MAX) {
      throw new DatabaseError("limit_reached", `Cannot add an API key: there are ${API_KEYS_MAX} already`);
    }
    const apiKey = known?.apiKey ?? { scope, limits: undefined, isMaster: false };
    return { apiKey, digest, sealed: this.#seal.seal({ text: key, digest }), shown: key };
  }

  #apply(entry: Entry, scope: Scope, limits: KeyLimits | undefined): void {
    entry.apiKey.scope = scope;
    entry.apiKey.limits = limits;
    this.#entries.set(nameOf(entry.digest), entry);
  }

  #removable(key: string): Entry {
    const entry = this.#entries.get(nameOf(digestOf(key)));
    if (entry === undefined) throw refused("api key not found");
    if (entry.apiKey.isMaster) throw refused("api key cannot be removed");
    return entry;
  }

  #show(entry: Entry): string {
    entry.shown ??= this.#seal.open(entry) ?? fingerprintOf(entry.digest);
    return entry.shown;
  }
}

function digestOf(key: string): Buffer {
  return createHash("sha256").update(key, "utf8").digest();
}

/** A digest as a map's key. */
const nameOf = (digest: Uint8Array): string => Buffer.from(digest).toString("latin1");

const fingerprintOf = (digest: Uint8Array): string =>
  `sha256:${Buffer.from(digest).toString("hex").slice(0, FINGERPRINT_DIGITS)}`;

/** What stands for a key where it must not be shown. */
export const fingerprintOfKey = (key: string): string => fingerprintOf(digestOf(key));

/** As clients see them: only those that there are. */
export function shownLimits(limits: KeyLimits | undefined): KeyLimitValues {
  const { expiresAt, collections } = limits ?? {};
  return { ...(expiresAt !== undefined && { expiresAt }), ...(collections && { collections }) };
}

/** These texts are known to clients. */
const refused = (text: string): DatabaseError => new DatabaseError("key_refused", text);

async function persist(written: Promise<void>, action: "add" | "remove"): Promise<void> {
  try {
    await written;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DatabaseError("storage_failed", `Cannot ${action} the API key: ${reason}`, { cause });
  }
}
