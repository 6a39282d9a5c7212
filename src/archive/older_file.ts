/**
 * The file of an older server, opened without changing a byte of it, or of what is beside it.
 *
 * It is read as of one moment. A file at rest is read past SQLite's locks, which would leave files of their own beside
 * it; if it turns out to have changed meanwhile, that is an error. Where a server was killed within a transaction, a
 * copy of it is made whole and read instead: who only reads cannot undo what was begun.
 */
import { constants, Database } from "bun:sqlite";
import { copyFileSync, existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { ArchiveError } from "./archive_error.ts";

const READ_ONLY = constants.SQLITE_OPEN_READONLY;
/** What SQLite keeps beside a file while something is not finished. */
const WAL = "-wal";
const ROLLBACK_JOURNAL = "-journal";

export class OlderFile implements Disposable {
  readonly database: Database;
  readonly #file: string;
  /** What is looked at to see that nobody writes; undefined where SQLite's locks see to that. */
  readonly #before: string | undefined;
  readonly #copyFolder: string | undefined;

  private constructor(file: string, { database, before, copyFolder }: Opened) {
    this.#file = file;
    this.database = database;
    this.#before = before;
    this.#copyFolder = copyFolder;
  }

  /** @throws ArchiveError when there is no such file, or SQLite cannot read it */
  static open(file: string): OlderFile {
    if (!existsSync(file)) throw new ArchiveError(`There is no file ${file}`);
    try {
      return new OlderFile(file, openFile(file));
    } catch (cause) {
      throw new ArchiveError(`${file} cannot be read: ${(cause as Error).message}`, { cause });
    }
  }

  /** @throws ArchiveError when somebody has written to it since it was opened: what was read may be of two moments */
  ensureUnchanged(): void {
    if (this.#before === undefined || this.#before === stateOf(this.#file)) return;
    throw new ArchiveError(
      `${this.#file} has changed while it was read. Stop the older server, and try again`,
    );
  }

  [Symbol.dispose](): void {
    this.database.close();
    if (this.#copyFolder !== undefined) rmSync(this.#copyFolder, { recursive: true, force: true });
  }
}

type Opened = {
  readonly database: Database;
  readonly before?: string | undefined;
  readonly copyFolder?: string | undefined;
};

function openFile(file: string): Opened {
  const before = stateOf(file);
  if (sizeOf(file + WAL) === 0 && sizeOf(file + ROLLBACK_JOURNAL) === 0) {
    const address = `${pathToFileURL(resolve(file)).href}?immutable=1`;
    return { database: begin(new Database(address, READ_ONLY | constants.SQLITE_OPEN_URI)), before };
  }
  try {
    return { database: begin(new Database(file, READ_ONLY)) };
  } catch (error) {
    if ((error as { code?: string }).code !== "SQLITE_READONLY_ROLLBACK") throw error;
    return openCopy(file);
  }
}

/** Nobody holds a lock on it, so nobody changes it. */
function openCopy(file: string): Opened {
  const copyFolder = mkdtempSync(join(tmpdir(), "fluxiondb-import-"));
  try {
    const copy = join(copyFolder, "older.db");
    for (const suffix of ["", ROLLBACK_JOURNAL]) copyFileSync(file + suffix, copy + suffix);
    return { database: begin(new Database(copy, { create: false, readwrite: true })), copyFolder };
  } catch (error) {
    rmSync(copyFolder, { recursive: true, force: true });
    throw error;
  }
}

/** From here on nothing that others write is seen. */
function begin(database: Database): Database {
  try {
    database.run("BEGIN");
    database.query("SELECT count(*) FROM sqlite_schema").get();
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0;

function stateOf(file: string): string {
  return ["", WAL, ROLLBACK_JOURNAL]
    .map((suffix) => {
      const stat = statSync(file + suffix, { bigint: true, throwIfNoEntry: false });
      return stat === undefined || stat.size === 0n ? "" : `${stat.ino} ${stat.size} ${stat.mtimeNs}`;
    })
    .join();
}
