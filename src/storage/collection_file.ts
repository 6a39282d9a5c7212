/**
 * One collection's database, collections/NAME.db. Runs in a worker thread.
 *
 *     meta       (id = 1, name, journal_position, documents, chunks, records, key_values, checksum)
 *     documents  (id, name, checksum)
 *     chunks     (id, document, first_ts, last_ts, count, checksum, body)   body: see engine/chunk_codec.ts
 *     key_values (key, value, checksum)
 *
 * Names, keys and values are the insides of JSON strings, since SQLite's text cannot hold half a surrogate pair. The
 * counts in `meta` are what a start adds up to, so that a missing row is noticed as well as a wrong one.
 *
 * A checkpoint is one transaction. WAL keeps readers and the old state undisturbed until it commits; `synchronous`
 * FULL, because the journal is cut on the strength of it. Pages of 8 KiB hold five packed chunks of 256 sensor
 * readings with little waste, and still make a small collection a small file. A file is open only while it is read
 * or written, so thousands of collections are not thousands of open files.
 */
import { Database } from "bun:sqlite";
import { checksumOf } from "./checksum.ts";
import { damagedFile, explainError } from "./sqlite_error.ts";
import {
  CHUNK_BODY_BYTES,
  CHUNK_COLUMNS,
  CHUNK_COUNT,
  CHUNK_DOCUMENT,
  CHUNK_FIRST_HIGH,
  CHUNK_FIRST_LOW,
  CHUNK_ID,
  CHUNK_IS_PACKED,
  CHUNK_LAST_HIGH,
  CHUNK_LAST_LOW,
  type CheckpointPortion,
  type ChunkRows,
  type CollectionCounts,
  type DocumentRow,
  StorageError,
  type ValueRow,
} from "./storage.ts";

const APPLICATION_ID = 0x466c7543;
const FORMAT_VERSION = 1;
const PAGE_BYTES = 8192;
const ZSTD_LEVEL = 1;

const SCHEMA = `
  CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 1), name TEXT NOT NULL, journal_position INTEGER NOT NULL,
    documents INTEGER NOT NULL, chunks INTEGER NOT NULL, records INTEGER NOT NULL, key_values INTEGER NOT NULL,
    checksum INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE documents (id INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum INTEGER NOT NULL) STRICT;
  CREATE TABLE chunks (
    id INTEGER PRIMARY KEY, document INTEGER NOT NULL, first_ts INTEGER NOT NULL, last_ts INTEGER NOT NULL,
    count INTEGER NOT NULL, checksum INTEGER NOT NULL, body BLOB NOT NULL
  ) STRICT;
  CREATE INDEX chunks_document ON chunks (document);
  CREATE TABLE key_values (key TEXT PRIMARY KEY, value TEXT NOT NULL, checksum INTEGER NOT NULL) STRICT, WITHOUT ROWID;
`;

export type CollectionState = { readonly journalPosition: number; readonly counts: CollectionCounts };

type MetaRow = {
  name: string;
  journal_position: number;
  documents: number;
  chunks: number;
  records: number;
  key_values: number;
  checksum: number;
};
type NamedRow = { id: number; name: string; checksum: number };
type ChunkRow = {
  id: bigint;
  document: bigint;
  first_ts: bigint;
  last_ts: bigint;
  count: bigint;
  checksum: bigint;
  body: Uint8Array;
};
type KeyValueRow = { key: string; value: string; checksum: number };

export class CollectionFile {
  readonly file: string;
  readonly #database: Database;

  private constructor(file: string, database: Database) {
    this.file = file;
    this.#database = database;
  }

  /** Makes a new file, which holds nothing until its first checkpoint is committed. */
  static create(file: string): CollectionFile {
    return openFile(file, () => {
      const database = new Database(file, { create: true, readwrite: true });
      database.run(`PRAGMA page_size = ${PAGE_BYTES}`);
      database.run("PRAGMA journal_mode = WAL");
      database.transaction(() => {
        database.run(SCHEMA);
        database.run(`PRAGMA application_id = ${APPLICATION_ID}`);
        database.run(`PRAGMA user_version = ${FORMAT_VERSION}`);
      })();
      return new CollectionFile(file, database);
    });
  }

