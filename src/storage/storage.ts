/**
 * The storage contract: what the engine asks of whatever keeps its data.
 *
 * Three things are kept: the journal (groups of write commands, in order), checkpoints (the state of each collection
 * as of a place in the journal) and API keys. SqliteStorage is the implementation.
 */
import type { Scope } from "../protocol/scope.ts";
import type { TextList } from "./text_list.ts";

/** What `--durability` may be. */
export const DURABILITIES = ["always", "everysec", "interval"] as const;
export type Durability = (typeof DURABILITIES)[number];

/** An API key as it is stored: nothing in it authenticates. */
export type StoredApiKey = {
  /** SHA-256 of the key's UTF-8. */
  readonly digest: Uint8Array;
  readonly scope: Scope;
  /** What it is held to beside that, as JSON; null for most. */
  readonly limits: string | null;
  /** The key itself, sealed with the master key. */
  readonly sealed: Uint8Array;
};

export type ApiKeyStorage = {
  /** Adds or replaces the key of that digest; resolves when it is durable. */
  putApiKey(key: StoredApiKey): Promise<void>;
  deleteApiKey(digest: Uint8Array): Promise<void>;
};

/** One chunk's numbers in columns, at `index * CHUNK_COLUMNS + column`. */
export const CHUNK_ID = 0;
export const CHUNK_DOCUMENT = 1;
export const CHUNK_COUNT = 2;
export const CHUNK_FIRST_HIGH = 3;
export const CHUNK_FIRST_LOW = 4;
export const CHUNK_LAST_HIGH = 5;
export const CHUNK_LAST_LOW = 6;
export const CHUNK_BODY_BYTES = 7;
/** 1: the body is packed; 0: it is what would be packed, and the storage packs it. */
export const CHUNK_IS_PACKED = 8;
/** 1: its document's newest chunk, which goes on growing; 0: it has its final size, as a rule. */
export const CHUNK_IS_NEWEST = 9;
export const CHUNK_COLUMNS = 10;

/** Chunks in columns, their bodies (see engine/chunk_codec.ts) one after another: cheap to hand to another thread. */
export type ChunkRows = { readonly columns: Float64Array; readonly bodies: Uint8Array };

export type DocumentRow = { readonly id: number; readonly name: string };

export type DocumentRows = { readonly ids: Float64Array; readonly names: TextList };

/** Keys and values in turn; a key that was removed has no value. */
export type ValueRows = TextList;

/**
 * A part of what has changed in a collection. What is named in one portion may be removed in a later one, never the
 * other way round, and a document's chunks are removed by their own numbers.
 */
export type CheckpointPortion = {
  readonly removedDocuments: Float64Array;
  readonly removedChunks: Float64Array;
  readonly newDocuments: DocumentRows;
  readonly chunks: ChunkRows;
  readonly values: ValueRows;
};

/** What a collection holds as of a checkpoint: a start counts again. */
export type CollectionCounts = {
  readonly documents: number;
  readonly chunks: number;
  readonly records: number;
  readonly values: number;
};

/** A part of a collection as a start reads it; chunks are the columns of ChunkRows as far as CHUNK_BODY_BYTES. */
export type LoadedPortion = {
  readonly collection: LoadedCollection;
  readonly documents: readonly DocumentRow[];
  readonly chunks: Float64Array;
  readonly values: ValueRows;
  readonly isLast: boolean;
};

export type LoadedCollection = {
  readonly name: string;
  /** Up to which group of the journal it reaches. */
  readonly journalPosition: number;
  readonly counts: CollectionCounts;
  /** For error messages. */
  readonly file: string;
};

export type JournalGroup = {
  readonly number: number;
  readonly body: Uint8Array;
  /** Whether it is of format 1, which knew nothing of what was named in other groups. */
  readonly isAlone?: boolean;
};

/** What a group's buffer leaves free before its body. */
export const GROUP_HEAD_BYTES = 28;

export interface Storage extends ApiKeyStorage {
  /** Whether write commands are to be journaled; without, checkpoints alone keep data. */
  readonly hasJournal: boolean;

  apiKeys(): readonly StoredApiKey[];

  /**
   * All collections' checkpoints, one collection after another, each in portions that follow each other; an empty list
   * at the end.
   *
   * @throws StorageError that names the damaged file
   */
  nextPortions(): Promise<readonly LoadedPortion[]>;

  /**
   * Reads the packed body of a chunk as of its collection's last checkpoint, at once: a few microseconds where the
   * system still holds the file's page, the time of one read of the disk where not.
   *
   * @throws StorageError when it cannot be read, or is damaged
   */
  readChunk(collection: string, id: number): Uint8Array;

  /**
   * What the journal has beyond the last checkpoint of all collections: groups in order, an empty list at the end. Their
   * bodies hold until it is called again.
   *
   * @throws StorageError that names the damaged file
   */
  nextGroups(): Promise<readonly JournalGroup[]>;
  /** The number of the newest group that was written, as soon as all were read. */
  readonly lastGroup: number;
  /** Up to which group all is known to be on the disk. */
  readonly durableGroup: number;

  /**
   * Writes a group, the one after the last; its body lies in `bytes` from GROUP_HEAD_BYTES up to `length`, and what is
   * before it is the storage's. It is as durable as the mode promises when the promise resolves, or at once where there
   * is none; until then `bytes` stays as it is.
   *
   * @throws StorageError, at once or later, when the disk did not take it; the same group may be tried again
   */
  commitGroup(number: number, bytes: Buffer, length: number): Promise<void> | undefined;
  /** What is committed from here on can be kept when what was committed before is cut off. */
  beginSegment(): void;
  /** Resolves when all groups that were committed before are on the disk, whatever the mode. @throws StorageError */
  syncJournal(): Promise<void>;
  /**
   * Ends a checkpoint of all collections: forgets the groups up to and including a number, the last one before a
   * segment began, or the last of all. Not while groups are still to be read.
   */
  cutJournal(upTo: number): Promise<void>;

  /** Begins one collection's checkpoint; `isNew` replaces whatever is stored under that name. */
  beginCheckpoint(name: string, options: { isNew: boolean }): Promise<void>;
  savePortion(portion: CheckpointPortion): Promise<void>;
  /** Makes the checkpoint's portions, and this last one, the collection's state, all at once and durably. */
  commitCheckpoint(
    last: CheckpointPortion,
    state: { journalPosition: number; counts: CollectionCounts },
  ): Promise<void>;
  /** Gives up the checkpoint that was begun. */
  rollbackCheckpoint(): Promise<void>;
  dropCollection(name: string): Promise<void>;

  /**
   * Copies all that is stored into a folder of its own, as of one moment. Commits and checkpoints go on, but the journal
   * must not be cut.
   *
   * @param committed called when collections are copied: resolves when all that they may hold is in the journal too.
   * @throws StorageError also when there is no room for the copy
   */
  snapshot(committed: () => Promise<void>): Promise<Snapshot>;

  close(): Promise<void>;
}

/** Told of each group's commit; they never overlap. One that failed is tried again, and begins again. */
export interface CommitObserver {
  commitBegan(): void;
  commitEnded(): void;
}

/** A copy of a data directory; whoever has it removes it. */
export type Snapshot = { readonly folder: string; readonly takenAt: Date; remove(): Promise<void> };

/** What is wrong with the disk or with what is on it, in words for an operator: the file, the problem, what to do. */
export class StorageError extends Error {
  override readonly name = "StorageError";
}

/** A file that a newer server has written: it is not damaged. */
export class NewerFormatError extends StorageError {}
