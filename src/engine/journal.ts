/**
 * Group commit: joins the write commands of one turn of the event loop into a group, and hands it to the storage.
 *
 * Mostly that writes it at once, and all of them are answered in the same turn. Where it has to wait for the disk, the
 * next group gathers meanwhile, so a lone client waits for one commit and a thousand clients share one. Groups never
 * overlap, so the journal's order is the order in which memory saw the commands.
 */
import { COMMA, QUOTE } from "../protocol/ascii.ts";
import { DatabaseError } from "../protocol/errors.ts";
import { GROUP_HEAD_BYTES, type Storage } from "../storage/storage.ts";
import type { Written } from "./database.ts";
import { COLUMN_TEXT_END, COLUMNS, type InsertBatch } from "./insert_batch.ts";
import {
  type Command,
  ENTRY_COMMAND,
  ENTRY_DOCUMENT,
  ENTRY_HEAD_BYTES,
  ENTRY_INSERT,
  ENTRY_RESET,
  ENTRY_VALUE,
  INSERT_ROW_BYTES,
  writeCommand,
} from "./journal_entry.ts";
import { neverInline } from "./never_inline.ts";
import type { RawText } from "./raw_text.ts";
import type { Series } from "./series.ts";
import { COPIED_HERE_BYTES_MAX, copyBytes, copyText } from "./text_copy.ts";

const BYTES_AT_FIRST = 256 * 1024;
/** A buffer that a large group made grow beyond this is given up when so many groups in a row have not needed it. */
const BYTES_KEPT = 2 * 1024 * 1024;
const GROUPS_KEPT = 1000;
const RETRY_MS = 1000;
/** A UTF-16 code unit takes this many bytes at most. */
const UTF8_BYTES_MAX = 3;

type JournalStorage = Pick<Storage, "beginSegment" | "commitGroup" | "lastGroup" | "durableGroup">;

export class Journal {
  readonly #storage: JournalStorage;
  /** The group that gathers. */
  #bytes: Buffer = Buffer.allocUnsafeSlow(BYTES_AT_FIRST);
  /** The same memory. */
  #view = new DataView(this.#bytes.buffer);
  #length = GROUP_HEAD_BYTES;
  /** The buffer of a group that is being written meanwhile, which gathers again after it: two are enough. */
  #otherBytes: Buffer = Buffer.allocUnsafeSlow(0);
  /** How many groups in a row have needed no large buffer. */
  #spareGroups = 0;
  /** The number of the group that gathers. */
  #group: number;
  /** Documents are named once a segment, and numbered from the first number that no segment before has given. */
  #firstNumber = 0;
  #nextNumber = 0;
  #gathering: PromiseWithResolvers<void> | undefined;
  #isScheduled = false;
  /** The group that is being written, or that the disk did not take and that is tried again. */
  #writing: Promise<void> | undefined;
  /** Whether the storage has it, the last time it was asked. */
  #attempt: Promise<void> | undefined;
  #failure: Error | undefined;
  /** The documents' numbers in the segment, of the batch that is being written down. */
  #documents = new Int32Array(1024);

