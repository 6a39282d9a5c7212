/**
 * The two ways of a group to its file: at once on the main thread, or through the system's thread pool.
 *
 * At once costs a microsecond and the copy to the system's memory, the pool 20 µs more. But a write waits where the
 * system holds back whoever writes faster than the disk takes it, or while the file is being synced. No request may
 * wait for that: so what is large, or comes while all is not well, goes through the pool.
 */
import { writeSync } from "node:fs";
import { writeAt } from "./disk_call.ts";

/** Longer than a write to memory ever takes by itself. */
const SLOW_MS = 5;
/** So many quick writes through the pool, one after another, show that all is well again. */
const QUICK_WRITES = 16;
/** Of the size of what memory takes in half a millisecond. */
const AT_ONCE_BYTES_MAX = 1024 * 1024;

export type Place = { readonly handle: number; readonly position: number };

export class GroupWriter {
  readonly #nowMs: () => number;
  /** How many quick writes are missing until the disk is trusted again. */
  #quickMissing = 0;

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  canWriteAtOnce(length: number): boolean {
    return this.#quickMissing === 0 && length <= AT_ONCE_BYTES_MAX;
  }

  /** @throws what the system says; some of it may have been written */
  writeAtOnce(bytes: Uint8Array, length: number, { handle, position }: Place): void {
    const startedAt = this.#nowMs();
    for (let from = 0; from < length; ) {
      from += writeSync(handle, bytes, from, length - from, position + from);
    }
    if (this.#nowMs() - startedAt > SLOW_MS) this.#quickMissing = QUICK_WRITES;
  }

  async writeBeside(bytes: Uint8Array, length: number, { handle, position }: Place): Promise<void> {
    const startedAt = this.#nowMs();
    await writeAt(handle, bytes, { length, position });
    if (length > AT_ONCE_BYTES_MAX || this.#quickMissing === 0) return;
    const isQuick = this.#nowMs() - startedAt <= SLOW_MS;
    this.#quickMissing = isQuick ? this.#quickMissing - 1 : QUICK_WRITES;
  }
}
