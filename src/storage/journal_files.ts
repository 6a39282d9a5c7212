/**
 * The journal: groups of write commands, appended to files. Runs on the main thread.
 *
 * A checkpoint begins a new segment, and drops those before it when it has ended; a large one ends by itself.
 *
 * A file that could not be synced is never trusted again: the system forgets what it could not write once it has
 * said so, and says that all is well the next time. What was not synced is then copied to another file.
 */
import { constants } from "node:fs";
import { join } from "node:path";
import { syncData, unlinkFile } from "./disk_call.ts";
import { fileBytes, sumOfSizes } from "./file_size.ts";
import { GroupWriter } from "./group_writer.ts";
import type { JournalExtent } from "./journal_copy.ts";
import { isOutOfFiles, JournalFolder } from "./journal_folder.ts";
import { type GroupStamp, sealGroup, sealMark } from "./journal_group.ts";
import { readJournal } from "./journal_reader.ts";
import {
  boundOf,
  JOURNAL_FOLDER,
  placeIn,
  readJournalFolder,
  type Segment,
  saltOf,
  segmentPath,
} from "./journal_segment.ts";
import { JournalSpares } from "./journal_spares.ts";
import { copySegments } from "./segment_copy.ts";
import { explainError, explaining } from "./sqlite_error.ts";
import { type Durability, type JournalGroup, StorageError } from "./storage.ts";

const SYNC_MS = 1000;
/** A segment ends when it has become larger. */
const SEGMENT_BYTES_MAX = 64 * 1024 * 1024;
/** Where a system has it, a write through such a descriptor waits for the disk by itself. */
const WRITE_SYNCED = (constants.O_DSYNC as number | undefined) ?? 0;

export type JournalFilesOptions = {
  readonly directory: string;
  readonly durability: Durability;
  /** How long after a write all is synced. */
  readonly syncMs?: number;
};

