/**
 * What a running server does by the clock: checkpoints, and packing what rests.
 */
import type { MemoryDatabase } from "../engine/memory_database.ts";
import type { Metrics } from "../server/metrics.ts";
import { describeError, type Log } from "./log.ts";

const TIDY_MS = 1000;
/** Between two portions of packing, requests have their turn. */
const TIDY_AGAIN_MS = 5;

export type HousekeepingOptions = {
  readonly database: Pick<MemoryDatabase, "tidy" | "checkpoint">;
  readonly log: Pick<Log, "debug" | "error">;
  readonly metrics: Pick<Metrics, "checkpointEnded" | "checkpointFailed">;
  readonly flushIntervalMs: number;
  /** Without a storage there is nothing to save. */
  readonly isSaved: boolean;
};

export class Housekeeping {
  readonly #options: HousekeepingOptions;
  #tidyTimer: ReturnType<typeof setTimeout> | undefined;
  #flushTimer: ReturnType<typeof setTimeout> | undefined;
  #checkpoint: Promise<void> | undefined;
  #isStopped = false;
  #failure: string | undefined;
  #lastCheckpoint: { readonly endedAtMs: number; readonly tookMs: number } | undefined;

  constructor(options: HousekeepingOptions) {
    this.#options = options;
  }

  /** Why the last checkpoint failed, if it did. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** The last checkpoint that ended well, by performance.now(). */
  get lastCheckpoint(): { readonly endedAtMs: number; readonly tookMs: number } | undefined {
    return this.#lastCheckpoint;
  }

  start(): void {
    this.#tidyTimer = setTimeout(() => this.#tidy(), TIDY_MS);
    if (this.#options.isSaved) this.#flushLater();
  }

  /** Resolves when a checkpoint that is under way has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#tidyTimer);
    clearTimeout(this.#flushTimer);
    await this.#checkpoint;
  }

  #tidy(): void {
    const isMore = this.#options.database.tidy(Math.floor(performance.now() / 1000));
    this.#tidyTimer = setTimeout(() => this.#tidy(), isMore ? TIDY_AGAIN_MS : TIDY_MS);
  }

  /** The next interval begins when a checkpoint has ended: there are never two at once. */
  #flushLater(): void {
    this.#flushTimer = setTimeout(() => {
      this.#checkpoint = this.#runCheckpoint().finally(() => {
        if (!this.#isStopped) this.#flushLater();
      });
    }, this.#options.flushIntervalMs);
  }

  async #runCheckpoint(): Promise<void> {
    const { database, log, metrics } = this.#options;
    const startedAtMs = performance.now();
    try {
      const saved = await database.checkpoint();
      const endedAtMs = performance.now();
      const ms = Math.round(endedAtMs - startedAtMs);
      this.#failure = undefined;
      metrics.checkpointEnded();
      this.#lastCheckpoint = { endedAtMs, tookMs: ms };
      if (saved.collections > 0) log.debug("Checkpoint", { ...saved, ms });
    } catch (error) {
      this.#failure = error instanceof Error ? error.message : String(error);
      metrics.checkpointFailed();
      log.error("The checkpoint failed, the next interval tries again", { error: describeError(error) });
    }
  }
}
