/**
 * `serve --recover`: makes a damaged data directory one that starts, with what is whole of it.
 *
 * Nothing is overwritten. A file that is damaged is copied first, as it was found, to DIR/damaged-TIME, where a text
 * says what was left out; then a file of what is whole takes its place.
 */
import { constants, Database } from "bun:sqlite";
import {
  copyFileSync,
  existsSync,
  constants as fileConstants,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { Catalog } from "./catalog.ts";
import { type SalvagedCatalog, salvageCatalog } from "./catalog_salvage.ts";
import { checksumOf } from "./checksum.ts";
import { CollectionFile } from "./collection_file.ts";
import { collectionPath } from "./collection_files.ts";
import { type SalvagedCollection, salvageCollection } from "./collection_salvage.ts";
import { COLLECTIONS_FOLDER } from "./file_name.ts";
import { syncFile, syncFolder } from "./folder.ts";
import { endJournal, keepJournal, salvageJournal, startOfJournal } from "./journal_salvage.ts";
import { JOURNAL_FOLDER } from "./journal_segment.ts";
import { NewerFormatError, StorageError } from "./storage.ts";

/** What belongs to a database beside its file. */
const SUFFIXES = ["", "-wal", "-journal"];
const CATALOG = "catalog.db";
const { COPYFILE_EXCL } = fileConstants;

export type Recovery = {
  /** Where the damaged files are; undefined when none was damaged. */
  readonly keptIn: string | undefined;
  /** In words: which file, which collection, what of it. */
  readonly leftOut: readonly string[];
};

/**
 * Reads all that there is; call before the directory is opened.
 *
 * @throws StorageError when another server holds it, or a file is from a newer one: that is not damage
 */
export async function recoverDirectory(directory: string, { now }: { now: Date }): Promise<Recovery> {
  const parts = [CATALOG, COLLECTIONS_FOLDER, JOURNAL_FOLDER];
  if (!parts.some((part) => existsSync(join(directory, part)))) {
    return { keptIn: undefined, leftOut: [] };
  }
  refuseIfInUse(join(directory, CATALOG));
  const work = mkdtempSync(join(directory, "snapshot-recovery-"));
  try {
    const recovery = new DirectoryRecovery(directory, { work, now });
    await recovery.run();
    return recovery.result();
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

type WholeCatalog = SalvagedCatalog & { readonly cutGroup: number };

class DirectoryRecovery {
  readonly #directory: string;
  readonly #work: string;
  readonly #keptIn: string;
  readonly #leftOut: string[] = [];

  constructor(directory: string, { work, now }: { work: string; now: Date }) {
    this.#directory = directory;
    this.#work = work;
    const time = now.toISOString().replace(/[-:]|\.\d+/g, "");
    this.#keptIn = freeName(join(directory, `damaged-${time}`));
  }

  async run(): Promise<void> {
    const catalog = this.#salvageCatalog();
    const lastGroup = await this.#recoverJournal(catalog.groups.at(-1)?.number ?? catalog.cutGroup);
    const lost = new Set<string>();
    for (const name of catalog.collections) {
      if (!this.#recoverCollection(name, { lastGroup })) lost.add(name);
    }
    if (catalog.leftOut.length === 0 && lost.size === 0) return;
    this.#replaceCatalog(catalog, lost);
  }

  /** Returns the last group that is left of it. */
  async #recoverJournal(after: number): Promise<number> {
    const folder = join(this.#directory, JOURNAL_FOLDER);
    const { lastGroup, leftOut } = await salvageJournal(folder, after);
    if (leftOut === undefined) return lastGroup;
    keepJournal(folder, join(this.#keptIn, JOURNAL_FOLDER));
    this.#leftOut.push(`${JOURNAL_FOLDER}: ${leftOut}`);
    await endJournal(folder, lastGroup);
    return lastGroup;
  }

  result(): Recovery {
    const leftOut = this.#leftOut;
    if (leftOut.length === 0) return { keptIn: undefined, leftOut };
    writeFileSync(join(this.#keptIn, "left-out.txt"), `${leftOut.join("\n")}\n`, { mode: 0o600 });
    syncFolder(this.#keptIn);
    return { keptIn: this.#keptIn, leftOut };
  }

  #salvageCatalog(): WholeCatalog {
    const file = join(this.#directory, CATALOG);
    const copy = this.#copyToWork(file);
    let salvaged: SalvagedCatalog;
    try {
      salvaged = salvageCatalog(copy);
    } catch (error) {
      if (error instanceof NewerFormatError) throw new StorageError(messageOf(error).replaceAll(copy, file));
      salvaged = {
        ...{ cutGroup: undefined, collections: [], isListWhole: false, apiKeys: [], groups: [] },
        leftOut: [`all of it, with the API keys: ${messageOf(error)}`],
      };
    }
    const { leftOut } = salvaged;
    if (leftOut.length > 0) this.#keep(file);
    for (const what of leftOut) this.#leftOut.push(`${CATALOG}: ${what}`);
    return this.#completed(salvaged);
  }

  /** With the collections whose files say that they belong to this directory, and a number behind all that was cut. */
  #completed(catalog: SalvagedCatalog): WholeCatalog {
    const names = new Set(catalog.collections);
    let newest = 0;
    const folder = join(this.#directory, COLLECTIONS_FOLDER);
    const pathOf = (name: string): string => collectionPath(this.#directory, name);
    const listed = new Set(catalog.collections.map(pathOf));
    // One that is missing may be there by another name, if it is the list that is wrong.
    const isTrusted =
      catalog.isListWhole && catalog.cutGroup !== undefined && [...listed].every((path) => existsSync(path));
    for (const file of !isTrusted && existsSync(folder) ? readdirSync(folder) : []) {
      const path = join(folder, file);
      if (!file.endsWith(".db")) continue;
      const meta = this.#metaOf(path);
      const isKnown = meta !== undefined && pathOf(meta.name) === path;
      if (isKnown) newest = Math.max(newest, meta.journalPosition);
      if (listed.has(path)) continue;
      const place = relative(this.#directory, path);
      if (isKnown) {
        names.add(meta.name);
        // Of a catalog that says nothing, that is clear.
        if (catalog.isListWhole) {
          mkdirSync(this.#keptIn, { recursive: true, mode: 0o700 });
          this.#leftOut.push(
            `${place} (collection ${JSON.stringify(meta.name)}): nothing, but it is not listed`,
          );
        }
      } else {
        // A collection of that name would be written over it.
        this.#keep(path);
        removeFiles(path);
        this.#leftOut.push(`${place}: all of it: it is not listed, and does not say what it holds`);
      }
    }
    // Without a journal, numbers have to go on behind what collections have seen.
    const cutGroup = catalog.cutGroup ?? startOfJournal(join(this.#directory, JOURNAL_FOLDER)) ?? newest;
    return { ...catalog, cutGroup, collections: [...names] };
  }

  #metaOf(file: string): SalvagedCollection["meta"] {
    try {
      return salvageCollection(this.#copyToWork(file)).meta;
    } catch {
      // What is wrong with it is told when its turn comes; if it has none, nobody misses it.
      return undefined;
    }
  }

  /** Returns whether there is anything left of it. */
  #recoverCollection(name: string, { lastGroup }: { lastGroup: number }): boolean {
    const file = collectionPath(this.#directory, name);
    const place = `${relative(this.#directory, file)} (collection ${JSON.stringify(name)})`;
    if (!existsSync(file)) {
      mkdirSync(this.#keptIn, { recursive: true, mode: 0o700 });
      this.#leftOut.push(`${place}: all of it: the file is missing`);
      return false;
    }
    const salvaged = this.#salvageCollection(file, name);
    if (typeof salvaged === "string") {
      this.#keep(file);
      removeFiles(file);
      this.#leftOut.push(`${place}: all of it: ${salvaged}`);
      return false;
    }
    const { meta, leftOut } = salvaged;
    const isAhead = meta !== undefined && meta.journalPosition > lastGroup;
    if (leftOut.length === 0 && !isAhead) return true;
    this.#keep(file);
    for (const what of leftOut) this.#leftOut.push(`${place}: ${what}`);
    if (isAhead) {
      this.#leftOut.push(
        `${place}: nothing, but it has seen group ${meta.journalPosition} of the journal, which ends with ${lastGroup}`,
      );
    }
    this.#replaceCollection(file, name, { salvaged, lastGroup });
    return true;
  }

  /** What is left of it, or why there is nothing. */
  #salvageCollection(file: string, name: string): SalvagedCollection | string {
    const copy = this.#copyToWork(file);
    try {
      CollectionFile.open(copy).close();
    } catch (error) {
      if (error instanceof NewerFormatError) throw new StorageError(messageOf(error).replaceAll(copy, file));
      return messageOf(error).replaceAll(copy, file);
    }
    const salvaged = salvageCollection(copy);
    const { meta, portions } = salvaged;
    if (meta !== undefined && meta.name !== name)
      return `it holds the collection ${JSON.stringify(meta.name)}`;
    const isEmpty = portions.every(
      ({ newDocuments, values }) => newDocuments.ids.length + values.lengths.length === 0,
    );
    return isEmpty ? salvaged.leftOut.join("; ") : salvaged;
  }

  #replaceCollection(
    file: string,
    name: string,
    { salvaged, lastGroup }: { salvaged: SalvagedCollection; lastGroup: number },
  ): void {
    const made = join(this.#work, `made-${basename(file)}`);
    const target = CollectionFile.create(made);
    target.begin();
    for (const portion of salvaged.portions) target.save(portion);
    // Groups that it has seen change nothing when they are repeated.
    const journalPosition = Math.min(salvaged.meta?.journalPosition ?? 0, lastGroup);
    target.commit(name, { journalPosition, counts: salvaged.counts });
    target.close();
    replaceFile(file, made);
  }

  #replaceCatalog(catalog: WholeCatalog, lost: ReadonlySet<string>): void {
    const file = join(this.#directory, CATALOG);
    if (catalog.leftOut.length === 0) this.#keep(file);
    const folder = join(this.#work, "made");
    mkdirSync(folder);
    const target = new Catalog({ directory: folder });
    target.cutJournal(catalog.cutGroup);
    target.addCollections(catalog.collections.filter((name) => !lost.has(name)));
    for (const key of catalog.apiKeys) target.putApiKey(key);
    target.close();
    if (catalog.groups.length > 0) putOldJournal(join(folder, CATALOG), catalog.groups);
    replaceFile(file, join(folder, CATALOG));
  }

  /** Reading a database may change it. */
  #copyToWork(file: string): string {
    const copy = join(this.#work, `copy-${basename(file)}`);
    for (const suffix of SUFFIXES) {
      rmSync(copy + suffix, { force: true });
      if (existsSync(file + suffix)) copyFileSync(file + suffix, copy + suffix);
    }
    return copy;
  }

  /** As it was found. */
  #keep(file: string): void {
    const target = join(this.#keptIn, relative(this.#directory, file));
    mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
    for (const suffix of SUFFIXES) {
      if (!existsSync(file + suffix)) continue;
      copyFileSync(file + suffix, target + suffix, COPYFILE_EXCL);
      syncFile(target + suffix);
    }
    syncFolder(dirname(target));
  }
}

function freeName(path: string): string {
  for (let number = 1; ; number++) {
    const name = number === 1 ? path : `${path}-${number}`;
    if (!existsSync(name)) return name;
  }
}

function replaceFile(file: string, made: string): void {
  // What is beside the old one does not belong to the new one.
  for (const suffix of ["-wal", "-shm", "-journal"]) rmSync(file + suffix, { force: true });
  syncFolder(dirname(file));
  renameSync(made, file);
  syncFolder(dirname(file));
}

/** Makes a catalog one of format 1, with its journal. */
function putOldJournal(file: string, groups: SalvagedCatalog["groups"]): void {
  using database = new Database(file);
  database.transaction(() => {
    database.run(
      "CREATE TABLE journal (number INTEGER PRIMARY KEY, is_packed INTEGER, checksum INTEGER, body BLOB) STRICT",
    );
    const insert = database.query("INSERT INTO journal VALUES (?, 0, ?, ?)");
    for (const { number, body } of groups) insert.run(number, checksumOf(`${number}:0`, body), body);
    database.run("ALTER TABLE api_keys DROP COLUMN limits");
    database.run("PRAGMA user_version = 1");
  })();
}

function removeFiles(file: string): void {
  for (const suffix of ["-shm", "-wal", "-journal", ""]) rmSync(file + suffix, { force: true });
}

/** The lock is SQLite's, and told also of a file that cannot be read. */
function refuseIfInUse(file: string): void {
  if (!existsSync(file)) return;
  let database: Database | undefined;
  try {
    database = new Database(file, constants.SQLITE_OPEN_READONLY);
    database.query("SELECT count(*) FROM sqlite_schema").get();
  } catch (error) {
    if (String((error as { code?: string }).code).startsWith("SQLITE_BUSY")) {
      throw new StorageError(`${dirname(file)} is in use by another process. Stop it first`);
    }
  } finally {
    database?.close();
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
