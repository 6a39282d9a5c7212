/**
 * Group commit: joins the write commands that wait into one group, and hands it to the storage.
 *
 * While one group is being written the next gathers, so a lone client waits for one commit and a thousand clients
 * share one. Groups never overlap, so the journal's order is the order in which memory saw the commands.
 */
import { DatabaseError } from "../protocol/errors.ts";
import type { Storage } from "../storage/storage.ts";
import type { Written } from "./database.ts";
import { COLUMN_TEXT_END, COLUMNS, type InsertBatch } from "./insert_batch.ts";
import {
  type Command,
  ENTRY_COMMAND,
  ENTRY_DOCUMENT,
  ENTRY_HEAD_BYTES,
  ENTRY_INSERT,
  INSERT_ROW_BYTES,
  writeCommand,
} from "./journal_entry.ts";
import type { Name } from "./name.ts";
import type { Series } from "./series.ts";

const BYTES_AT_FIRST = 256 * 1024;
/** A buffer that a large group made grow beyond this is given up when so many groups in a row have not needed it. */
const BYTES_KEPT = 2 * 1024 * 1024;
const GROUPS_KEPT = 1000;
const RETRY_MS = 1000;
/** A UTF-16 code unit takes this many bytes at most. */
const UTF8_BYTES_MAX = 3;
/** A stream of writes that never pauses is cut into groups of about this many turns of the event loop. */
const GATHERING_TURNS_MAX = 16;

type JournalStorage = Pick<Storage, "commitGroup" | "lastGroup">;

export class Journal {
  readonly #storage: JournalStorage;
  /** The group that gathers; shared memory, so that handing it to another thread copies nothing. */
  #bytes = sharedBuffer(BYTES_AT_FIRST);
  #length = 0;
  /** The buffer of the group that is being written, which gathers again after it: two are enough. */
  #otherBytes = sharedBuffer(BYTES_AT_FIRST);
  /** How many groups in a row have needed no large buffer. */
  #spareGroups = 0;
  /** The number of the group that gathers. */
  #group: number;
  #documentCount = 0;
  #gathering: PromiseWithResolvers<void> | undefined;
  #isScheduled = false;
  /** The group that is being written, or that the disk did not take and that is tried again. */
  #writing: Promise<void> | undefined;
  #failure: Error | undefined;
  /** The documents' numbers in the group, of the batch that is being written down. */
  #documents = new Int32Array(1024);

  constructor(storage: JournalStorage) {
    this.#storage = storage;
    this.#group = storage.lastGroup + 1;
  }

  /** The newest group that is closed: all that memory has seen is in it, in those before it, or still gathers. */
  get lastClosedGroup(): number {
    return this.#group - 1;
  }

