/**
 * Has what messages leave behind collected while there is little of it.
 *
 * By itself the engine waits until garbage has grown to the size of what is alive, in which it counts all records: a
 * server with 0.8 GB of them came to hold 0.6 GB of replies that it had sent long ago. And memory that is new to the process
 * costs a page fault every 4 KB, which is more than all the rest of a long reply; what was freed just now is in a cache.
 *
 * To collect what is young takes some tenths of a millisecond, however much is alive. It is longer where large tables
 * of objects keep changing; there it is done less often.
 */
import { edenGC } from "bun:jsc";
import { GARBAGE_BYTES_MIN } from "../protocol/limits.ts";

export type GarbageOptions = {
  readonly nowMs: () => number;
  /** Collects what is young, at once. */
  readonly collect?: () => void;
};

/** The objects and short texts of a message, about. */
const MESSAGE_BYTES = 192;
/** A collection may take so long for each GARBAGE_BYTES_MIN. */
const COLLECTION_MS = 1;

export class Garbage {
  readonly #nowMs: () => number;
  readonly #collect: () => void;
  /** Since the last collection, and how much brings about the next one. */
  #bytes = 0;
  #bytesMax = GARBAGE_BYTES_MIN;

  constructor({ nowMs, collect = edenGC }: GarbageOptions) {
    this.#nowMs = nowMs;
    this.#collect = collect;
  }

  /** Call with the length of each frame that was handled, and of each reply that was sent. */
  count(length: number): void {
    this.#bytes += length + MESSAGE_BYTES;
    if (this.#bytes >= this.#bytesMax) this.#collectNow();
  }

  #collectNow(): void {
    this.#bytes = 0;
    const startedAtMs = this.#nowMs();
    this.#collect();
    const ms = this.#nowMs() - startedAtMs;
    this.#bytesMax = Math.floor(GARBAGE_BYTES_MIN * Math.max(1, ms / COLLECTION_MS));
  }
}
