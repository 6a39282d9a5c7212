/**
 * catalog.db: API keys, the list of collections, and the journal. Runs in a worker thread of its own.
 *
 *     meta        (id = 1, last_group, collections)           the newest group that was cut off; how many are listed
 *     collections (name)                                      the inside of a JSON string
 *     api_keys    (digest, scope, sealed, checksum, limits)   limits: since format 2
 *     journal     (number, is_packed, checksum, body)         a group each, see engine/journal_entry.ts
 *
 * It is held with SQLite's exclusive lock for as long as the server lives: that is what keeps a second server out,
 * and the system lets go of it whatever becomes of the process. It also spares the shared-memory index of the WAL.
 *
 * A group is one row, packed by zstd: 8 bytes a record reach the disk instead of 110, and SQLite's own cost, which is
 * by the page, falls with them. WAL, because a commit is then one sequential write; `synchronous` FULL makes each of
 * them wait for the disk (`always`), NORMAL leaves that to `sync()`, which runs beside the next commits (`everysec`).
 */
import { Database } from "bun:sqlite";
import { closeSync, fdatasync, openSync } from "node:fs";
import { join } from "node:path";
import { checksumOf } from "./checksum.ts";
import { fileBytes } from "./file_size.ts";
import { damagedFile, explainError } from "./sqlite_error.ts";
import { type Durability, StorageError, type StoredApiKey } from "./storage.ts";

const APPLICATION_ID = 0x466c7578;
/**
 * The newest format. A catalog stays in format 1, and can be used by an older server, until the first API key with
 * limits: a server that does not know of these would let such a key do everything.
 */
const FORMAT_VERSION = 2;
const FORMAT_WITHOUT_LIMITS = 1;
/** Smaller groups are not worth packing. */
const PACKED_BYTES_MIN = 512;
const ZSTD_LEVEL = 1;
const SYNC_MS = 1000;
/** A cut deletes so many rows in one transaction, so that commits get their turn in between. */
const CUT_ROWS = 200;
const GROUPS_BYTES = 4 * 1024 * 1024;
/** At an orderly end, so many free pages are not worth rewriting the file. */
const FREE_PAGES_KEPT = 16;

const SCHEMA = `
  CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 1), last_group INTEGER NOT NULL, collections INTEGER NOT NULL
  ) STRICT;
  INSERT INTO meta VALUES (1, 0, 0);
  CREATE TABLE collections (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
  CREATE TABLE api_keys (
    digest BLOB PRIMARY KEY, scope TEXT NOT NULL, sealed BLOB NOT NULL, checksum INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE journal (
    number INTEGER PRIMARY KEY, is_packed INTEGER NOT NULL, checksum INTEGER NOT NULL, body BLOB NOT NULL
  ) STRICT;
`;

export type CatalogContents = {
  readonly apiKeys: readonly StoredApiKey[];
  readonly collections: readonly string[];
  readonly lastGroup: number;
};

type MetaRow = { last_group: number; collections: number };
type JournalRow = { number: number; is_packed: number; checksum: number; body: Uint8Array };
/** `limits` is missing in format 1. */
type ApiKeyRow = StoredApiKey & { readonly limits?: string | null; readonly checksum: number };

export class Catalog {
  readonly #file: string;
  readonly #durability: Durability;
  readonly #database: Database;
  /** The WAL, to be synced beside SQLite's own use of it. */
  #walHandle: number | undefined;
  #isSynced = true;
  #syncFailure: Error | undefined;
  readonly #shared: Uint8Array[] = [];
  readonly #timer: ReturnType<typeof setInterval> | undefined;

  /** @throws StorageError; one with `isLocked` when another server holds the directory */
  constructor({ directory, durability }: { directory: string; durability: Durability }) {
    this.#file = join(directory, "catalog.db");
    this.#durability = durability;
    this.#database = openDatabase(this.#file);
    this.#database.run(`PRAGMA synchronous = ${durability === "always" ? "FULL" : "NORMAL"}`);
    if (durability !== "everysec") return;
    // Now: once there are clients, they may have taken all the files that the process may open.
    this.#explaining(() => this.#openWal());
    this.#timer = setInterval(() => this.#sync(), SYNC_MS);
  }

