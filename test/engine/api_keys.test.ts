import { describe, expect, test } from "bun:test";
import { ApiKeys } from "../../src/engine/api_keys.ts";
import { KeySeal } from "../../src/engine/key_seal.ts";
import type { DatabaseError } from "../../src/protocol/errors.ts";
import { API_KEY_LENGTH_MAX, API_KEYS_MAX } from "../../src/protocol/limits.ts";
import type { ApiKeyStorage, StoredApiKey } from "../../src/storage/storage.ts";

const MASTER = { key: "master", scope: "read_write_delete", deletable: false } as const;

/** Keeps rows in a map, and takes a turn of the event loop for it, as a disk would. */
class StoredRows implements ApiKeyStorage {
  readonly rows = new Map<string, StoredApiKey>();
  failure: Error | undefined;

  async putApiKey(key: StoredApiKey): Promise<void> {
    await Bun.sleep(0);
    if (this.failure !== undefined) throw this.failure;
    this.rows.set(key.digest.toString(), key);
  }

  async deleteApiKey(digest: Uint8Array): Promise<void> {
    await Bun.sleep(0);
    if (this.failure !== undefined) throw this.failure;
    this.rows.delete(digest.toString());
  }

  open(secretKey: string): ApiKeys {
    return new ApiKeys({ secretKey, stored: [...this.rows.values()], storage: this });
  }
}

const inMemory = (): ApiKeys => new ApiKeys({ secretKey: "master", stored: [] });

function errorOf(action: () => unknown): Partial<DatabaseError> {
  try {
    action();
  } catch (error) {
    const { code, message } = error as DatabaseError;
    return { code, message };
  }
  throw new Error("No error was thrown");
}

describe("authenticate()", () => {
  test("knows the secret key as the master key", () => {
    expect(inMemory().authenticate("master")).toEqual({
      scope: "read_write_delete",
      limits: undefined,
      isMaster: true,
    });
  });

  test("refuses what is not exactly a key", () => {
    for (const key of ["", "Master", "master ", "mäster", "x".repeat(API_KEY_LENGTH_MAX + 1)]) {
      expect(inMemory().authenticate(key)).toBeUndefined();
    }
  });

  test("knows a key of any Unicode text as it was added", () => {
    const keys = inMemory();
    keys.add("schlüssel 🔑\u0000", "readonly");
    expect(keys.authenticate("schlüssel 🔑\u0000")).toEqual({
      scope: "readonly",
      limits: undefined,
      isMaster: false,
    });
  });
});

describe("add()", () => {
  test("is done when it returns, without a storage", () => {
    const keys = inMemory();
    expect(keys.add("a", "read_write")).toBeUndefined();
    expect(keys.authenticate("a")?.scope).toBe("read_write");
  });

  test("changes the scope of those that are connected with the key", () => {
    const keys = inMemory();
    keys.add("a", "read_write");
    const connected = keys.authenticate("a");
    keys.add("a", "readonly");
    expect(connected?.scope).toBe("readonly");
    expect(keys.authenticate("a")).toBe(connected);
  });

  test("refuses the master key, a key that is too long, and one too many", () => {
    const keys = inMemory();
    expect(errorOf(() => keys.add("master", "readonly"))).toEqual({
      code: "key_refused",
      message: "the master key's scope cannot be changed",
    });
    expect(errorOf(() => keys.add("x".repeat(API_KEY_LENGTH_MAX + 1), "readonly"))).toEqual({
      code: "too_large",
      message: `keys.key: expected at most ${API_KEY_LENGTH_MAX} characters, got ${API_KEY_LENGTH_MAX + 1}`,
    });
    for (let index = 0; index < API_KEYS_MAX; index++) keys.add(`key ${index}`, "readonly");
    expect(errorOf(() => keys.add("one more", "readonly")).code).toBe("limit_reached");
    keys.add("key 0", "read_write");
    expect(keys.authenticate("key 0")?.scope).toBe("read_write");
  });

  test("counts once it is stored", async () => {
    const rows = new StoredRows();
    const keys = rows.open("master");
    const added = keys.add("a", "readonly");
    expect(keys.authenticate("a")).toBeUndefined();
    await added;
    expect(keys.authenticate("a")?.scope).toBe("readonly");
    expect(rows.rows.size).toBe(1);
  });

  test("leaves everything as it was when the disk fails", async () => {
    const rows = new StoredRows();
    const keys = rows.open("master");
    await keys.add("a", "readonly");
    rows.failure = new Error("disk full");
    await expect(keys.add("a", "read_write")).rejects.toMatchObject({
      code: "storage_failed",
      message: "Cannot add the API key: disk full",
      cause: rows.failure,
    });
    await expect(keys.add("b", "read_write")).rejects.toThrow("disk full");
    expect(keys.authenticate("a")?.scope).toBe("readonly");
    expect(keys.authenticate("b")).toBeUndefined();
    rows.failure = undefined;
    await keys.add("b", "read_write");
    expect(keys.authenticate("b")?.scope).toBe("read_write");
  });
});

