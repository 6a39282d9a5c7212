/**
 * A database on disk that a test may close, crash and open again.
 */
import { cpSync } from "node:fs";
import type { LongWorkOptions } from "../../src/engine/long_work.ts";
import { MemoryDatabase } from "../../src/engine/memory_database.ts";
import { SqliteStorage } from "../../src/storage/sqlite_storage.ts";
import type { Durability, Storage } from "../../src/storage/storage.ts";
import { AT_ONCE, SMALL_CHUNKS, SMALL_PORTIONS } from "../engine/harness.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";

export class World implements AsyncDisposable {
  readonly folder = new TemporaryFolder();
  readonly directory = this.folder.join("data");
  readonly durability: Durability;
  /** How the database is opened next. */
  longWork: Partial<LongWorkOptions> = AT_ONCE;
  storage!: SqliteStorage;
  database!: MemoryDatabase;

  private constructor(durability: Durability) {
    this.durability = durability;
  }

  static async open(durability: Durability = "everysec"): Promise<World> {
    const world = new World(durability);
    await world.open();
    return world;
  }

  /** Of what is on the disk, in a folder of its own; not opened. */
  copy(): World {
    const world = new World(this.durability);
    cpSync(this.directory, world.directory, { recursive: true });
    return world;
  }

  /** `wrap` may stand between the database and the storage. */
  async open(wrap: (storage: SqliteStorage) => Storage = (storage) => storage): Promise<void> {
    this.storage = await SqliteStorage.open({ directory: this.directory, durability: this.durability });
    try {
      this.database = new MemoryDatabase({
        storage: wrap(this.storage),
        chunks: SMALL_CHUNKS,
        longWork: this.longWork,
        portionSize: SMALL_PORTIONS,
      });
      await this.database.load();
    } catch (error) {
      this.storage.leave();
      throw error;
    }
  }

  /** What SIGTERM does. */
  async close(): Promise<void> {
    await this.database.close();
    await this.storage.close();
  }

  /** What kill -9 does: nothing is closed, nothing more is written. */
  crash(): Promise<void> {
    return this.storage.abandon();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // There is none if it could not be opened.
    await this.storage?.abandon();
    this.folder[Symbol.dispose]();
  }
}