  /** What the disk last said, while it takes nothing. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Call before memory is changed. @throws DatabaseError `storage_failed` while the disk takes nothing. */
  ensureWritable(): void {
    if (this.#failure !== undefined) throw notSaved(this.#failure);
  }

  /** Notes that the next record of the batch being written down belongs to a document. */
  nameDocument(index: number, collection: Name, series: Series): void {
    if (series.journalGroup !== this.#group) {
      series.journalGroup = this.#group;
      series.journalIndex = this.#documentCount++;
      this.#writeDocument(collection, series.name);
    }
    if (index >= this.#documents.length) {
      const larger = new Int32Array(this.#documents.length * 2);
      larger.set(this.#documents);
      this.#documents = larger;
    }
    this.#documents[index] = series.journalIndex;
  }

  /** Writes a batch down; `nameDocument` was called for each of its records. */
  insert(batch: InsertBatch): Written {
    const { count, columns } = batch;
    const rowBytes = 4 + count * INSERT_ROW_BYTES;
    let at = this.#beginEntry(ENTRY_INSERT, rowBytes + batch.textLength);
    const bytes = this.#bytes;
    at = bytes.writeUInt32LE(count, at);
    let textStart = 0;
    for (let index = 0; index < count; index++) {
      const textEnd = columns[index * COLUMNS + COLUMN_TEXT_END] as number;
      at = writeUInt32(bytes, at, this.#documents[index] as number);
      at = writeUInt32(bytes, at, textEnd - textStart);
      textStart = textEnd;
    }
    batch.text.copy(bytes, at, 0, batch.textLength);
    return this.#waitForCommit();
  }

  command(command: Command): Written {
    const json = writeCommand(command);
    const at = this.#beginEntry(ENTRY_COMMAND, json.length * UTF8_BYTES_MAX);
    this.#endEntry(at, this.#bytes.write(json, at));
    return this.#waitForCommit();
  }

  /** Resolves when all that was written down so far is committed, however much comes meanwhile. @throws DatabaseError */
  async committed(): Promise<void> {
    this.ensureWritable();
    await (this.#length > 0 ? this.#waitForCommit() : this.#writing);
  }

  /** Resolves when all that was written down so far is committed, or was refused. */
  async drain(): Promise<void> {
    while (this.#length > 0 || this.#writing !== undefined) {
      if (this.#failure !== undefined) throw this.#failure;
      this.#handOver();
      await this.#writing?.catch(() => {});
    }
  }

  #writeDocument(collection: Name, document: Name): void {
    const collectionBytes = collection.end - collection.start;
    const documentBytes = document.end - document.start;
    let at = this.#beginEntry(ENTRY_DOCUMENT, 4 + collectionBytes + documentBytes);
    at = writeUInt32(this.#bytes, at, collectionBytes);
    at += collection.slab.bytes.copy(this.#bytes, at, collection.start, collection.end);
    document.slab.bytes.copy(this.#bytes, at, document.start, document.end);
  }

  /** Makes room for an entry, writes its head, and returns where its payload goes. */
  #beginEntry(kind: number, payloadBytes: number): number {
    const at = this.#length;
    const end = at + ENTRY_HEAD_BYTES + payloadBytes;
    if (end > this.#bytes.length) {
      const larger = sharedBuffer(Math.max(end, this.#bytes.length * 2));
      this.#bytes.copy(larger, 0, 0, at);
      this.#bytes = larger;
    }
    this.#bytes[at] = kind;
    writeUInt32(this.#bytes, at + 1, payloadBytes);
    this.#length = end;
    return at + ENTRY_HEAD_BYTES;
  }

  /** Says how long the payload of the entry that was begun last has become: no longer than what was asked for. */
  #endEntry(start: number, payloadBytes: number): void {
    writeUInt32(this.#bytes, start - 4, payloadBytes);
    this.#length = start + payloadBytes;
  }

  #waitForCommit(): Promise<void> {
    this.#gathering ??= Promise.withResolvers<void>();
    if (this.#writing === undefined) this.#schedule();
    return this.#gathering.promise;
  }

  /**
   * Hands the group over when a turn of the event loop has brought nothing more. So it holds all that clients have sent
   * before they wait: waking the other thread costs as much as a hundred records, and a quiet turn next to nothing.
   */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    let turnsLeft = GATHERING_TURNS_MAX;
    let lengthBefore = this.#length;
    const look = (): void => {
      if (this.#length > lengthBefore && turnsLeft-- > 0) {
        lengthBefore = this.#length;
        setImmediate(look);
      } else {
        this.#isScheduled = false;
        this.#handOver();
      }
    };
    setImmediate(look);
  }

  #handOver(): void {
    if (this.#writing !== undefined || this.#length === 0) return;
    const body = new Uint8Array(this.#bytes.buffer, 0, this.#length);
    const waiting = this.#gathering;
    this.#writing = this.#write(this.#group, body, waiting);
    this.#gathering = undefined;
    this.#length = 0;
    this.#documentCount = 0;
    this.#group++;
    const gathering = this.#otherBytes;
    this.#otherBytes = this.#bytes;
    this.#spareGroups = body.length > BYTES_KEPT ? 0 : this.#spareGroups + 1;
    const isKept = gathering.length <= BYTES_KEPT || this.#spareGroups < GROUPS_KEPT;
    this.#bytes = isKept ? gathering : sharedBuffer(BYTES_AT_FIRST);
  }

  /**
   * A group the disk does not take is tried again until it does: what comes later builds on it. Those who wait for it
   * are told at once, and new writes are refused meanwhile.
   */
  async #write(
    number: number,
    body: Uint8Array,
    waiting: PromiseWithResolvers<void> | undefined,
  ): Promise<void> {
    for (;;) {
      try {
        await this.#storage.commitGroup(number, body);
        break;
      } catch (error) {
        this.#failure = error instanceof Error ? error : new Error(String(error));
        waiting?.reject(notSaved(this.#failure));
        this.#gathering?.reject(notSaved(this.#failure));
        this.#gathering = undefined;
        await Bun.sleep(RETRY_MS);
      }
    }
    this.#failure = undefined;
    this.#writing = undefined;
    waiting?.resolve();
    if (this.#length > 0) this.#schedule();
  }
}

const sharedBuffer = (size: number): Buffer => Buffer.from(new SharedArrayBuffer(size));

function notSaved(cause: Error): DatabaseError {
  return new DatabaseError("storage_failed", `The disk does not take writes: ${cause.message}`, { cause });
}

function writeUInt32(bytes: Buffer, at: number, value: number): number {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
  return at + 4;
}