  contents(): CatalogContents {
    return this.#explaining(() => {
      const meta = this.#meta();
      const last = this.#database.query("SELECT max(number) AS number FROM journal").get() as {
        number: number | null;
      };
      const names = this.#database.query("SELECT name FROM collections ORDER BY name").all() as {
        name: string;
      }[];
      if (names.length !== meta.collections) {
        throw damagedFile(
          this.#file,
          `it should list ${meta.collections} collections, and lists ${names.length}`,
        );
      }
      return {
        apiKeys: this.#apiKeys(),
        collections: names.map(({ name }) => JSON.parse(`"${name}"`) as string),
        lastGroup: Math.max(meta.last_group, last.number ?? 0),
      };
    });
  }

  /** Writes all of it, the journal too, to a file that is not there yet. */
  copyTo(file: string): void {
    this.#explaining(() => this.#database.query("VACUUM INTO ?").run(file));
  }

  diskBytes(): number {
    return fileBytes(this.#file) + fileBytes(`${this.#file}-wal`);
  }

  /** The groups after a number, a few megabytes of them; none at the end. */
  journalGroups(after: number): { number: number; body: Uint8Array }[] {
    return this.#explaining(() => {
      const groups: { number: number; body: Uint8Array }[] = [];
      let bytes = 0;
      // Numbers have no gaps: a group that is missing is noticed.
      let expected = Math.max(after, this.#meta().last_group) + 1;
      const rows = this.#database
        .query("SELECT * FROM journal WHERE number > ? ORDER BY number")
        .iterate(after);
      for (const each of rows) {
        const row = each as JournalRow;
        if (row.number !== expected++)
          throw damagedFile(this.#file, `group ${expected - 1} of the journal is missing`);
        const body = this.#readGroup(row);
        bytes += body.length;
        groups.push({ number: row.number, body });
        if (bytes > GROUPS_BYTES) break;
      }
      return groups;
    });
  }

  /** Takes memory that `commitShared` will speak of. */
  share(place: number, memory: SharedArrayBuffer): void {
    this.#shared[place] = new Uint8Array(memory);
  }

  commitShared(
    number: number,
    { place, start, length }: { place: number; start: number; length: number },
  ): void {
    const memory = this.#shared[place] as Uint8Array;
    this.commitGroup(number, memory.subarray(start, start + length));
  }

  commitGroup(number: number, body: Uint8Array): void {
    if (this.#syncFailure !== undefined) throw explainError(this.#syncFailure, this.#file);
    const packed =
      body.length < PACKED_BYTES_MIN ? undefined : Bun.zstdCompressSync(body, { level: ZSTD_LEVEL });
    const isPacked = packed !== undefined && packed.length < body.length ? 1 : 0;
    // The body may be shared memory, which SQLite's binding does not take.
    const stored = packed !== undefined && isPacked === 1 ? packed : body.slice();
    this.#explaining(() => {
      this.#database
        .query("INSERT OR REPLACE INTO journal (number, is_packed, checksum, body) VALUES (?, ?, ?, ?)")
        .run(number, isPacked, checksumOf(`${number}:${isPacked}`, stored), stored);
    });
    this.#isSynced = false;
  }

  /** Deletes the oldest groups up to a number, so many at a time; returns whether there are more. */
  cutJournal(upTo: number): boolean {
    return this.#explaining(() =>
      this.#database.transaction(() => {
        const oldest = this.#database
          .query(
            "SELECT max(number) AS last, count(*) AS count FROM (SELECT number FROM journal WHERE number <= ? ORDER BY number LIMIT ?)",
          )
          .get(upTo, CUT_ROWS) as { last: number | null; count: number };
        const isMore = oldest.count === CUT_ROWS;
        const last = isMore && oldest.last !== null ? oldest.last : upTo;
        this.#database.query("DELETE FROM journal WHERE number <= ?").run(last);
        this.#database.query("UPDATE meta SET last_group = max(last_group, ?)").run(last);
        return isMore;
      })(),
    );
  }

  addCollections(names: readonly string[]): void {
    this.#changeList("INSERT OR IGNORE INTO collections VALUES (?)", names);
  }

  removeCollection(name: string): void {
    this.#changeList("DELETE FROM collections WHERE name = ?", [name]);
  }

  putApiKey(key: StoredApiKey): void {
    const { digest, scope, limits, sealed } = key;
    const checksum = checksumOf(describeKey(key), sealed);
    this.#durably(
      this.#database.transaction(() => {
        if (limits !== null) this.#ensureLimits();
        this.#database
          .query("INSERT OR REPLACE INTO api_keys (digest, scope, sealed, checksum) VALUES (?, ?, ?, ?)")
          .run(digest, scope, sealed, checksum);
        if (limits === null) return;
        this.#database.query("UPDATE api_keys SET limits = ? WHERE digest = ?").run(limits, digest);
      }),
    );
  }

  /** Brings the file from format 1 to format 2. */
  #ensureLimits(): void {
    const { user_version } = this.#database.query("PRAGMA user_version").get() as { user_version: number };
    if (user_version !== FORMAT_WITHOUT_LIMITS) return;
    this.#database.run("ALTER TABLE api_keys ADD COLUMN limits TEXT");
    this.#database.run(`PRAGMA user_version = ${FORMAT_VERSION}`);
  }

  deleteApiKey(digest: Uint8Array): void {
    this.#durably(() => this.#database.query("DELETE FROM api_keys WHERE digest = ?").run(digest));
  }

  close(): void {
    clearInterval(this.#timer);
    if (this.#walHandle !== undefined) closeSync(this.#walHandle);
    this.#explaining(() => this.#giveBackSpace());
    this.#database.close();
  }

  /** The file keeps the size of the longest journal it had, which is of use only while the server runs. */
  #giveBackSpace(): void {
    const { freelist_count } = this.#database.query("PRAGMA freelist_count").get() as {
      freelist_count: number;
    };
    if (freelist_count >= FREE_PAGES_KEPT) this.#database.run("VACUUM");
  }

  #meta(): MetaRow {
    const meta = this.#database.query("SELECT last_group, collections FROM meta").get() as MetaRow | null;
    if (meta === null) throw damagedFile(this.#file, "its meta table is empty");
    return meta;
  }

  #changeList(statement: string, names: readonly string[]): void {
    this.#durably(
      this.#database.transaction(() => {
        for (const name of names) this.#database.query(statement).run(escapeText(name));
        this.#database.run("UPDATE meta SET collections = (SELECT count(*) FROM collections)");
      }),
    );
  }

  /** What changes here is rare and must not be lost: it waits for the disk in every mode. */
  #durably(change: () => unknown): void {
    this.#explaining(() => {
      this.#database.run("PRAGMA synchronous = FULL");
      try {
        change();
      } finally {
        if (this.#durability !== "always") this.#database.run("PRAGMA synchronous = NORMAL");
      }
    });
  }

  #sync(): void {
    if (this.#syncFailure !== undefined) this.#recoverFromSyncFailure();
    if (this.#isSynced) return;
    this.#isSynced = true;
    fdatasync(this.#walHandle as number, (error) => {
      if (error) this.#syncFailure = error;
    });
  }

  /** SQLite makes the file with the first write to the database that was opened. */
  #openWal(): void {
    this.#database.run("UPDATE meta SET last_group = last_group");
    this.#walHandle = openSync(`${this.#file}-wal`, "r+");
  }

  /**
   * The system forgets what it could not write once it has said so, and says that all is well the next time. So after
   * a failure everything goes to the disk by another way: out of the WAL into the database, and synced there.
   */
  #recoverFromSyncFailure(): void {
    try {
      this.#durably(() => this.#database.query("PRAGMA wal_checkpoint(TRUNCATE)").get());
      this.#syncFailure = undefined;
    } catch (error) {
      this.#syncFailure = error instanceof Error ? error : new Error(String(error));
    }
  }

  #readGroup({ number, is_packed, checksum, body }: JournalRow): Uint8Array {
    if (checksumOf(`${number}:${is_packed}`, body) !== checksum) {
      throw damagedFile(this.#file, `group ${number} of the journal fails its checksum`);
    }
    return is_packed === 1 ? Bun.zstdDecompressSync(body) : body;
  }

  #apiKeys(): StoredApiKey[] {
    const rows = this.#database.query("SELECT * FROM api_keys").all() as ApiKeyRow[];
    return rows.map(({ digest, scope, limits = null, sealed, checksum }) => {
      const key: StoredApiKey = { digest, scope, limits, sealed };
      if (checksumOf(describeKey(key), sealed) !== checksum) {
        const hex = Buffer.from(digest).toString("hex");
        throw damagedFile(this.#file, `API key ${hex.slice(0, 16)} fails its checksum`);
      }
      return key;
    });
  }

  #explaining<Result>(action: () => Result): Result {
    try {
      return action();
    } catch (error) {
      throw explainError(error, this.#file);
    }
  }
}