  /** @throws StorageError when the file is missing, damaged or of a newer format */
  static open(file: string): CollectionFile {
    return openFile(file, () => {
      const database = new Database(file, { create: false, readwrite: true });
      const { application_id } = database.query("PRAGMA application_id").get() as { application_id: number };
      const { user_version } = database.query("PRAGMA user_version").get() as { user_version: number };
      if (application_id !== APPLICATION_ID) throw damagedFile(file, "it is no FluxionDB collection");
      if (user_version > FORMAT_VERSION) {
        throw new StorageError(
          `${file} has format ${user_version}, newer than this server's. Use the newer server`,
        );
      }
      return new CollectionFile(file, database);
    });
  }

  begin(): void {
    this.#explaining(() => {
      this.#database.run("PRAGMA synchronous = FULL");
      this.#database.run("BEGIN IMMEDIATE");
    });
  }

  save(portion: CheckpointPortion): void {
    this.#explaining(() => {
      for (const id of portion.removedDocuments) {
        this.#database.query("DELETE FROM documents WHERE id = ?").run(id);
        this.#database.query("DELETE FROM chunks WHERE document = ?").run(id);
      }
      for (const id of portion.removedChunks) this.#database.query("DELETE FROM chunks WHERE id = ?").run(id);
      for (const document of portion.newDocuments) this.#saveDocument(document);
      this.#saveChunks(portion.chunks);
      for (const row of portion.values) this.#saveValue(row);
    });
  }

  commit(name: string, { journalPosition, counts }: CollectionState): void {
    const row = [
      escapeText(name),
      journalPosition,
      counts.documents,
      counts.chunks,
      counts.records,
      counts.values,
    ];
    this.#explaining(() => {
      this.#database
        .query("INSERT OR REPLACE INTO meta VALUES (1, ?, ?, ?, ?, ?, ?, ?)")
        .run(...row, checksumOf(row.join(":")));
      this.#database.run("COMMIT");
    });
  }

  /** The state of the last checkpoint. */
  state(name: string): CollectionState {
    return this.#explaining(() => {
      const row = this.#database.query("SELECT * FROM meta").get() as MetaRow | null;
      if (row === null) throw damagedFile(this.file, "its meta table is empty");
      const { checksum, key_values, documents, chunks, records, journal_position } = row;
      const said = [row.name, journal_position, documents, chunks, records, key_values].join(":");
      if (checksumOf(said) !== checksum) throw damagedFile(this.file, "its meta table fails its checksum");
      if (row.name !== escapeText(name)) {
        throw damagedFile(this.file, `it holds the collection "${row.name}", not "${escapeText(name)}"`);
      }
      return {
        journalPosition: journal_position,
        counts: { documents, chunks, records, values: key_values },
      };
    });
  }

  *documents(): Iterable<DocumentRow> {
    for (const each of this.#database.query("SELECT * FROM documents ORDER BY id").iterate()) {
      const { id, name, checksum } = each as NamedRow;
      if (checksumOf(`${id}:${name}`) !== checksum)
        throw damagedFile(this.file, `document ${id} fails its checksum`);
      yield { id, name: JSON.parse(`"${name}"`) as string };
    }
  }

  /** Chunks in the order of their numbers, in portions whose bodies are about so large. */
  *chunks(portionBytes: number): Iterable<ChunkRows> {
    const query = this.#database.query("SELECT * FROM chunks WHERE id > ? ORDER BY id").safeIntegers(true);
    let columns: number[] = [];
    let bodies: Uint8Array[] = [];
    let bytes = 0;
    for (const each of query.iterate(0)) {
      const row = each as ChunkRow;
      const { id, document, first_ts, last_ts, count, checksum, body } = row;
      if (checksumOf(chunkHeader(id, document, first_ts, last_ts, count), body) !== Number(checksum)) {
        throw damagedFile(this.file, `chunk ${id} fails its checksum`);
      }
      columns.push(
        Number(id),
        Number(document),
        Number(count),
        ...halves(first_ts),
        ...halves(last_ts),
        1,
        body.length,
      );
      bodies.push(body);
      bytes += body.length;
      if (bytes < portionBytes) continue;
      yield { columns: Float64Array.from(columns), bodies: Buffer.concat(bodies) };
      columns = [];
      bodies = [];
      bytes = 0;
    }
    yield { columns: Float64Array.from(columns), bodies: Buffer.concat(bodies) };
  }

  /** Keys, and values as JSON strings with their quotes. */
  *values(): Iterable<{ key: string; value: string }> {
    for (const each of this.#database.query("SELECT * FROM key_values").iterate()) {
      const { key, value, checksum } = each as KeyValueRow;
      if (checksumOf(`${key}:${value}`) !== checksum)
        throw damagedFile(this.file, `key "${key}" fails its checksum`);
      yield { key: JSON.parse(`"${key}"`) as string, value: `"${value}"` };
    }
  }

  /** Closing gives up a transaction that was not committed. */
  close(): void {
    this.#explaining(() => this.#database.close());
  }

  #saveDocument({ id, name }: DocumentRow): void {
    const escaped = escapeText(name);
    this.#database
      .query("INSERT OR REPLACE INTO documents VALUES (?, ?, ?)")
      .run(id, escaped, checksumOf(`${id}:${escaped}`));
  }

  #saveChunks({ columns, bodies }: ChunkRows): void {
    const insert = this.#database.query("INSERT OR REPLACE INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?)");
    let at = 0;
    for (let row = 0; row < columns.length; row += CHUNK_COLUMNS) {
      const column = (index: number): number => columns[row + index] as number;
      const end = at + column(CHUNK_BODY_BYTES);
      const given = bodies.subarray(at, end);
      at = end;
      const body = column(CHUNK_IS_PACKED) === 1 ? given : Bun.zstdCompressSync(given, { level: ZSTD_LEVEL });
      const [id, document, count] = [column(CHUNK_ID), column(CHUNK_DOCUMENT), column(CHUNK_COUNT)];
      const first = joined(column(CHUNK_FIRST_HIGH), column(CHUNK_FIRST_LOW));
      const last = joined(column(CHUNK_LAST_HIGH), column(CHUNK_LAST_LOW));
      insert.run(
        id,
        document,
        first,
        last,
        count,
        checksumOf(chunkHeader(id, document, first, last, count), body),
        body,
      );
    }
  }

  #saveValue({ key, value }: ValueRow): void {
    const escapedKey = escapeText(key);
    if (value === null) {
      this.#database.query("DELETE FROM key_values WHERE key = ?").run(escapedKey);
      return;
    }
    const inside = value.slice(1, -1);
    this.#database
      .query("INSERT OR REPLACE INTO key_values VALUES (?, ?, ?)")
      .run(escapedKey, inside, checksumOf(`${escapedKey}:${inside}`));
  }

  #explaining<Result>(action: () => Result): Result {
    try {
      return action();
    } catch (error) {
      throw explainError(error, this.file);
    }
  }
}

function openFile(file: string, open: () => CollectionFile): CollectionFile {
  try {
    return open();
  } catch (error) {
    throw explainError(error, file);
  }
}

type Integer = number | bigint;

function chunkHeader(id: Integer, document: Integer, first: bigint, last: bigint, count: Integer): string {
  return `${id}:${document}:${first}:${last}:${count}`;
}

const joined = (high: number, low: number): bigint => (BigInt(high) << 32n) | BigInt(low >>> 0);

const halves = (ts: bigint): [high: number, low: number] => [
  Number(BigInt.asIntN(32, ts >> 32n)),
  Number(BigInt.asIntN(32, ts)),
];

const escapeText = (text: string): string => JSON.stringify(text).slice(1, -1);
