/**
 * When collections are saved: one checkpoint at a time, which all who ask meanwhile join; and copies of what is on the
 * disk.
 *
 * A copy is made of collections as checkpoints left them, and needs all that the journal has had since: while one is
 * made, checkpoints go on beside it, and the journal is not cut.
 */
import type { Snapshot, Storage } from "../storage/storage.ts";
import { type CheckpointCounts, type PortionSize, saveCollections } from "./checkpoint.ts";
import type { Collections } from "./collections.ts";
import type { Journal } from "./journal.ts";

export type CheckpointsOptions = {
  readonly storage: Storage;
  readonly collections: Collections;
  readonly portionSize: PortionSize;
};

export class Checkpoints {
  readonly #storage: Storage;
  readonly #collections: Collections;
  readonly #portionSize: PortionSize;
  /** Where writes are until they are saved; there is one when all is loaded, unless the storage has none. */
  journal: Journal | undefined;
  #running: Promise<CheckpointCounts> | undefined;
  /** The number of the checkpoint that was begun last, and of the last one that was saved whole. */
  #begun = 0;
  #saved = 0;
  /** The copy that is being made. */
  #copying: Promise<Snapshot> | undefined;

  constructor({ storage, collections, portionSize }: CheckpointsOptions) {
    this.#storage = storage;
    this.#collections = collections;
    this.#portionSize = portionSize;
  }

  /**
   * Saves what has changed since the last checkpoint, and cuts the journal. One that is under way is joined.
   *
   * @throws StorageError; what was not saved is saved by the next one.
   */
  run(): Promise<CheckpointCounts> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #run(): Promise<CheckpointCounts> {
    const storage = this.#storage;
    const number = ++this.#begun;
    const upTo = (await this.journal?.endSegment()) ?? storage.lastGroup;
    const saved = await this.saveCollections(() => this.journal?.lastClosedGroup ?? storage.lastGroup);
    if (this.#copying !== undefined) return saved;
    // A collection that was deleted meanwhile was not saved, and what the journal has of it is cut: its deletion must be on
    // the disk, or a part of it would come back. Nor is a group to be cut that the disk has not taken yet.
    await this.#syncJournal();
    await storage.cutJournal(upTo);
    // Not before: that lists the files that are new.
    this.#saved = number;
    return saved;
  }

  /** `journalPosition`: up to which group of the journal memory is. */
  saveCollections(journalPosition: () => number): Promise<CheckpointCounts> {
    const storage = this.#storage;
    const journalSynced = (): Promise<void> => this.#syncJournal();
    const portionSize = this.#portionSize;
    return saveCollections(this.#collections, { storage, portionSize, journalPosition, journalSynced });
  }

  /** Resolves when the journal has all that memory holds on the disk. */
  async #syncJournal(): Promise<void> {
    await this.journal?.committed();
    await this.#storage.syncJournal();
  }

  /**
   * Writes that were answered before this was called are on the disk when `durable` has come to `acknowledged`. Numbers of
   * groups with a journal, and of checkpoints without.
   */
  writes(): { acknowledged: number; durable: number } {
    if (this.journal === undefined) return { acknowledged: this.#begun + 1, durable: this.#saved };
    const { lastGroup, durableGroup } = this.#storage;
    return { acknowledged: lastGroup, durable: durableGroup };
  }

  /** A copy of all there is, as of one moment; one after another. @throws StorageError */
  async snapshot(): Promise<Snapshot> {
    // What the journal holds is copied with it: so that is little.
    await this.run();
    while (this.#running !== undefined || this.#copying !== undefined) {
      await Promise.allSettled([this.#running, this.#copying]);
    }
    // Nothing may come between the last look and this.
    this.#copying = this.#storage
      .snapshot(async () => this.journal?.committed())
      .finally(() => {
        this.#copying = undefined;
      });
    return this.#copying;
  }

  /** Commits and saves all there is. */
  async close(): Promise<void> {
    await this.journal?.drain();
    // The last checkpoint cuts the journal; whoever has asked for the copy is told what was wrong with it.
    await Promise.allSettled([this.#copying]);
    // One that is under way may be past what came last; if it fails, so does the next, which says so.
    await Promise.allSettled([this.#running]);
    await this.run();
  }
}
