/**
 * One collection's database, collections/NAME.db. Runs in a worker thread.
 *
 *     meta        (id = 1, name, journal_position, documents, chunks, records, key_values, checksum)
 *     documents   (id, name, checksum)
 *     chunks      (id, document, count, first_ts, last_ts, bytes, body_checksum, checksum)
 *     bodies      (id, body)            of chunks; see engine/chunk_codec.ts
 *     growing     (id, body)            the same of each document's newest chunk
 *     key_values  (key, value, checksum)
 *
 * A start reads the chunks' index and leaves the bodies where they are. The newest chunks, which most checkpoints write
 * again and larger, are apart from the others: what is in `bodies` was appended once, so its pages are full, and a
 * growing row moves none of it.
 *
 * Names, keys and values are the insides of JSON strings, since SQLite's text cannot hold half a surrogate pair. The
 * counts in `meta` are what a start adds up to, so that a missing row is noticed as well as a wrong one.
 *
 * A checkpoint is one transaction. WAL keeps readers and the old state undisturbed until it commits; `synchronous` is
 * more than FULL, because the journal is cut on the strength of it. A file is open only while it is read or written,
 * so thousands of collections are not thousands of open files.
 */
import { constants, Database } from "bun:sqlite";
import { closeSync, fsyncSync, openSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { checksumOf, checksumOfNumbers } from "./checksum.ts";
import { checkFormat, makeTables, raiseFormat, setPageSize } from "./collection_schema.ts";
import { fileBytes } from "./file_size.ts";
import { damagedFile, explainError } from "./sqlite_error.ts";
import {
  CHUNK_BODY_BYTES,
  CHUNK_COLUMNS,
  CHUNK_COUNT,
  CHUNK_DOCUMENT,
  CHUNK_FIRST_HIGH,
  CHUNK_FIRST_LOW,
  CHUNK_ID,
  CHUNK_IS_NEWEST,
  CHUNK_IS_PACKED,
  CHUNK_LAST_HIGH,
  CHUNK_LAST_LOW,
  type CheckpointPortion,
  type ChunkRows,
  type CollectionCounts,
  type DocumentRow,
  type DocumentRows,
  type ValueRows,
} from "./storage.ts";
import { textsIn } from "./text_list.ts";

const ZSTD_LEVEL = 1;
const READ_ONLY = constants.SQLITE_OPEN_READONLY;
/** How long the two that have a file open wait for each other: a reader holds it for microseconds. */
const BUSY_MS = 1000;
/** Of a file that single chunks are read from; the system keeps what is read often. */
const READER_CACHE_KIB = 256;
const LOW_HALF = 0xffff_ffff;
/** What the checksum of a chunk's row covers: its columns, and the checksum of its body. */
const BODY_CHECKSUM = CHUNK_BODY_BYTES + 1;
const INDEX_COLUMNS = BODY_CHECKSUM + 1;

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
/** As CHUNK_COLUMNS are ordered up to CHUNK_BODY_BYTES, then both checksums. */
type ChunkIndexRow = number[];
type KeyValueRow = { key: string; value: string; checksum: number };

export class CollectionFile {
  readonly file: string;
  readonly #database: Database;

  readonly #isNew: boolean;

  /** @internal */
  constructor(file: string, database: Database, { isNew }: { isNew: boolean }) {
    this.file = file;
    this.#database = database;
    this.#isNew = isNew;
  }

  /**
   * Makes a new file, which holds nothing until its first checkpoint is committed. Until it is listed in the catalog
   * nobody reads it, so there is nothing that SQLite would have to be able to go back to: it writes in place, and the
   * disk is waited for once, at the end.
   */
  static create(file: string): CollectionFile {
    const connect = (): Database => new Database(file, { create: true, readwrite: true });
    return openFile(file, connect, (database) => {
      setPageSize(database);
      database.run("PRAGMA journal_mode = OFF");
      database.run("PRAGMA synchronous = OFF");
      database.run("BEGIN IMMEDIATE");
      makeTables(database);
      return new CollectionFile(file, database, { isNew: true });
    });
  }

  /** @throws StorageError when the file is missing, damaged or of another format */
  static open(file: string): CollectionFile {
    const connect = (): Database => new Database(file, { create: false, readwrite: true });
    return openFile(file, connect, (database) => checked(file, database));
  }

  /**
   * Opens a file that nobody writes to while it is open, which costs a tenth: SQLite then needs neither locks nor
   * shared memory beside it. One that was not closed in order, and has a WAL or a rollback journal left, is opened like
   * any other, which makes it whole: those who only read cannot.
   *
   * @throws StorageError when the file is missing, damaged or of another format
   */
  static openAtRest(file: string): CollectionFile {
    if (fileBytes(`${file}-wal`) > 0 || fileBytes(`${file}-journal`) > 0) return CollectionFile.open(file);
    const address = `${pathToFileURL(file).href}?immutable=1`;
    const connect = (): Database => new Database(address, READ_ONLY | constants.SQLITE_OPEN_URI);
    return openFile(file, connect, (database) => checked(file, database));
  }

  /**
   * Opens a file beside the thread that writes checkpoints to it: what is read is as of the last one.
   *
   * @throws StorageError when the file is missing, damaged or of another format
   */
  static openBesideWriter(file: string): CollectionFile {
    const connect = (): Database => new Database(file, READ_ONLY);
    return openFile(file, connect, (database) => {
      database.run(`PRAGMA cache_size = -${READER_CACHE_KIB}`);
      return checked(file, database);
    });
  }

  /** @throws StorageError */
  static copy(file: string, target: string): void {
    const opened = CollectionFile.openBesideWriter(file);
    try {
      opened.#explaining(() => opened.#database.query("VACUUM INTO ?").run(target));
    } finally {
      opened.close();
    }
  }

  begin(): void {
    if (this.#isNew) return;
    this.#explaining(() => {
      // A file that has only been created is not in this mode yet: that would have made two more files for nothing.
      // It is changed with a rollback journal, which must not come back: EXTRA is FULL, and waits for its removal too.
      this.#database.run("PRAGMA synchronous = EXTRA");
      this.#database.run("PRAGMA journal_mode = WAL");
      this.#database.run("BEGIN IMMEDIATE");
      raiseFormat(this.#database);
    });
  }

  save(portion: CheckpointPortion): void {
    this.#explaining(() => {
      for (const id of portion.removedDocuments) {
        this.#database.query("DELETE FROM documents WHERE id = ?").run(id);
      }
      for (const id of portion.removedChunks) this.#removeChunk(id);
      this.#saveDocuments(portion.newDocuments);
      this.#saveChunks(portion.chunks);
      this.#saveValues(portion.values);
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
      if (this.#isNew) this.#sync();
      // The last one to close a file does this too, but a reader of single chunks may have it open.
      else this.#database.query("PRAGMA wal_checkpoint(TRUNCATE)").get();
    });
  }

  #sync(): void {
    const handle = openSync(this.file, "r+");
    fsyncSync(handle);
    closeSync(handle);
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

  /** The index of chunks in the order of their numbers, in portions of so many. */
  *chunks(portionRows: number): Iterable<Float64Array> {
    // Timestamps come in halves: a number holds no more than 53 bits exactly.
    const query = this.#database.query(
      `SELECT id, document, count, first_ts >> 32, first_ts & ${LOW_HALF}, last_ts >> 32, last_ts & ${LOW_HALF},
         bytes, body_checksum, checksum
       FROM chunks WHERE id > ? ORDER BY id LIMIT ?`,
    );
    for (let after = 0; ; ) {
      const rows = query.values(after, portionRows) as ChunkIndexRow[];
      if (rows.length === 0) return;
      const columns = new Float64Array(rows.length * CHUNK_COLUMNS);
      for (const [index, row] of rows.entries()) this.#readIndexRow(row, columns, index * CHUNK_COLUMNS);
      after = (rows.at(-1) as ChunkIndexRow)[CHUNK_ID] as number;
      yield columns;
    }
  }

  /** @throws StorageError when there is no such chunk, or its body is damaged */
  readBody(id: number): Uint8Array {
    return this.#explaining(() => {
      const row = this.#database
        .query(
          `SELECT body_checksum, coalesce((SELECT body FROM bodies WHERE id = ?1),
             (SELECT body FROM growing WHERE id = ?1)) AS body
           FROM chunks WHERE id = ?1`,
        )
        .get(id) as { body_checksum: number; body: Uint8Array | null } | null;
      if (row === null || row.body === null) throw damagedFile(this.file, `chunk ${id} is missing`);
      if (Bun.hash.crc32(row.body) !== row.body_checksum) {
        throw damagedFile(this.file, `chunk ${id} fails its checksum`);
      }
      return row.body;
    });
  }

  /** Keys and values as they are stored, the insides of JSON strings. */
  *values(): Iterable<{ readonly key: string; readonly value: string }> {
    for (const each of this.#database.query("SELECT * FROM key_values").iterate()) {
      const { key, value, checksum } = each as KeyValueRow;
      if (checksumOf(`${key}:${value}`) !== checksum)
        throw damagedFile(this.file, `key "${key}" fails its checksum`);
      yield { key, value };
    }
  }

  /** Closing gives up a transaction that was not committed. */
  close(): void {
    this.#explaining(() => this.#database.close());
  }

  #saveDocuments({ ids, names }: DocumentRows): void {
    const insert = this.#database.query("INSERT OR REPLACE INTO documents VALUES (?, ?, ?)");
    let index = 0;
    for (const name of textsIn(names)) {
      const id = ids[index++] as number;
      insert.run(id, name as string, checksumOf(`${id}:${name}`));
    }
  }

  #saveChunks({ columns, bodies }: ChunkRows): void {
    const insert = this.#database.query("INSERT OR REPLACE INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
    const header = new Float64Array(INDEX_COLUMNS);
    let at = 0;
    for (let row = 0; row < columns.length; row += CHUNK_COLUMNS) {
      const column = (index: number): number => columns[row + index] as number;
      const end = at + column(CHUNK_BODY_BYTES);
      const given = bodies.subarray(at, end);
      at = end;
      const body = column(CHUNK_IS_PACKED) === 1 ? given : Bun.zstdCompressSync(given, { level: ZSTD_LEVEL });
      const id = column(CHUNK_ID);
      header.set(columns.subarray(row, row + CHUNK_BODY_BYTES));
      header[CHUNK_BODY_BYTES] = body.length;
      header[BODY_CHECKSUM] = Bun.hash.crc32(body);
      insert.run(
        id,
        column(CHUNK_DOCUMENT),
        column(CHUNK_COUNT),
        joined(column(CHUNK_FIRST_HIGH), column(CHUNK_FIRST_LOW)),
        joined(column(CHUNK_LAST_HIGH), column(CHUNK_LAST_LOW)),
        body.length,
        header[BODY_CHECKSUM] as number,
        checksumOfNumbers(header, 0, INDEX_COLUMNS),
      );
      const [table, other] = column(CHUNK_IS_NEWEST) === 1 ? ["growing", "bodies"] : ["bodies", "growing"];
      this.#database.query(`INSERT OR REPLACE INTO ${table} VALUES (?, ?)`).run(id, body);
      this.#database.query(`DELETE FROM ${other} WHERE id = ?`).run(id);
    }
  }

  #removeChunk(id: number): void {
    for (const table of ["chunks", "bodies", "growing"]) {
      this.#database.query(`DELETE FROM ${table} WHERE id = ?`).run(id);
    }
  }

  #readIndexRow(row: ChunkIndexRow, columns: Float64Array, at: number): void {
    for (let index = 0; index < INDEX_COLUMNS; index++) columns[at + index] = row[index] as number;
    // The low half came unsigned.
    columns[at + CHUNK_FIRST_LOW] = (row[CHUNK_FIRST_LOW] as number) | 0;
    columns[at + CHUNK_LAST_LOW] = (row[CHUNK_LAST_LOW] as number) | 0;
    if (checksumOfNumbers(columns, at, at + INDEX_COLUMNS) !== row[INDEX_COLUMNS]) {
      throw damagedFile(this.file, `chunk ${row[CHUNK_ID]} fails its checksum`);
    }
  }

  #saveValues(rows: ValueRows): void {
    const insert = this.#database.query("INSERT OR REPLACE INTO key_values VALUES (?, ?, ?)");
    const remove = this.#database.query("DELETE FROM key_values WHERE key = ?");
    let key: string | undefined;
    for (const text of textsIn(rows)) {
      if (key === undefined) {
        key = text;
        continue;
      }
      if (text === undefined) remove.run(key);
      else insert.run(key, text, checksumOf(`${key}:${text}`));
      key = undefined;
    }
  }

  #explaining<Result>(action: () => Result): Result {
    try {
      return action();
    } catch (error) {
      throw explainError(error, this.file);
    }
  }
}

function openFile(
  file: string,
  connect: () => Database,
  open: (database: Database) => CollectionFile,
): CollectionFile {
  let database: Database | undefined;
  try {
    database = connect();
    // Before all else: any other statement reads the schema, and a checkpoint may hold the lock just then.
    database.run(`PRAGMA busy_timeout = ${BUSY_MS}`);
    return open(database);
  } catch (error) {
    // Or each attempt would keep a descriptor.
    database?.close();
    throw explainError(error, file);
  }
}

function checked(file: string, database: Database): CollectionFile {
  checkFormat(database, file);
  return new CollectionFile(file, database, { isNew: false });
}

const joined = (high: number, low: number): bigint => (BigInt(high) << 32n) | BigInt(low >>> 0);

const escapeText = (text: string): string => JSON.stringify(text).slice(1, -1);
