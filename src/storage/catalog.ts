/**
 * catalog.db: API keys and the list of collections. Runs in a worker thread of its own.
 *
 *     meta        (id = 1, last_group, collections)           the newest group that was cut off; how many are listed
 *     collections (name)                                      the inside of a JSON string
 *     api_keys    (digest, scope, sealed, checksum, limits)   limits: see engine/key_limits.ts
 *
 * It is held with SQLite's exclusive lock for as long as the server lives: that is what keeps a second server out,
 * and the system lets go of it whatever becomes of the process. It also spares the shared-memory index of the WAL.
 *
 * What changes here is rare and must not be lost: it waits for the disk in every mode.
 *
 * In format 1 it held the journal, too. That is read, and goes with the first checkpoint:
 *
 *     journal     (number, is_packed, checksum, body)         a group each, see engine/journal_entry.ts; packed by zstd
 */
import { Database } from "bun:sqlite";
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { checksumOf } from "./checksum.ts";
import { sqliteProblems } from "./collection_check.ts";
import { COLLECTIONS_FOLDER } from "./file_name.ts";
import { fileBytes } from "./file_size.ts";
import { JOURNAL_FOLDER } from "./journal_segment.ts";
import { damagedFile, explainError } from "./sqlite_error.ts";
import { type JournalGroup, NewerFormatError, StorageError, type StoredApiKey } from "./storage.ts";

/** @internal */
export const APPLICATION_ID = 0x466c7578;
/**
 * 1: with the journal; 2: without; 3: with limits of API keys, which a server that does not know of them would let do
 * everything. An older file is read as it is, and raised by the first write.
 *
 * @internal
 */
export const FORMAT_VERSION = 3;
/** A cut deletes so many rows in one transaction, so that changes of keys get their turn in between. */
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
    digest BLOB PRIMARY KEY, scope TEXT NOT NULL, sealed BLOB NOT NULL, checksum INTEGER NOT NULL, limits TEXT
  ) STRICT, WITHOUT ROWID;
