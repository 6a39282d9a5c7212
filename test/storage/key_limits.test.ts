/**
 * Limits of API keys on the disk: catalogs from before them go on working, and damage is told.
 */
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { join } from "node:path";
import { ApiKeys } from "../../src/engine/api_keys.ts";
import { SqliteStorage } from "../../src/storage/sqlite_storage.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";
import { toFormat } from "./older_catalog.ts";

async function withKeys<Result>(
  directory: string,
  use: (keys: ApiKeys) => Promise<Result> | Result,
  secretKey = "master",
): Promise<Result> {
  const storage = await SqliteStorage.open({ directory, durability: "everysec" });
  try {
    return await use(new ApiKeys({ secretKey, stored: storage.apiKeys(), storage }));
  } finally {
    await storage.close();
  }
}

function inCatalog<Result>(directory: string, use: (database: Database) => Result): Result {
  const database = new Database(join(directory, "catalog.db"), { readwrite: true });
  const result = use(database);
  database.close();
  return result;
}

const formatOf = (directory: string): unknown =>
  inCatalog(directory, (database) => database.query("PRAGMA user_version").get());

test("keys keep their limits over a restart, and over a change of the secret key", async () => {
  using folder = new TemporaryFolder();
  const limits = { expiresAt: 9e12, collections: ["a", "/^b/"] };
  await withKeys(folder.path, async (keys) => {
    await keys.add("limited", "readonly", limits);
    await keys.add("plain", "readonly");
    await keys.add("lifted", "readonly", limits);
    await keys.add("lifted", "readonly", { expiresAt: "never", collections: "all" });
  });
  await withKeys(folder.path, (keys) => {
    expect(keys.list()).toEqual([
      { key: "lifted", scope: "readonly", deletable: true },
      { key: "limited", scope: "readonly", deletable: true, ...limits },
      { key: "master", scope: "read_write_delete", deletable: false },
      { key: "plain", scope: "readonly", deletable: true },
    ]);
  });
  await withKeys(
    folder.path,
    (keys) => {
      const limited = keys.authenticate("limited")?.limits;
      expect(["a", "b1", "c"].map((name) => limited?.mayUse(name))).toEqual([true, true, false]);
      expect(keys.authenticate("plain")?.limits).toBeUndefined();
    },
    "another secret key",
  );
});

test.each([1, 2] as const)(
  "a catalog of format %d is read, and keeps its keys when it is raised",
  async (format) => {
    using folder = new TemporaryFolder();
    await withKeys(folder.path, (keys) => keys.add("old", "read_write"));
    inCatalog(folder.path, (database) => toFormat(database, format));
    await withKeys(folder.path, (keys) => expect(keys.authenticate("old")?.scope).toBe("read_write"));
    expect(formatOf(folder.path)).toEqual({ user_version: format });
    await withKeys(folder.path, (keys) => keys.add("new", "readonly", { collections: ["a"] }));
    expect(formatOf(folder.path)).toEqual({ user_version: 3 });
    await withKeys(folder.path, async (keys) => {
      expect(keys.authenticate("old")).toEqual({ scope: "read_write", limits: undefined, isMaster: false });
      expect(keys.authenticate("new")?.limits?.mayUse("b")).toBe(false);
      await keys.add("old", "readonly");
    });
    await withKeys(folder.path, (keys) => expect(keys.authenticate("old")?.scope).toBe("readonly"));
  },
);

test.each(["NULL", `'{"collections":["b"]}'`])(
  "limits changed to %s on the disk stop the start",
  async (limits) => {
    using folder = new TemporaryFolder();
    await withKeys(folder.path, (keys) => keys.add("limited", "readonly", { collections: ["a"] }));
    inCatalog(folder.path, (database) => database.run(`UPDATE api_keys SET limits = ${limits}`));
    await expect(SqliteStorage.open({ directory: folder.path, durability: "everysec" })).rejects.toThrow(
      /catalog\.db is damaged: API key [0-9a-f]{16} fails its checksum/,
    );
  },
);

test("a catalog of a format to come is refused", async () => {
  using folder = new TemporaryFolder();
  await withKeys(folder.path, () => {});
  inCatalog(folder.path, (database) => database.run("PRAGMA user_version = 4"));
  await expect(SqliteStorage.open({ directory: folder.path, durability: "everysec" })).rejects.toThrow(
    "has format 4, which is newer than this server's 3",
  );
});
