/**
 * The storage on SQLite, with its journal in files beside it: the main thread's side, which passes calls on to two
 * worker threads, writes the journal, and reads single chunks.
 *
 *     DIR/catalog.db             API keys, the list of collections                      thread `catalog`
 *     DIR/collections/NAME.db    a database a collection                                thread `collections`
 *     DIR/journal/…              see journal_segment.ts                                 main thread
 *     DIR/server.pid             the process that holds the directory
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { startWorker } from "../threads/start_worker.ts";
import type { WorkerLink } from "../threads/worker_link.ts";
import { type Catalog, type CatalogContents, LOCKED } from "./catalog.ts";
import { ChunkReader } from "./chunk_reader.ts";
import { problemsOfCollection } from "./collection_check.ts";
import { type CollectionFiles, collectionPath } from "./collection_files.ts";
import { COLLECTIONS_FOLDER } from "./file_name.ts";
import { bytesInFolder, sumOfSizes } from "./file_size.ts";
import { makeFolder } from "./folder.ts";
import { copyJournal } from "./journal_copy.ts";
import { JournalFiles } from "./journal_files.ts";
import { explainError } from "./sqlite_error.ts";
import {
  type CheckpointPortion,
  type CollectionCounts,
  type CommitObserver,
  type Durability,
  type JournalGroup,
  type LoadedPortion,
  type Snapshot,
  type Storage,
  StorageError,
  type StoredApiKey,
} from "./storage.ts";
import { openThread } from "./storage_thread.ts";

export type SqliteStorageOptions = {
  readonly directory: string;
  readonly durability: Durability;
  readonly observer?: CommitObserver;
};

type Links = { readonly catalog: WorkerLink<Catalog>; readonly collections: WorkerLink<CollectionFiles> };

export class SqliteStorage implements Storage {
  readonly hasJournal: boolean;

  readonly #directory: string;
  readonly #observer: CommitObserver | undefined;
  readonly #links: Links;
  readonly #contents: CatalogContents;
  /** The collections that the catalog lists, and those that have a file and are to be listed. */
  readonly #listed: Set<string>;
  readonly #unlisted = new Set<string>();
  #isLoading = false;
  /** The collection whose checkpoint was begun. */
  #saving: { name: string; isNew: boolean } | undefined;
  readonly #journal: JournalFiles;
  /** The newest group that was read from the catalog, and what is left in the files. */
  #lastRead = 0;
  #groups: AsyncGenerator<readonly JournalGroup[], void> | undefined;
  #isOldFormat: boolean;
  readonly #chunks: ChunkReader;

  private constructor(options: SqliteStorageOptions, links: Links, contents: CatalogContents) {
    const { directory, durability, observer } = options;
    this.#directory = directory;
    this.#observer = observer;
    this.#links = links;
    this.#journal = new JournalFiles(options);
    this.#contents = contents;
    this.#listed = new Set(contents.collections);
    this.#chunks = new ChunkReader((name) => collectionPath(directory, name));
    this.hasJournal = durability !== "interval";
    this.#isOldFormat = contents.isOldFormat;
  }

  get lastGroup(): number {
    return this.#journal.lastGroup;
  }

  get durableGroup(): number {
    return this.#journal.durableGroup;
  }

  /**
   * Opens a data directory, or makes a new one.
   *
   * @throws StorageError when another server holds it, when it cannot be written to, or when the catalog is damaged;
   *   the process should end then, since a damaged directory stays held until it does
   */
  static async open(options: SqliteStorageOptions): Promise<SqliteStorage> {
    const { directory } = options;
    try {
      makeFolder(directory);
    } catch (error) {
      throw explainError(error, directory);
    }
    // Both threads start at once, which takes as long as loading a million records; the second one waits for the lock.
    const [catalogWorker, collectionsWorker] = [startWorker(ENTRY_POINT), startWorker(ENTRY_POINT)];
    const catalog = await openThread<Catalog>(catalogWorker, { role: "catalog", directory }).catch(
      (error) => {
        collectionsWorker.terminate();
        throw error instanceof Error && error.message === LOCKED ? lockedBy(directory) : error;
      },
    );
    try {
      const contents = await catalog.call("contents");
      const collections = await openThread<CollectionFiles>(collectionsWorker, {
        role: "collections",
        directory,
      });
      removeSnapshots(directory);
      writeFileSync(join(directory, PID_FILE), `${process.pid}\n`, { mode: 0o600 });
      return new SqliteStorage(options, { catalog, collections }, contents);
    } catch (error) {
      collectionsWorker.terminate();
      catalog.leave();
      throw explainError(error, directory);
    }
  }

  apiKeys(): readonly StoredApiKey[] {
    return this.#contents.apiKeys;
  }

  putApiKey(key: StoredApiKey): Promise<void> {
    return this.#links.catalog.call("putApiKey", key);
  }

  deleteApiKey(digest: Uint8Array): Promise<void> {
    return this.#links.catalog.call("deleteApiKey", digest);
  }

  async nextPortions(): Promise<readonly LoadedPortion[]> {
    const { collections } = this.#links;
    if (!this.#isLoading) {
      this.#isLoading = true;
      await collections.call("beginLoading", this.#contents.collections);
    }
    return collections.call("nextPortions");
  }

  readChunk(collection: string, id: number): Uint8Array {
    return this.#chunks.read(collection, id);
  }

  /** Those of format 1 first. */
  async nextGroups(): Promise<readonly JournalGroup[]> {
    if (this.#groups === undefined) {
      const groups = await this.#links.catalog.call("journalGroups", this.#lastRead);
      this.#lastRead = groups.at(-1)?.number ?? this.#contents.lastGroup;
      if (groups.length > 0) return groups;
      this.#groups = this.#journal.groups(this.#lastRead);
    }
    const { value } = await this.#groups.next();
    return value ?? [];
  }

  commitGroup(number: number, bytes: Buffer, length: number): Promise<void> | undefined {
    const observer = this.#observer;
    observer?.commitBegan();
    const written = this.#writeGroup(number, bytes, length);
    if (written !== undefined) return written.then(() => observer?.commitEnded());
    observer?.commitEnded();
    return undefined;
  }

  #writeGroup(number: number, bytes: Buffer, length: number): Promise<void> | undefined {
    if (!this.#isOldFormat) return this.#journal.write(number, bytes, length);
    return this.#links.catalog.call("raiseFormat").then(() => {
      this.#isOldFormat = false;
      return this.#journal.write(number, bytes, length);
    });
  }

  beginSegment(): void {
    this.#journal.beginSegment();
  }

  syncJournal(): Promise<void> {
    return this.#journal.sync();
  }

  /** New files are listed first: what is neither listed nor in the journal would be lost. */
  async cutJournal(upTo: number): Promise<void> {
    const { catalog, collections } = this.#links;
    if (this.#unlisted.size > 0) {
      const names = [...this.#unlisted];
      await collections.call("syncFolder");
      await catalog.call("addCollections", names);
      for (const name of names) {
        this.#unlisted.delete(name);
        this.#listed.add(name);
      }
    }
    // Noted before anything is dropped: what is missing without a note is damage.
    while (await catalog.call("cutJournal", upTo)) {}
    await this.#journal.cut(upTo);
  }

  async beginCheckpoint(name: string, { isNew }: { isNew: boolean }): Promise<void> {
    if (isNew) await this.#unlist(name);
    await this.#links.collections.call("beginCheckpoint", name, { isNew });
    this.#saving = { name, isNew };
  }

  savePortion(portion: CheckpointPortion): Promise<void> {
    return this.#links.collections.call("savePortion", portion);
  }

  /** A file that is not listed is as good as none; `cutJournal` lists it. */
  async commitCheckpoint(
    last: CheckpointPortion,
    state: { journalPosition: number; counts: CollectionCounts },
  ): Promise<void> {
    await this.#links.collections.call("commitCheckpoint", last, state);
    if (this.#saving?.isNew) this.#unlisted.add(this.#saving.name);
  }

  rollbackCheckpoint(): Promise<void> {
    return this.#links.collections.call("rollbackCheckpoint");
  }

  async dropCollection(name: string): Promise<void> {
    await this.#unlist(name);
    await this.#links.collections.call("removeFile", name);
  }

  /** Before a file goes, or another takes its place: nobody is to look for it any more. */
  async #unlist(name: string): Promise<void> {
    this.#chunks.forget(name);
    this.#unlisted.delete(name);
    if (!this.#listed.has(name)) return;
    // Known as listed until it is not: the disk may refuse it, and a listed file that is gone keeps the server from starting.
    await this.#links.catalog.call("removeCollection", name);
    this.#listed.delete(name);
  }

  /** What is wrong with the files by themselves: one list a file, the catalog's first. Before anything is written. */
  async *problems(): AsyncGenerator<readonly string[]> {
    yield await this.#links.catalog.call("problems");
    for (const name of this.#contents.collections) {
      yield problemsOfCollection({ name, file: collectionPath(this.#directory, name) });
    }
  }

  /** How many lists `problems` yields. */
  get fileCount(): number {
    return 1 + this.#contents.collections.length;
  }

  async snapshot(committed: () => Promise<void>): Promise<Snapshot> {
    const { catalog, collections } = this.#links;
    await this.#ensureRoomForCopy();
    const folder = mkdtempSync(join(this.#directory, SNAPSHOT_PREFIX));
    const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
    try {
      for (const name of this.#listed) await collections.call("copyTo", name, folder);
      // In one turn, so that API keys are those of the moment that the journal is copied up to.
      const catalogCopied = catalog.call("copyTo", join(folder, CATALOG_FILE));
      const written = committed().then(() => this.#journal.extent());
      await Promise.allSettled([catalogCopied, written]);
      await catalogCopied;
      // Last: a journal that holds all that the collections hold makes them those of one moment.
      await copyJournal(await written, folder);
      return { folder, takenAt: new Date(), remove };
    } catch (error) {
      await remove();
      throw error;
    }
  }

  /** A disk that a copy has filled would take no more writes. */
  async #ensureRoomForCopy(): Promise<void> {
    const { dataBytes, journalBytes } = await this.diskBytes();
    const { bavail, bsize } = await statfs(this.#directory);
    const [needed, free] = [dataBytes + journalBytes, bavail * bsize];
    if (free >= needed) return;
    throw new StorageError(
      `${this.#directory} has ${free} bytes free, and the copy that a backup is made of may need ${needed}. Make room`,
    );
  }

  /**
   * How much room its files take: collections, and the journal with the catalog.
   *
   * Not by the threads, which may be busy for seconds with one collection.
   */
  async diskBytes(): Promise<{ dataBytes: number; journalBytes: number }> {
    const [catalogBytes, journalBytes, dataBytes] = await Promise.all([
      sumOfSizes([CATALOG_FILE, `${CATALOG_FILE}-wal`].map((name) => join(this.#directory, name))),
      this.#journal.bytes(),
      bytesInFolder(join(this.#directory, COLLECTIONS_FOLDER)),
    ]);
    return { dataBytes, journalBytes: journalBytes + catalogBytes };
  }

  async close(): Promise<void> {
    const { catalog, collections } = this.#links;
    this.#chunks.close();
    try {
      await this.#journal.close();
      await collections.call("close");
      // While the directory is still held: afterwards it may be another server's file.
      rmSync(join(this.#directory, PID_FILE), { force: true });
      await catalog.call("close");
    } finally {
      await this.abandon();
    }
  }

  /** Stops using the directory without changing what it holds; it stays held until the process ends. */
  leave(): void {
    this.#chunks.close();
    // The number of a process that is gone misleads.
    rmSync(join(this.#directory, PID_FILE), { force: true });
    void this.#journal.abandon();
    this.#links.collections.leave();
    this.#links.catalog.leave();
  }

  /**
   * Ends the threads without finishing anything: what was begun is given up, as in a crash. Resolves when they have
   * let go of the directory.
   */
  async abandon(): Promise<void> {
    this.#chunks.close();
    const { catalog, collections } = this.#links;
    await Promise.all([this.#journal.abandon(), collections.terminate(), catalog.terminate()]);
  }
}

const CATALOG_FILE = "catalog.db";
const ENTRY_POINT = "storage/worker.ts";
const PID_FILE = "server.pid";
const SNAPSHOT_PREFIX = "snapshot-";

/** What a process that was killed has left. */
function removeSnapshots(directory: string): void {
  for (const name of readdirSync(directory)) {
    if (name.startsWith(SNAPSHOT_PREFIX)) rmSync(join(directory, name), { recursive: true, force: true });
  }
}

function lockedBy(directory: string): StorageError {
  let process = "another process";
  try {
    process = `process ${readFileSync(join(directory, PID_FILE), "utf8").trim()}`;
  } catch {
    // It has not written its number yet, or is no FluxionDB.
  }
  return new StorageError(
    `The data directory ${directory} is in use by ${process}. Stop it, or use another --data`,
  );
}
