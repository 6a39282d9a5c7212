/**
 * Has large frames read on a thread of their own, so that nobody else waits for it.
 *
 * A frame of 16 MiB takes 10 ms to scan, and 200 ms where only the schema can read it, which any client may ask for.
 * The frame goes there, and its records come back as a batch, without being copied; the main thread only stores them.
 */
import { nextTurn } from "../engine/next_turn.ts";
import { startWorker } from "../threads/start_worker.ts";
import { WorkerLink } from "../threads/worker_link.ts";
import type { FrameService } from "./frame_worker.ts";
import type { LargeFrame } from "./large_frame.ts";

export class FrameThread {
  readonly #lengthMax: number;
  /** Started when it is first needed: most servers never do. */
  #link: WorkerLink<FrameService> | undefined;
  /** Of the frames that are there, or wait for something before. */
  #length = 0;
  /** When the last one that has come back has had its turn. */
  #turns: Promise<void> = Promise.resolve();

  /** @param lengthMax how much may wait to be read, in UTF-16 code units: a frame for each client would be too much. */
  constructor(lengthMax: number) {
    this.#lengthMax = lengthMax;
  }

  get isFull(): boolean {
    return this.#length >= this.#lengthMax;
  }

  /**
   * Resolves in a turn of its own: storing what was read takes milliseconds, and many may come back at once.
   *
   * @param ready what to wait for first.
   */
  async read(frame: string, ready?: Promise<void>): Promise<LargeFrame> {
    this.#length += frame.length;
    try {
      if (ready !== undefined) await ready;
      const read = await this.#linkNow().call("read", frame);
      this.#turns = this.#turns.then(nextTurn);
      await this.#turns;
      return read;
    } finally {
      this.#length -= frame.length;
    }
  }

  async close(): Promise<void> {
    const link = this.#link;
    this.#link = undefined;
    await link?.terminate();
  }

  #linkNow(): WorkerLink<FrameService> {
    if (this.#link === undefined || this.#link.hasFailed) {
      this.#link = new WorkerLink(startWorker("server/frame_worker.ts"), {
        title: "The thread of large frames",
      });
      this.#link.leave();
    }
    return this.#link;
  }
}