  constructor(storage: JournalStorage) {
    neverInline(this.insert, this.value, this.#handOver);
    this.#storage = storage;
    this.#group = storage.lastGroup + 1;
  }

  /** The newest group that is closed: all that memory has seen is in it, in those before it, or still gathers. */
  get lastClosedGroup(): number {
    return this.#group - 1;
  }

  /** Up to which group all is known to be on the disk. */
  get durableGroup(): number {
    return this.#storage.durableGroup;
  }

  /** What the disk last said, while it takes nothing. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Call before memory is changed. @throws DatabaseError `storage_failed` while the disk takes nothing. */
  ensureWritable(): void {
    if (this.#failure !== undefined) throw notSaved(this.#failure);
  }

  /**
   * Ends what the next checkpoint is going to save, and returns the number of its last group: what comes after it can be
   * read without it.
   *
   * @throws what the disk says while it takes nothing
   */
  async endSegment(): Promise<number> {
    while (this.#writing !== undefined) {
      if (this.#failure !== undefined) throw this.#failure;
      await Promise.allSettled([this.#attempt]);
    }
    this.#handOver();
    this.#firstNumber = this.#nextNumber;
    this.#storage.beginSegment();
    return this.lastClosedGroup;
  }

  /** Notes that the records `[from, to)` of the batch being written down belong to a document. */
  nameDocument(from: number, to: number, series: Series): void {
    if (series.journalNumber < this.#firstNumber) this.#nameSeries(series);
    if (to > this.#documents.length) {
      const larger = new Int32Array(Math.max(to, this.#documents.length * 2));
      larger.set(this.#documents);
      this.#documents = larger;
    }
    const place = series.journalNumber - this.#firstNumber;
    for (let index = from; index < to; index++) this.#documents[index] = place;
  }

  /** Writes a batch down; `nameDocument` was called for all of its records. */
  insert(batch: InsertBatch): Written {
    const { count, columns } = batch;
    const rowBytes = 4 + count * INSERT_ROW_BYTES;
    let at = this.#beginEntry(ENTRY_INSERT, rowBytes + batch.textLength);
    const view = this.#view;
    const documents = this.#documents;
    view.setInt32(at, count, true);
    at += 4;
    let textStart = 0;
    for (let index = 0; index < count; index++) {
      const textEnd = columns[index * COLUMNS + COLUMN_TEXT_END] as number;
      view.setInt32(at, documents[index] as number, true);
      view.setInt32(at + 4, textEnd - textStart, true);
      at += INSERT_ROW_BYTES;
      textStart = textEnd;
    }
    const { textLength } = batch;
    if (textLength > COPIED_HERE_BYTES_MAX) batch.text.copy(this.#bytes, at, 0, textLength);
    else copyText(batch.textView, 0, view, at, textLength);
    return this.#waitForCommit();
  }

  value(col: RawText, key: RawText, value: RawText): Written {
    // Three texts in quotes, and two commas.
    let at = this.#beginEntry(ENTRY_VALUE, col.length + key.length + value.length + 8);
    const bytes = this.#bytes;
    at = writeText(bytes, at, col);
    bytes[at] = COMMA;
    at = writeText(bytes, at + 1, key);
    bytes[at] = COMMA;
    writeText(bytes, at + 1, value);
    return this.#waitForCommit();
  }

  command(command: Command): Written {
    const json = writeCommand(command);
    const at = this.#beginEntry(ENTRY_COMMAND, json.length * UTF8_BYTES_MAX);
    this.#endEntry(at, this.#bytes.write(json, at));
    return this.#waitForCommit();
  }

  /**
   * Resolves when all that was written down so far is committed, however much comes meanwhile.
   *
   * @throws what the disk says, when it does not take it
   */
  async committed(): Promise<void> {
    this.ensureWritable();
    if (this.#isGathering) await this.#waitForCommit();
    else if (this.#writing !== undefined) await this.#attempt;
  }

  /**
   * Resolves when all that was written down so far is committed.
   *
   * @throws what the disk says, when it does not take it
   */
  async drain(): Promise<void> {
    while (this.#isGathering || this.#writing !== undefined) {
      if (this.#failure !== undefined) throw this.#failure;
      this.#handOver();
      // Not the writing itself: it goes on trying while the disk refuses.
      await Promise.allSettled([this.#attempt]);
    }
  }

  #nameSeries(series: Series): void {
    if (this.#nextNumber === this.#firstNumber) this.#beginEntry(ENTRY_RESET, 0);
    series.journalNumber = this.#nextNumber++;
    const collection = series.host.name;
    const document = series.name;
    let at = this.#beginEntry(ENTRY_DOCUMENT, 4 + collection.length + document.length);
    this.#view.setInt32(at, collection.length, true);
    at += 4;
    at += collection.slab.bytes.copy(this.#bytes, at, collection.start, collection.end);
    document.slab.bytes.copy(this.#bytes, at, document.start, document.end);
  }

  /** Makes room for an entry, writes its head, and returns where its payload goes. */
  #beginEntry(kind: number, payloadBytes: number): number {
    const at = this.#length;
    const end = at + ENTRY_HEAD_BYTES + payloadBytes;
    if (end > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(end, this.#bytes.length * 2));
      this.#bytes.copy(larger, 0, 0, at);
      this.#use(larger);
    }
    this.#bytes[at] = kind;
    this.#view.setInt32(at + 1, payloadBytes, true);
    this.#length = end;
    return at + ENTRY_HEAD_BYTES;
  }

  /** Says how long the payload of the entry that was begun last has become: no longer than what was asked for. */
  #endEntry(start: number, payloadBytes: number): void {
    this.#view.setInt32(start - 4, payloadBytes, true);
    this.#length = start + payloadBytes;
  }

  #waitForCommit(): Promise<void> {
    this.#gathering ??= Promise.withResolvers<void>();
    if (this.#writing === undefined) this.#schedule();
    return this.#gathering.promise;
  }

  get #isGathering(): boolean {
    return this.#length > GROUP_HEAD_BYTES;
  }

  /** Hands the group over at the end of the turn: it holds all that clients have sent before they wait. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#handOverScheduled);
  }

  readonly #handOverScheduled = (): void => {
    this.#isScheduled = false;
    this.#handOver();
  };

  #handOver(): void {
    if (this.#writing !== undefined || !this.#isGathering) return;
    const waiting = this.#gathering;
    const group = { number: this.#group++, bytes: this.#bytes, length: this.#length };
    this.#gathering = undefined;
    this.#length = GROUP_HEAD_BYTES;
    const isLarge = group.length > BYTES_KEPT;
    this.#spareGroups = isLarge ? 0 : this.#spareGroups + 1;
    const written = this.#commit(group);
    if (written === undefined) waiting?.resolve();
    else {
      // Its bytes are in use until it is written.
      this.#use(this.#otherBytes);
      this.#otherBytes = group.bytes;
      this.#writing = this.#finish(group, written, waiting);
    }
    const isKept = this.#bytes.length <= BYTES_KEPT || this.#spareGroups < GROUPS_KEPT;
    if (!isKept || this.#bytes.length === 0) this.#use(Buffer.allocUnsafeSlow(BYTES_AT_FIRST));
  }

  #use(bytes: Buffer): void {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }

  #commit({ number, bytes, length }: Group): Promise<void> | undefined {
    try {
      return this.#storage.commitGroup(number, bytes, length);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * A group the disk does not take is tried again until it does: what comes later builds on it. Those who wait for it
   * are told at once, and new writes are refused meanwhile.
   */
  async #finish(
    group: Group,
    written: Promise<void>,
    waiting: PromiseWithResolvers<void> | undefined,
  ): Promise<void> {
    this.#attempt = written;
    for (;;) {
      try {
        await this.#attempt;
        break;
      } catch (error) {
        this.#failure = error instanceof Error ? error : new Error(String(error));
        waiting?.reject(notSaved(this.#failure));
        this.#gathering?.reject(notSaved(this.#failure));
        this.#gathering = undefined;
        await Bun.sleep(RETRY_MS);
        this.#attempt = this.#commit(group);
      }
    }
    this.#failure = undefined;
    this.#writing = undefined;
    waiting?.resolve();
    if (this.#isGathering) this.#schedule();
  }
}

type Group = { readonly number: number; readonly bytes: Buffer; readonly length: number };

function notSaved(cause: Error): DatabaseError {
  return new DatabaseError("storage_failed", `The disk does not take writes: ${cause.message}`, { cause });
}

/** Writes a text as a JSON string. Returns where it ends. */
function writeText(target: Buffer, at: number, { bytes, start, end }: RawText): number {
  target[at] = QUOTE;
  const behind = copyBytes(bytes, start, end, target, at + 1);
  target[behind] = QUOTE;
  return behind + 1;
}
