/**
 * All collections' files, one at a time: reads them at a start, writes checkpoints to them. Runs in a worker thread.
 */
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { CollectionFile, type CollectionState } from "./collection_file.ts";
import { COLLECTIONS_FOLDER, encodeFileName } from "./file_name.ts";
import { makeFolder, syncFolder } from "./folder.ts";
import { ADVICE, explainError } from "./sqlite_error.ts";
import {
  CHUNK_COLUMNS,
  type CheckpointPortion,
  type LoadedCollection,
  type LoadedPortion,
  StorageError,
} from "./storage.ts";
import { textListOf } from "./text_list.ts";

const ROWS_A_PORTION = 10_000;
const ROWS_A_MESSAGE = 10_000;
const NO_CHUNKS = new Float64Array(0);
const NO_VALUES = textListOf([]);
/** What SQLite puts beside a database. */
const WAL = "-wal";
const SUFFIXES = ["", WAL, "-shm", "-journal"];

/** Where a collection is kept in a data directory. */
export function collectionPath(directory: string, name: string): string {
  return join(directory, COLLECTIONS_FOLDER, `${encodeFileName(name)}.db`);
}

export class CollectionFiles {
  readonly #directory: string;
  /** The file whose checkpoint was begun. */
  #saving: { name: string; file: CollectionFile } | undefined;
  /** What is left to be read at a start. */
  #loading: Generator<LoadedPortion, undefined> | undefined;

  constructor({ directory }: { directory: string }) {
    this.#directory = directory;
    makeFolder(join(directory, COLLECTIONS_FOLDER));
  }

  /** From the first collection on, `nextPortions` reads these. */
  beginLoading(names: readonly string[]): void {
    this.#loading = this.#portions(names);
  }

  /** So many portions that they make a message worth sending; none at the end. */
  nextPortions(): LoadedPortion[] {
    if (this.#loading === undefined) throw new Error("nothing is being loaded");
    const portions: LoadedPortion[] = [];
    for (let rows = 0; rows < ROWS_A_MESSAGE; ) {
      const { value, done } = this.#loading.next();
      if (done) break;
      portions.push(value);
      // A collection costs about as much as so many rows, even if there is nothing in it.
      rows +=
        20 + value.documents.length + value.chunks.length / CHUNK_COLUMNS + value.values.lengths.length / 2;
    }
    return portions;
  }

  beginCheckpoint(name: string, { isNew }: { isNew: boolean }): void {
    const path = this.#path(name);
    if (isNew) this.#remove(path);
    const file = isNew ? CollectionFile.create(path) : CollectionFile.open(path);
    this.#saving = { name, file };
    file.begin();
  }

  savePortion(portion: CheckpointPortion): void {
    this.#current().file.save(portion);
  }

  commitCheckpoint(last: CheckpointPortion, state: CollectionState): void {
    const { name, file } = this.#current();
    file.save(last);
    file.commit(name, state);
    this.#saving = undefined;
    file.close();
  }

  rollbackCheckpoint(): void {
    const saving = this.#saving;
    this.#saving = undefined;
    saving?.file.close();
  }

  /** Waits until the disk knows of all files that are new. */
  syncFolder(): void {
    const folder = join(this.#directory, COLLECTIONS_FOLDER);
    try {
      syncFolder(folder);
    } catch (error) {
      throw explainError(error, folder);
    }
  }

  /** Writes a collection's file, as of its last checkpoint, to one that is not there yet. */
  copyTo(name: string, folder: string): void {
    const path = this.#path(name);
    const target = join(folder, COLLECTIONS_FOLDER, basename(path));
    mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
    CollectionFile.copy(path, target);
  }

  removeFile(name: string): void {
    this.#remove(this.#path(name));
  }

  /** Also tidies up after the reader of single chunks, which cannot remove SQLite's files beside a database. */
  close(): void {
    this.rollbackCheckpoint();
    const folder = join(this.#directory, COLLECTIONS_FOLDER);
    for (const name of readdirSync(folder)) {
      if (name.endsWith(WAL)) CollectionFile.open(join(folder, name.slice(0, -WAL.length))).close();
    }
  }

  *#portions(names: readonly string[]): Generator<LoadedPortion, undefined> {
    for (const name of names) {
      const path = this.#path(name);
      if (!existsSync(path)) {
        throw new StorageError(
          `${path} is missing: it holds the collection ${JSON.stringify(name)}. ${ADVICE}`,
        );
      }
      const file = CollectionFile.openAtRest(path);
      try {
        yield* portionsOf(file, { name, file: path, ...file.state(name) });
        file.close();
      } catch (error) {
        throw explainError(error, path);
      }
    }
  }

  #current(): { name: string; file: CollectionFile } {
    if (this.#saving === undefined) throw new Error("no checkpoint was begun");
    return this.#saving;
  }

  #path(name: string): string {
    return collectionPath(this.#directory, name);
  }

  #remove(path: string): void {
    try {
      for (const suffix of SUFFIXES) rmSync(path + suffix, { force: true });
    } catch (error) {
      throw explainError(error, path);
    }
  }
}

type Part = Omit<LoadedPortion, "isLast" | "collection">;

/** A file's rows in portions: a large collection in many, a small one in a single one, since each is a message. */
function* portionsOf(file: CollectionFile, collection: LoadedCollection): Iterable<LoadedPortion> {
  let held: Part = { documents: [], chunks: NO_CHUNKS, values: NO_VALUES };
  for (const part of partsOf(file)) {
    if (isJoinable(held, part)) held = joinParts(held, part);
    else {
      yield { ...held, collection, isLast: false };
      held = part;
    }
  }
  yield { ...held, collection, isLast: true };
}

/** Documents first, which the chunks refer to, then chunks, then key-values. */
function* partsOf(file: CollectionFile): Iterable<Part> {
  for (const documents of inPortions(file.documents()))
    yield { documents, chunks: NO_CHUNKS, values: NO_VALUES };
  for (const chunks of file.chunks(ROWS_A_PORTION)) yield { documents: [], chunks, values: NO_VALUES };
  for (const rows of inPortions(file.values())) {
    yield {
      documents: [],
      chunks: NO_CHUNKS,
      values: textListOf(rows.flatMap(({ key, value }) => [key, value])),
    };
  }
}

/** Whether the two hold rows of different kinds, so that each kind keeps its bound. */
function isJoinable(a: Part, b: Part): boolean {
  return (
    (a.documents.length === 0 || b.documents.length === 0) &&
    (a.chunks.length === 0 || b.chunks.length === 0) &&
    (a.values.lengths.length === 0 || b.values.lengths.length === 0)
  );
}

function joinParts(a: Part, b: Part): Part {
  return {
    documents: a.documents.length > 0 ? a.documents : b.documents,
    chunks: a.chunks.length > 0 ? a.chunks : b.chunks,
    values: a.values.lengths.length > 0 ? a.values : b.values,
  };
}

function* inPortions<Row>(rows: Iterable<Row>): Iterable<Row[]> {
  let portion: Row[] = [];
  for (const row of rows) {
    portion.push(row);
    if (portion.length < ROWS_A_PORTION) continue;
    yield portion;
    portion = [];
  }
  if (portion.length > 0) yield portion;
}
