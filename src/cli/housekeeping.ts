/**
 * What a running server does by the clock: checkpoints, and packing what rests.
 */
import type { MemoryDatabase } from "../engine/memory_database.ts";
import type { Log } from "./log.ts";

const TIDY_MS = 1000;
/** Between two portions of packing, requests have their turn. */
const TIDY_AGAIN_MS = 5;

export class Housekeeping {
  readonly #database: MemoryDatabase;
  readonly #log: Log;
  readonly #flushMs: number;
  readonly #isSaved: boolean;
  #tidyTimer: ReturnType<typeof setTimeout> | undefined;
  #flushTimer: ReturnType<typeof setTimeout> | undefined;
  #checkpoint: Promise<void> | undefined;
  #isStopped = false;

  constructor(options: { database: MemoryDatabase; log: Log; flushSeconds: number; isSaved: boolean }) {
    this.#database = options.database;
    this.#log = options.log;
    this.#flushMs = options.flushSeconds * 1000;
    this.#isSaved = options.isSaved;
  }

  start(): void {
    this.#tidyTimer = setTimeout(() => this.#tidy(), TIDY_MS);
    if (this.#isSaved) this.#flushTimer = setTimeout(() => this.#flush(), this.#flushMs);
  }

  /** Resolves when a checkpoint that is under way has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#tidyTimer);
    clearTimeout(this.#flushTimer);
    await this.#checkpoint;
  }

  #tidy(): void {
    const isMore = this.#database.tidy(performance.now() / 1000);
    this.#tidyTimer = setTimeout(() => this.#tidy(), isMore ? TIDY_AGAIN_MS : TIDY_MS);
  }

  #flush(): void {
    this.#checkpoint = this.#runCheckpoint().finally(() => {
      this.#checkpoint = undefined;
      // Never two at once: the next interval begins when this one has ended.
      if (!this.#isStopped) this.#flushTimer = setTimeout(() => this.#flush(), this.#flushMs);
    });
  }

  async #runCheckpoint(): Promise<void> {
    const startedAt = performance.now();
    try {
      const { collections, chunks } = await this.#database.checkpoint();
      const ms = Math.round(performance.now() - startedAt);
      if (collections > 0) this.#log.event("debug", "checkpoint", { collections, chunks, ms });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#log.event("error", "checkpoint failed; it is tried again at the next interval", { reason });
    }
  }
}