`;

export type CatalogContents = {
  readonly apiKeys: readonly StoredApiKey[];
  readonly collections: readonly string[];
  /** The newest group that was cut off, or is in the journal of format 1. */
  readonly lastGroup: number;
  readonly isOldFormat: boolean;
};

type MetaRow = { last_group: number; collections: number };
type JournalRow = { number: number; is_packed: number; checksum: number; body: Uint8Array };
/** `limits` is missing in formats before 3. */
type ApiKeyRow = StoredApiKey & { readonly limits?: string | null; readonly checksum: number };

export class Catalog {
  readonly #file: string;
  readonly #database: Database;

  /** @throws StorageError; one with `isLocked` when another server holds the directory */
  constructor({ directory }: { directory: string }) {
    this.#file = join(directory, "catalog.db");
    this.#explaining(() => refuseIfEmptied(this.#file));
    this.#database = openDatabase(this.#file);
    this.#database.run("PRAGMA synchronous = FULL");
  }

  contents(): CatalogContents {
    return this.#explaining(() => {
      const meta = this.#meta();
      const last = this.#hasJournal()
        ? (this.#database.query("SELECT max(number) AS number FROM journal").get() as {
            number: number | null;
          })
        : { number: null };
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
        collections: names.map(({ name }) => this.#unescapeName(name)),
        lastGroup: Math.max(meta.last_group, last.number ?? 0),
        isOldFormat: formatOf(this.#database) < FORMAT_VERSION,
      };
    });
  }

  /** What SQLite says is wrong with the file. */
  problems(): string[] {
    return this.#explaining(() => sqliteProblems(this.#database, this.#file));
  }

  /** Writes all of it to a file that is not there yet. */
  copyTo(file: string): void {
    this.#explaining(() => this.#database.query("VACUUM INTO ?").run(file));
  }

  /** The groups after a number that format 1 has, a few megabytes of them; none at the end. */
  journalGroups(after: number): JournalGroup[] {
    return this.#explaining(() => {
      const groups: JournalGroup[] = [];
      if (!this.#hasJournal()) return groups;
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
        groups.push({ number: row.number, body, isAlone: true });
        if (bytes > GROUPS_BYTES) break;
      }
      return groups;
    });
  }

  /** Before anything is written that a server of an older format would not see, such as a journal in files. */
  raiseFormat(): void {
    this.#explaining(
      this.#database.transaction(() => {
        if (formatOf(this.#database) >= FORMAT_VERSION) return;
        this.#database.run("ALTER TABLE api_keys ADD COLUMN limits TEXT");
        this.#database.run(`PRAGMA user_version = ${FORMAT_VERSION}`);
      }),
    );
  }

  /** Notes that groups up to a number are of no use any more; returns whether it is to be called again. */
  cutJournal(upTo: number): boolean {
    return this.#explaining(() => {
      if (this.#hasJournal()) return this.#cutOldJournal(upTo);
      if (upTo > this.#meta().last_group) this.#database.query("UPDATE meta SET last_group = ?").run(upTo);
      return false;
    });
  }

  /** Deletes the oldest groups up to a number, so many at a time, and the table after the last one. */
  #cutOldJournal(upTo: number): boolean {
    const database = this.#database;
    return database.transaction(() => {
      const oldest = database
        .query(
          "SELECT max(number) AS last, count(*) AS count FROM (SELECT number FROM journal WHERE number <= ? ORDER BY number LIMIT ?)",
        )
        .get(upTo, CUT_ROWS) as { last: number | null; count: number };
      const isMore = oldest.count === CUT_ROWS;
      const last = isMore && oldest.last !== null ? oldest.last : upTo;
      database.query("DELETE FROM journal WHERE number <= ?").run(last);
      database.query("UPDATE meta SET last_group = max(last_group, ?)").run(last);
      if (database.query("SELECT 1 FROM journal LIMIT 1").get() === null) {
        database.run("DROP TABLE journal");
        this.raiseFormat();
        return false;
      }
      return isMore;
    })();
  }

  #hasJournal(): boolean {
    return this.#database.query("SELECT 1 FROM sqlite_schema WHERE name = 'journal'").get() !== null;
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
    this.#explaining(
      this.#database.transaction(() => {
        this.raiseFormat();
        this.#database
          .query(
            "INSERT OR REPLACE INTO api_keys (digest, scope, sealed, checksum, limits) VALUES (?, ?, ?, ?, ?)",
          )
          .run(digest, scope, sealed, checksum, limits);
      }),
    );
  }

  deleteApiKey(digest: Uint8Array): void {
    this.#explaining(() => this.#database.query("DELETE FROM api_keys WHERE digest = ?").run(digest));
  }

  close(): void {
    try {
      this.#giveBackSpace();
    } catch {
      // It takes room for a while, which there may not be; the file stays as large as it is, and as good.
    }
    this.#database.close();
  }

  /** What the journal of format 1 took, or keys that are gone. */
  #giveBackSpace(): void {
    const { freelist_count } = this.#database.query("PRAGMA freelist_count").get() as {
      freelist_count: number;
    };
    if (freelist_count >= FREE_PAGES_KEPT) this.#database.run("VACUUM");
  }

  #unescapeName(name: string): string {
    try {
      return unescapeText(name);
    } catch {
      throw damagedFile(this.#file, `it lists a collection whose name cannot be read: ${name}`);
    }
  }

  #meta(): MetaRow {
    const meta = this.#database.query("SELECT last_group, collections FROM meta").get() as MetaRow | null;
    if (meta === null) throw damagedFile(this.#file, "its meta table is empty");
    return meta;
  }

  #changeList(statement: string, names: readonly string[]): void {
    this.#explaining(
      this.#database.transaction(() => {
        for (const name of names) this.#database.query(statement).run(escapeText(name));
        this.#database.run("UPDATE meta SET collections = (SELECT count(*) FROM collections)");
      }),
    );
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

/** To SQLite an empty file is a new database, and what is beside it nobody's. */
function refuseIfEmptied(file: string): void {
  if (fileBytes(file) > 0) return;
  const hasFiles = (folder: string, suffix: string): boolean => {
    const path = join(dirname(file), folder);
    return existsSync(path) && readdirSync(path).some((name) => name.endsWith(suffix));
  };
  const hasData = hasFiles(COLLECTIONS_FOLDER, ".db") || hasFiles(JOURNAL_FOLDER, ".log");
  if (!hasData && fileBytes(`${file}-wal`) === 0) return;
  throw damagedFile(file, existsSync(file) ? "it is empty" : "it is missing");
}

function openDatabase(file: string): Database {
  try {
    const database = new Database(file, { create: true, readwrite: true });
    database.run("PRAGMA busy_timeout = 0");
    database.run("PRAGMA locking_mode = EXCLUSIVE");
    const { application_id } = database.query("PRAGMA application_id").get() as { application_id: number };
    const version = formatOf(database);
    const isNew = database.query("SELECT 1 FROM sqlite_schema").get() === null;
    if (!isNew && application_id !== APPLICATION_ID) throw damagedFile(file, "it is no FluxionDB catalog");
    if (version > FORMAT_VERSION) throw newerFormat(file, version);
    database.run("PRAGMA journal_mode = WAL");
    if (isNew) {
      database.transaction(() => {
        database.run(SCHEMA);
        database.run(`PRAGMA application_id = ${APPLICATION_ID}`);
        database.run(`PRAGMA user_version = ${FORMAT_VERSION}`);
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

function formatOf(database: Database): number {
  return (database.query("PRAGMA user_version").get() as { user_version: number }).user_version;
}

/** The message of the error when another process holds the directory; whoever knows its process id says so. */
export const LOCKED = "the data directory is locked";

/** @internal */
export function newerFormat(file: string, version: number): NewerFormatError {
  return new NewerFormatError(
    `${file} has format ${version}, which is newer than this server's ${FORMAT_VERSION}. Use the newer server`,
  );
}

/**
 * What a key's checksum is over, beside the seal.
 *
 * @internal
 */
export function describeKey({ digest, scope, limits }: StoredApiKey): string {
  const described = `${Buffer.from(digest).toString("hex")}:${scope}`;
  return limits === null ? described : `${described}:${limits}`;
}

const escapeText = (text: string): string => JSON.stringify(text).slice(1, -1);

/** @internal @throws SyntaxError */
export const unescapeText = (text: string): string => JSON.parse(`"${text}"`) as string;
