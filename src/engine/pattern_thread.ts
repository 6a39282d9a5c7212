/**
 * Tests texts against patterns on a thread of its own, where that takes long.
 *
 * Time is linear, but a megabyte with a pattern of many instructions is a third of a second, and the engine that runs
 * patterns cannot be interrupted. The thread takes a text at a time from each request that needs it, so whoever asks
 * for much shares it with others who do, and nobody else waits.
 */
import { startWorker } from "../threads/start_worker.ts";
import { WorkerLink } from "../threads/worker_link.ts";
import type { CompiledPattern } from "./pattern_cache.ts";
import type { PatternService } from "./pattern_worker.ts";

export class PatternThread {
  /** Started when it is first needed: most servers never do. */
  #link: WorkerLink<PatternService> | undefined;

  /** @throws DatabaseError `bad_pattern` at once, where pattern and text are too large together */
  test(compiled: CompiledPattern, text: string): Promise<boolean> {
    compiled.checkLength(text);
    if (this.#link === undefined || this.#link.hasFailed) {
      this.#link = new WorkerLink(startWorker("engine/pattern_worker.ts"), { title: "The pattern thread" });
      this.#link.leave();
    }
    return this.#link.call("test", compiled.pattern, text);
  }

  async close(): Promise<void> {
    const link = this.#link;
    this.#link = undefined;
    await link?.terminate();
  }
}
