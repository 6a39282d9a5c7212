/**
 * The tables of a collection's database, whose meaning collection_file.ts tells, and how a file is known to be one.
 */
import type { Database } from "bun:sqlite";
import { damagedFile } from "./sqlite_error.ts";
import { NewerFormatError, StorageError } from "./storage.ts";

const APPLICATION_ID = 0x466c7543;
const FORMAT_VERSION = 3;
/** Its chunks are all packed whole, as some still are: see the engine's chunk_codec.ts. */
const OLDEST_FORMAT_VERSION = 2;
/** Holds five packed chunks of 256 sensor readings with little waste, and still makes a small collection a small file. */
const PAGE_BYTES = 8192;

const SCHEMA = `
  CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 1), name TEXT NOT NULL, journal_position INTEGER NOT NULL,
    documents INTEGER NOT NULL, chunks INTEGER NOT NULL, records INTEGER NOT NULL, key_values INTEGER NOT NULL,
    checksum INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE documents (id INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum INTEGER NOT NULL) STRICT;
  CREATE TABLE chunks (
    id INTEGER PRIMARY KEY, document INTEGER NOT NULL, count INTEGER NOT NULL, first_ts INTEGER NOT NULL,
    last_ts INTEGER NOT NULL, bytes INTEGER NOT NULL, body_checksum INTEGER NOT NULL, checksum INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE bodies (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
  CREATE TABLE growing (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
  CREATE TABLE key_values (key TEXT PRIMARY KEY, value TEXT NOT NULL, checksum INTEGER NOT NULL) STRICT, WITHOUT ROWID;
`;

/** Before anything is written to a new file. */
export function setPageSize(database: Database): void {
  database.run(`PRAGMA page_size = ${PAGE_BYTES}`);
}

export function makeTables(database: Database): void {
  database.run(SCHEMA);
  database.run(`PRAGMA application_id = ${APPLICATION_ID}`);
  database.run(`PRAGMA user_version = ${FORMAT_VERSION}`);
}

/** @throws StorageError when it is no collection's, or of another format */
export function checkFormat(database: Database, file: string): void {
  const { application_id } = database.query("PRAGMA application_id").get() as { application_id: number };
  const version = formatOf(database);
  if (application_id !== APPLICATION_ID) throw damagedFile(file, "it is no FluxionDB collection");
  if (version > FORMAT_VERSION) {
    throw new NewerFormatError(
      `${file} has format ${version}, newer than this server's. Use the newer server`,
    );
  }
  if (version >= OLDEST_FORMAT_VERSION) return;
  throw new StorageError(
    `${file} has format ${version}, from before the first release. Start with an empty directory`,
  );
}

/** Before anything is written to a file that a server of an older format would not understand. */
export function raiseFormat(database: Database): void {
  if (formatOf(database) < FORMAT_VERSION) database.run(`PRAGMA user_version = ${FORMAT_VERSION}`);
}

function formatOf(database: Database): number {
  return (database.query("PRAGMA user_version").get() as { user_version: number }).user_version;
}