describe("remove()", () => {
  test("gives back what the key's connections hold", () => {
    const keys = inMemory();
    keys.add("a", "readonly");
    const connected = keys.authenticate("a");
    expect(keys.remove("a")).toBe(connected as NonNullable<typeof connected>);
    expect(keys.authenticate("a")).toBeUndefined();
  });

  test("refuses the master key and an unknown one", () => {
    const keys = inMemory();
    expect(errorOf(() => keys.remove("master"))).toEqual({
      code: "key_refused",
      message: "api key cannot be removed",
    });
    expect(errorOf(() => keys.remove("a"))).toEqual({ code: "key_refused", message: "api key not found" });
  });

  test("sees the outcome of what was asked for before it", async () => {
    const rows = new StoredRows();
    const keys = rows.open("master");
    const [, removed, again] = await Promise.allSettled([
      keys.add("a", "readonly"),
      keys.remove("a"),
      keys.remove("a"),
    ]);
    expect(removed.status).toBe("fulfilled");
    expect(again).toMatchObject({ status: "rejected", reason: { message: "api key not found" } });
    expect(rows.rows.size).toBe(0);
  });
});

describe("list()", () => {
  test("is sorted by code unit and holds the master key", () => {
    const keys = inMemory();
    for (const key of ["z", "ä", "B", "n"]) keys.add(key, "readonly");
    expect(keys.list().map(({ key }) => key)).toEqual(["B", "master", "n", "z", "ä"]);
    expect(keys.list()[1]).toEqual(MASTER);
  });

  test("shows the same keys after a restart", async () => {
    const rows = new StoredRows();
    const keys = rows.open("master");
    await keys.add("a", "readonly");
    await keys.add("b 🔑", "read_write");
    await keys.add("a", "read_write");
    const again = rows.open("master");
    expect(again.list()).toEqual(keys.list());
    expect(again.authenticate("a")).toEqual({ scope: "read_write", limits: undefined, isMaster: false });
  });

  test("shows fingerprints after a change of the secret key, and the keys still authenticate", async () => {
    const rows = new StoredRows();
    await rows.open("master").add("abc", "readonly");
    const keys = rows.open("another");
    expect(keys.authenticate("abc")?.scope).toBe("readonly");
    expect(keys.authenticate("master")).toBeUndefined();
    // The start of SHA-256("abc"), as FIPS 180 prints it.
    expect(keys.list()).toContainEqual({
      key: "sha256:ba7816bf8f01cfea",
      scope: "readonly",
      deletable: true,
    });
    await keys.remove("abc");
    expect(rows.rows.size).toBe(0);
  });

  test("shows a stored key that has become the secret key as the master key", async () => {
    const rows = new StoredRows();
    await rows.open("first").add("master", "readonly");
    const keys = rows.open("master");
    expect(keys.list()).toEqual([MASTER]);
    expect(keys.authenticate("master")?.isMaster).toBe(true);
  });
});

describe("what is stored", () => {
  test("holds neither the key nor the secret key, and is never the same twice", async () => {
    const rows = new StoredRows();
    const keys = rows.open("a secret key");
    await keys.add("a device's key", "readonly");
    const [first] = rows.rows.values();
    await keys.add("a device's key", "readonly");
    const [second] = rows.rows.values();
    for (const text of ["device", "secret"]) {
      expect(Buffer.from((first as StoredApiKey).sealed).includes(text)).toBe(false);
    }
    expect(second?.sealed).not.toEqual(first?.sealed);
  });

  test("opens only as a whole and in its own row", () => {
    const seal = new KeySeal("secret");
    const digest = Uint8Array.of(1, 2, 3);
    const sealed = seal.seal({ text: "key", digest });
    expect(seal.open({ sealed, digest })).toBe("key");
    expect(seal.open({ sealed, digest: Uint8Array.of(1, 2, 4) })).toBeUndefined();
    expect(seal.open({ sealed: new Uint8Array(), digest })).toBeUndefined();
    for (let at = 0; at < sealed.length; at++) {
      const damaged = Uint8Array.from(sealed);
      damaged[at] = (damaged[at] as number) ^ 1;
      expect(seal.open({ sealed: damaged, digest })).toBeUndefined();
      expect(seal.open({ sealed: sealed.subarray(0, at), digest })).toBeUndefined();
    }
  });
});
