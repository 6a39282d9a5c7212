/**
 * How long to wait before the next attempt: twice as long each time, up to a limit, and never at the same moment as
 * every other client of a server that has just come back ("equal jitter": half of it fixed, half by chance).
 */

export type BackOffOptions = {
  readonly minMs: number;
  readonly maxMs: number;
  /** From 0 to below 1. */
  readonly random: () => number;
};

export class BackOff {
  readonly #options: BackOffOptions;
  #attempt = 0;

  constructor(options: BackOffOptions) {
    this.#options = options;
  }

  nextMs(): number {
    const { minMs, maxMs, random } = this.#options;
    const fullMs = Math.min(maxMs, minMs * 2 ** this.#attempt);
    this.#attempt++;
    return fullMs / 2 + (fullMs / 2) * random();
  }

  /** The next wait is the shortest again. */
  reset(): void {
    this.#attempt = 0;
  }
}