export class JournalFiles {
  readonly #folder: JournalFolder;
  readonly #durability: Durability;
  readonly #syncMs: number;
  readonly #writer = new GroupWriter();
  /** By their serials. */
  #segments: Segment[];
  readonly #spares: JournalSpares;
  readonly #partials: string[];
  #lastSerial: number;
  /** The segment that is written to, the last one; and whether the next group should go to another. */
  #current: Segment | undefined;
  #isEnded = false;
  #lastGroup = 0;
  #durableGroup = 0;
  #writing: Promise<void> | undefined;
  #syncing: Promise<void> | undefined;
  #syncFailure: Error | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  /** Changes nothing on the disk. @throws StorageError */
  constructor({ directory, durability, syncMs = SYNC_MS }: JournalFilesOptions) {
    const folder = join(directory, JOURNAL_FOLDER);
    this.#durability = durability;
    this.#syncMs = syncMs;
    try {
      const { segments, spares, partials, lastSerial } = readJournalFolder(folder);
      this.#folder = new JournalFolder(folder, { isSynced: segments.length === 0 });
      this.#segments = segments.map((name) => ({
        ...name,
        handle: undefined,
        length: fileBytes(name.path),
        isSynced: false,
      }));
      this.#spares = new JournalSpares(this.#folder, spares);
      this.#partials = [...partials];
      this.#lastSerial = lastSerial;
    } catch (error) {
      throw explainError(error, folder);
    }
  }

  /** The newest group that was written. */
  get lastGroup(): number {
    return this.#lastGroup;
  }

  /** The newest group that is known to be on the disk, with all before it; if need be in a checkpoint. */
  get durableGroup(): number {
    return this.#durableGroup;
  }

  /** What its files take. */
  bytes(): Promise<number> {
    return sumOfSizes([...this.#segments.map(({ path }) => path), ...this.#spares.paths]);
  }

  /**
   * At a start, the groups after a number, in order; a body holds until the next portion is asked for.
   *
   * @throws StorageError that names the damaged file
   */
  async *groups(after: number): AsyncGenerator<readonly JournalGroup[], void> {
    this.#lastGroup = after;
    try {
      for await (const groups of readJournal([...this.#segments], after)) {
        this.#lastGroup = groups.at(-1)?.number ?? this.#lastGroup;
        yield groups;
      }
      if (this.#durability !== "interval") await this.#folder.prepare();
    } catch (error) {
      throw explainError(error, this.#folder.path);
    }
    // A process that was killed has not synced the end of it.
    if (this.#segments.length > 0 && this.#durability !== "interval") this.#syncLater();
  }

  /**
   * Writes a group whose body lies in `bytes` from GROUP_HEAD_BYTES up to `length`, one group at a time. Undefined when
   * it is done already.
   *
   * @throws StorageError, at once or later; the same group may be tried again then
   */
  write(number: number, bytes: Buffer, length: number): Promise<void> | undefined {
    const segment = this.#current;
    if (segment === undefined || !this.#canWriteAtOnce(segment, length)) {
      return this.#follow(() => this.#writeBeside(number, bytes, length));
    }
    sealGroup(bytes, length, this.#stampFor(segment, number));
    try {
      this.#writer.writeAtOnce(bytes, length, placeIn(segment));
    } catch (error) {
      throw explainError(error, segment.path);
    }
    this.#wrote(segment, number, length);
    return undefined;
  }

  /** What is written from now on is kept apart from what was written before, which a checkpoint is about to save. */
  beginSegment(): void {
    this.#isEnded = true;
  }

  /** Resolves when all up to a group is on the disk. @throws StorageError */
  async sync(upTo = this.#lastGroup): Promise<void> {
    if (this.#lastGroup < upTo) await this.#writing;
    if (this.#lastGroup < upTo) {
      throw new StorageError(`${this.#folder.path}: group ${upTo} of the journal is not written`);
    }
    while (this.#durableGroup < upTo) {
      this.#syncing ??= explaining(this.#folder.path, () => this.#syncOnce()).finally(() => {
        this.#syncing = undefined;
      });
      await this.#syncing;
    }
  }

  /**
   * Forgets the groups up to a number, which are on the disk by another way, as far as they fill whole segments.
   * Numbers go on after it.
   */
  async cut(upTo: number): Promise<void> {
    // What is under way may use a segment, or begin one from a spare: what is of use is told in a turn without any.
    while (this.#writing !== undefined || this.#syncing !== undefined) {
      await Promise.allSettled([this.#writing, this.#syncing]);
    }
    const isDropped = (segment: Segment, index: number): boolean =>
      (segment !== this.#current || this.#isEnded) &&
      Math.min(boundOf(this.#segments, index), this.#lastGroup) <= upTo;
    const dropped = new Set(this.#segments.filter(isDropped));
    this.#segments = this.#segments.filter((segment) => !dropped.has(segment));
    if (this.#current !== undefined && dropped.has(this.#current)) this.#current = undefined;
    this.#lastGroup = Math.max(this.#lastGroup, upTo);
    this.#durableGroup = Math.max(this.#durableGroup, upTo);
    await explaining(this.#folder.path, () => this.#spares.replaceBy(dropped));
  }

  /** What is written by now. */
  extent(): JournalExtent {
    return this.#segments.map(({ path, length }) => ({ path, length }));
  }

  /** Syncs what is written, and keeps nothing that is of no use to a start. */
  async close(): Promise<void> {
    await this.#writing?.catch(() => {});
    if (this.#segments.length > 0) await this.sync();
    await this.abandon();
    this.#spares.remove();
  }

  /** Lets go of the files without finishing anything, as in a crash. */
  async abandon(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await Promise.allSettled([this.#writing, this.#syncing]);
    this.#current = undefined;
    for (const segment of this.#segments) await this.#folder.closeSegment(segment);
    await this.#spares.close();
    await this.#folder.close();
  }

  #canWriteAtOnce(segment: Segment, length: number): boolean {
    return (
      this.#durability !== "always" &&
      !this.#isEnded &&
      this.#writing === undefined &&
      this.#syncing === undefined &&
      this.#syncFailure === undefined &&
      segment.length < SEGMENT_BYTES_MAX &&
      this.#writer.canWriteAtOnce(length)
    );
  }

  #stampFor({ serial }: Segment, number: number): GroupStamp {
    return { salt: saltOf(serial), number, synced: this.#durableGroup };
  }

  #wrote(segment: Segment, number: number, length: number): void {
    segment.length += length;
    this.#lastGroup = number;
    if (this.#durability === "always") this.#durableGroup = number;
    else segment.isSynced = false;
    this.#syncLater();
  }

  /** Does what goes through the pool after what is under way there. */
  #follow(write: () => Promise<void>): Promise<void> {
    const before = this.#writing;
    const writing = (before === undefined ? write() : before.then(write, write)).finally(() => {
      if (this.#writing === writing) this.#writing = undefined;
    });
    this.#writing = writing;
    return writing;
  }

  async #writeBeside(number: number, bytes: Buffer, length: number): Promise<void> {
    if (this.#isClosed) throw new StorageError(`${this.#folder.path}: the journal is closed`);
    if (this.#syncFailure !== undefined) throw explainError(this.#syncFailure, this.#folder.path);
    let segment = this.#current;
    try {
      if (segment === undefined || this.#isEnded || segment.length >= SEGMENT_BYTES_MAX) {
        segment = await this.#beginOrGoOn(number);
      }
      sealGroup(bytes, length, this.#stampFor(segment, number));
      await this.#writer.writeBeside(bytes, length, placeIn(segment));
      if (this.#durability === "always") await this.#syncWritten(segment);
    } catch (error) {
      throw explainError(error, segment?.path ?? this.#folder.path);
    }
    this.#wrote(segment, number, length);
  }

  /** In the current segment, whatever it is meant to hold, while no other can be opened. */
  async #beginOrGoOn(number: number): Promise<Segment> {
    try {
      return await this.#begin(number);
    } catch (error) {
      if (this.#current !== undefined && isOutOfFiles(error)) return this.#current;
      throw error;
    }
  }

  async #begin(first: number): Promise<Segment> {
    const isSynced = this.#durability === "always";
    // What it follows must not be lost when this one is not.
    if (isSynced) await this.sync();
    await this.#folder.prepare();
    for (const path of this.#partials.splice(0)) await unlinkFile(path);
    const serial = this.#lastSerial + 1;
    const path = segmentPath(this.#folder.path, serial, first);
    const spare = this.#spares.newest;
    const flags = constants.O_RDWR | constants.O_CREAT | (isSynced ? WRITE_SYNCED : 0);
    // It gets its name when it is open: those before it end where it begins, if there is anything in it or not.
    const handle = await this.#folder.openFile(spare ?? path, flags);
    this.#lastSerial = serial;
    if (spare !== undefined) {
      await this.#spares.take(spare, path).catch(async (error) => {
        await this.#folder.closeFile(handle);
        throw error;
      });
    }
    const segment: Segment = { path, serial, first, handle, length: 0, isSynced };
    this.#folder.changed();
    this.#segments.push(segment);
    this.#current = segment;
    this.#isEnded = false;
    return segment;
  }

  /** After a write through a descriptor that waits for the disk, where there is such a thing. */
  async #syncWritten(segment: Segment): Promise<void> {
    if (WRITE_SYNCED === 0) await syncData(segment.handle as number);
    await this.#folder.sync();
  }

  #syncLater(): void {
    if (!this.#isClosed) this.#timer ??= setTimeout(this.#syncOnTime, this.#syncMs);
  }

  readonly #syncOnTime = (): void => {
    this.#timer = undefined;
    this.sync().then(
      () => this.#mark(),
      // Whoever writes is told.
      () => this.#syncLater(),
    );
  };

  /** Notes in the file that all of it is on the disk, when nothing follows that could say so. */
  #mark(): void {
    const segment = this.#current;
    const isLast = this.#durableGroup === this.#lastGroup && this.#writing === undefined;
    if (segment === undefined || this.#isEnded || segment.length === 0 || !isLast) return;
    const mark = sealMark(this.#stampFor(segment, this.#lastGroup));
    this.#follow(async () => {
      await this.#writer.writeBeside(mark, mark.length, placeIn(segment));
      // Before a group may follow, which would take the mark's place and end in the middle of it.
      segment.length += mark.length;
      // It is of use, but not needed: the next group takes its place, and fails if the disk fails.
    }).catch(() => {});
  }

  async #syncOnce(): Promise<void> {
    if (this.#syncFailure === undefined) await this.#syncSegments();
    else await this.#trusting(this.#copyUnsynced());
  }

  async #syncSegments(): Promise<void> {
    const upTo = this.#lastGroup;
    for (const segment of this.#segments.filter(({ isSynced }) => !isSynced)) {
      // What is written meanwhile says that it is not.
      segment.isSynced = true;
      try {
        segment.handle ??= await this.#folder.openFile(segment.path, "r");
        await this.#trusting(syncData(segment.handle));
      } catch (error) {
        segment.isSynced = false;
        throw error;
      }
      if (segment !== this.#current && this.#writing === undefined) await this.#folder.closeSegment(segment);
    }
    await this.#trusting(this.#folder.sync());
    this.#durableGroup = Math.max(this.#durableGroup, upTo);
  }

  async #trusting(sync: Promise<void>): Promise<void> {
    try {
      await sync;
    } catch (error) {
      this.#syncFailure = error instanceof Error ? error : new Error(String(error));
      throw error;
    }
  }

  async #copyUnsynced(): Promise<void> {
    await this.#writing?.catch(() => {});
    const upTo = this.#lastGroup;
    const serial = ++this.#lastSerial;
    const copy = { folder: this.#folder.path, serial, first: this.#durableGroup + 1, upTo };
    const copied = await copySegments(this.#segments, copy);
    for (const segment of this.#segments) {
      await this.#folder.closeSegment(segment);
      segment.isSynced = true;
    }
    this.#segments.push({ ...copied, handle: undefined, isSynced: true });
    this.#current = undefined;
    this.#folder.changed();
    await this.#folder.sync();
    this.#durableGroup = upTo;
    this.#syncFailure = undefined;
  }
}
