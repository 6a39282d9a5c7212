/**
 * Clients who lag behind in reading: what is kept for them is bounded, for each by time and for all by bytes.
 *
 * Who reads slowly is waited for. Who has read nothing for as long as a silent client may be silent is gone, or means
 * harm, and Bun neither asks nor drops a connection that is not read from. Where all of them hold too much together,
 * those go who have read nothing for longest.
 */
export interface SlowReader {
  readonly unsentBytes: number;
  /** Ends its connection, which takes it out of this. */
  giveUp(): void;
}

export type SlowReadersOptions = {
  readonly nowMs: () => number;
  /** How long one may read nothing. */
  readonly idleMs: number;
  /** What all together may hold. */
  readonly bytesMax: number;
  readonly lookMs?: number;
};

const LOOK_MS = 1000;

type Progress = { bytes: number; sinceMs: number };

export class SlowReaders {
  readonly #options: Required<SlowReadersOptions>;
  readonly #readers = new Map<SlowReader, Progress>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: SlowReadersOptions) {
    this.#options = { lookMs: LOOK_MS, ...options };
  }

  /** Call when it has been sent what the network did not take at once. */
  add(reader: SlowReader): void {
    if (this.#readers.has(reader)) return;
    this.#readers.set(reader, { bytes: reader.unsentBytes, sinceMs: this.#options.nowMs() });
    this.#timer ??= setTimeout(this.#look, this.#options.lookMs);
  }

  /** Call when it is gone; who has read all leaves by itself. */
  delete(reader: SlowReader): void {
    this.#readers.delete(reader);
  }

  readonly #look = (): void => {
    this.#timer = undefined;
    const { nowMs, idleMs, bytesMax, lookMs } = this.#options;
    const now = nowMs();
    let total = 0;
    for (const [reader, progress] of [...this.#readers]) {
      const bytes = reader.unsentBytes;
      if (bytes === 0) {
        this.#readers.delete(reader);
        continue;
      }
      if (bytes < progress.bytes) progress.sinceMs = now;
      progress.bytes = bytes;
      if (now - progress.sinceMs >= idleMs) reader.giveUp();
      else total += bytes;
    }
    if (total > bytesMax) this.#makeRoom(total - bytesMax, now - lookMs);
    if (this.#readers.size > 0) this.#timer = setTimeout(this.#look, lookMs);
  };

  /** Of those who have read nothing since a time. */
  #makeRoom(bytes: number, sinceMs: number): void {
    const idle = [...this.#readers].filter(([, progress]) => progress.sinceMs <= sinceMs);
    idle.sort(([, a], [, b]) => a.sinceMs - b.sinceMs);
    let left = bytes;
    for (const [reader, progress] of idle) {
      if (left <= 0) return;
      left -= progress.bytes;
      reader.giveUp();
    }
  }
}
