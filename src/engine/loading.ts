/**
 * A start: checkpoints first, then what the journal has beyond them.
 */
import { damagedFile } from "../storage/sqlite_error.ts";
import {
  CHUNK_COLUMNS,
  CHUNK_COUNT,
  CHUNK_DOCUMENT,
  CHUNK_FIRST_HIGH,
  CHUNK_FIRST_LOW,
  CHUNK_ID,
  CHUNK_LAST_HIGH,
  CHUNK_LAST_LOW,
  type JournalGroup,
  type LoadedCollection,
  type LoadedPortion,
  type Storage,
  StorageError,
  type ValueRows,
} from "../storage/storage.ts";
import { CHUNK_COUNT_MAX } from "./chunk.ts";
import type { Collection } from "./collection.ts";
import { type Command, type GroupReader, readGroup } from "./journal_entry.ts";
import { RawText } from "./raw_text.ts";
import { readTimestampAt } from "./record_text.ts";
import { noRecord, takeSource } from "./rendered.ts";
import type { Series } from "./series.ts";

/** What a start does to the database. */
export interface LoadTarget {
  collection(name: string): Collection | undefined;
  addCollection(name: string): Collection;
  /** `isNewFor` tells whether a collection's checkpoint does not hold the command yet. */
  apply(command: Command, isNewFor: (collection: Collection) => boolean): void;
  /** Called after groups of the journal, with the number of the last of them: memory may have run short. */
  replayed(group: number): Promise<void>;
}

/** @throws StorageError that names the damaged file */
export async function loadDatabase(storage: Storage, target: LoadTarget): Promise<void> {
  const newest = await loadCollections(storage, target);
  const replay = new Replay(target);
  for (;;) {
    const groups = await storage.nextGroups();
    const last = groups.at(-1);
    if (last === undefined) break;
    for (const group of groups) replay.group(group);
    await target.replayed(last.number);
  }
  if (newest === undefined || newest.journalPosition <= storage.lastGroup) return;
  // Otherwise groups to come would get numbers that it has seen.
  const problem = `it has seen group ${newest.journalPosition}, and the journal ends with ${storage.lastGroup}`;
  throw damagedFile(
    newest.file,
    `${problem}: catalog.db or the journal is older, or a part of it is missing`,
  );
}

/** Returns the collection that has seen the newest group. */
async function loadCollections(storage: Storage, target: LoadTarget): Promise<LoadedCollection | undefined> {
  let loading: Loading | undefined;
  let newest: LoadedCollection | undefined;
  let next = storage.nextPortions();
  for (;;) {
    const portions = await next;
    if (portions.length === 0) return newest;
    // The storage reads on meanwhile; what goes wrong there is told in the next round.
    next = storage.nextPortions();
    next.catch(() => {});
    for (const portion of portions) {
      loading ??= {
        collection: target.addCollection(portion.collection.name),
        loaded: portion.collection,
        documents: new Map(),
      };
      loadPortion(loading, portion);
      if (!portion.isLast) continue;
      finishCollection(loading);
      if (newest === undefined || loading.loaded.journalPosition > newest.journalPosition) {
        newest = loading.loaded;
      }
      loading = undefined;
    }
  }
}

/** Where the texts of a key-value are put. */
const LOADED_KEY = new RawText();
const LOADED_VALUE = new RawText();

/** The collection whose portions are being read, and its documents by their numbers on disk. */
type Loading = {
  readonly collection: Collection;
  readonly loaded: LoadedCollection;
  readonly documents: Map<number, Series>;
};

function loadPortion({ collection, loaded, documents }: Loading, portion: LoadedPortion): void {
  for (const { id, name } of portion.documents) {
    documents.set(id, collection.loadDocument(name, id));
  }
  loadChunks(collection, documents, { columns: portion.chunks, file: loaded.file });
  loadValues(collection, portion.values);
}

function loadValues({ values }: Collection, { lengths, bytes }: ValueRows): void {
  const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  for (let index = 0; index < lengths.length; index += 2) {
    const keyEnd = at + (lengths[index] as number);
    const valueEnd = keyEnd + (lengths[index + 1] as number);
    values.load(LOADED_KEY.point(source, at, keyEnd), LOADED_VALUE.point(source, keyEnd, valueEnd));
    at = valueEnd;
  }
}

