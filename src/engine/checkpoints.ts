/**
 * When collections are saved: one checkpoint at a time, which all who ask meanwhile join; and copies of what is on the
 * disk.
 *
 * A copy is made of collections as checkpoints left them, and needs all that the journal has had since: while one is
 * made, checkpoints go on beside it, and the journal is not cut.
 */
import type { Snapshot, Storage } from "../storage/storage.ts";
import { saveCollection } from "./checkpoint.ts";
import type { Collections } from "./collections.ts";
import type { Journal } from "./journal.ts";

export type CheckpointCounts = { collections: number; chunks: number };

export type CheckpointsOptions = { readonly storage: Storage; readonly collections: Collections };

export class Checkpoints {
  readonly #storage: Storage;
  readonly #collections: Collections;
  /** Where writes are until they are saved; there is one when all is loaded, unless the storage has none. */
  journal: Journal | undefined;
  #running: Promise<CheckpointCounts> | undefined;
  /** The copy that is being made. */
  #copying: Promise<Snapshot> | undefined;

  constructor({ storage, collections }: CheckpointsOptions) {
    this.#storage = storage;
    this.#collections = collections;
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
    const upTo = (await this.journal?.endSegment()) ?? storage.lastGroup;
    const saved = await this.saveCollections(() => this.journal?.lastClosedGroup ?? storage.lastGroup);
    if (this.#copying === undefined) await storage.cutJournal(upTo);
    return saved;
  }

  /** `journalPosition`: up to which group of the journal memory is. */
  async saveCollections(journalPosition: () => number): Promise<CheckpointCounts> {
    const storage = this.#storage;
    const saved = { collections: 0, chunks: 0 };
    for (const name of [...this.#collections.dropped]) {
      await storage.dropCollection(name);
      this.#collections.dropped.delete(name);
    }
    for (const collection of [...this.#collections.sorted()]) {
      if (collection.isGone || collection.changes?.isEmpty) continue;
      saved.chunks += (await saveCollection(collection, { storage, journalPosition })).chunks;
      saved.collections++;
    }
    return saved;
  }

  /**
   * A checkpoint may be ahead of the journal, when that was taken away or, in older formats, lost its end. Its numbers go
   * on after both, so what is before the gap is saved, and the journal begins anew after it.
   */
  async closeGap(): Promise<void> {
    const storage = this.#storage;
    const positions = this.#collections.sorted().map(({ journalPosition }) => journalPosition);
    const newest = positions.reduce((newer, position) => Math.max(newer, position), 0);
    if (newest <= storage.lastGroup) return;
    await this.saveCollections(() => storage.lastGroup);
    await storage.cutJournal(newest);
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