function openDatabase(file: string): Database {
  try {
    const database = new Database(file, { create: true, readwrite: true });
    database.run("PRAGMA busy_timeout = 0");
    database.run("PRAGMA locking_mode = EXCLUSIVE");
    const { application_id } = database.query("PRAGMA application_id").get() as { application_id: number };
    const { user_version } = database.query("PRAGMA user_version").get() as { user_version: number };
    const isNew = database.query("SELECT 1 FROM sqlite_schema").get() === null;
    if (!isNew && application_id !== APPLICATION_ID) throw damagedFile(file, "it is no FluxionDB catalog");
    if (user_version > FORMAT_VERSION) throw newerFormat(file, user_version);
    database.run("PRAGMA journal_mode = WAL");
    if (isNew) {
      database.transaction(() => {
        database.run(SCHEMA);
        database.run(`PRAGMA application_id = ${APPLICATION_ID}`);
        database.run(`PRAGMA user_version = ${FORMAT_WITHOUT_LIMITS}`);
      })();
    }
    // Takes the exclusive lock now, not with the first write.
    database.run("BEGIN EXCLUSIVE");
    database.run("COMMIT");
    return database;
  } catch (error) {
    if (error instanceof Error && "code" in error && String(error.code).startsWith("SQLITE_BUSY")) {
      throw new StorageError(LOCKED, { cause: error });
    }
    throw explainError(error, file);
  }
}

/** The message of the error when another process holds the directory; whoever knows its process id says so. */
export const LOCKED = "the data directory is locked";

/** @internal */
export function newerFormat(file: string, version: number): StorageError {
  return new StorageError(
    `${file} has format ${version}, which is newer than this server's ${FORMAT_VERSION}. Use the newer server`,
  );
}

/** What a key's checksum is over, beside the seal. */
function describeKey({ digest, scope, limits }: StoredApiKey): string {
  const described = `${Buffer.from(digest).toString("hex")}:${scope}`;
  return limits === null ? described : `${described}:${limits}`;
}

const escapeText = (text: string): string => JSON.stringify(text).slice(1, -1);