function finishCollection({ collection, loaded, documents }: Loading): void {
  collection.isSaved = true;
  collection.journalPosition = loaded.journalPosition;
  for (const series of documents.values()) {
    const problem =
      series.recordCount === 0 ? `document ${series.id} has no records` : series.problemAfterLoad();
    if (problem !== undefined) throw damagedFile(loaded.file, problem);
    collection.recordCount += series.recordCount;
  }
  checkCounts(collection, loaded);
}

function loadChunks(
  collection: Collection,
  documents: ReadonlyMap<number, Series>,
  { columns, file }: { columns: Float64Array; file: string },
): void {
  const column = (row: number, index: number): number => columns[row + index] as number;
  for (let row = 0; row < columns.length; row += CHUNK_COLUMNS) {
    const series = documents.get(column(row, CHUNK_DOCUMENT));
    if (series === undefined)
      throw damagedFile(file, `chunk ${column(row, CHUNK_ID)} belongs to no document`);
    const count = column(row, CHUNK_COUNT);
    if (count > CHUNK_COUNT_MAX)
      throw damagedFile(file, `chunk ${column(row, CHUNK_ID)} has ${count} records`);
    const chunk = collection.chunks.createCold(series);
    chunk.id = column(row, CHUNK_ID);
    chunk.count = count;
    chunk.firstHigh = column(row, CHUNK_FIRST_HIGH);
    chunk.firstLow = column(row, CHUNK_FIRST_LOW);
    chunk.lastHigh = column(row, CHUNK_LAST_HIGH);
    chunk.lastLow = column(row, CHUNK_LAST_LOW);
    series.load(chunk);
    collection.lastChunkId = Math.max(collection.lastChunkId, chunk.id);
  }
}

function checkCounts(collection: Collection, { counts, file }: LoadedCollection): void {
  const found = {
    documents: collection.documents.size,
    chunks: collection.chunkCount,
    records: collection.recordCount,
    values: collection.values.size,
  };
  for (const [what, count] of Object.entries(found) as [keyof typeof found, number][]) {
    if (count !== counts[what])
      throw damagedFile(file, `it should hold ${counts[what]} ${what}, and holds ${count}`);
  }
}

/** A document that inserts are for, and where it is, as far as that is known. */
type Target = {
  readonly collectionName: string;
  readonly name: string;
  collection: Collection | undefined;
  series: Series | undefined;
};

class Replay implements GroupReader {
  readonly #target: LoadTarget;
  /** By their numbers in the journal. */
  #documents: Target[] = [];
  /** The number of the group at hand. */
  #number = 0;
  readonly #rendered = noRecord();
  readonly #isNewFor = (collection: Collection): boolean => collection.journalPosition < this.#number;

  constructor(target: LoadTarget) {
    this.#target = target;
  }

  group({ number, body, isAlone }: JournalGroup): void {
    this.#number = number;
    if (isAlone) this.reset();
    try {
      readGroup(Buffer.from(body.buffer, body.byteOffset, body.byteLength), this);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new StorageError(`Group ${number} of the journal cannot be read: ${reason}`, { cause });
    }
  }

  reset(): void {
    this.#documents = [];
  }

  document(collectionName: string, name: string): void {
    this.#documents.push({ collectionName, name, collection: undefined, series: undefined });
  }

  insert(index: number, text: Buffer, from: number, to: number): void {
    const document = this.#documents[index];
    if (document === undefined) throw new RangeError("an insert is for a document that is not named");
    let { collection } = document;
    if (collection === undefined || collection.isGone) {
      const name = document.collectionName;
      collection = this.#target.collection(name) ?? this.#target.addCollection(name);
      document.collection = collection;
      document.series = undefined;
    }
    if (!this.#isNewFor(collection)) return;
    let { series } = document;
    if (series === undefined || series.isGone) {
      series = collection.documents.get(document.name) ?? collection.addDocument(document.name);
      document.series = series;
    }
    const record = this.#rendered;
    if (record.source !== text) takeSource(record, text);
    record.from = from;
    record.to = to;
    readTimestampAt(text, from, record);
    collection.recordCount += series.insert(record);
  }

  command(command: Command): void {
    this.#target.apply(command, this.#isNewFor);
  }
}
