/**
 * Closes the connections of API keys that expire. Between two looks at the clock, dispatch.ts does: no frame that comes
 * later is answered.
 *
 * One timer waits for the soonest, and never for long: the calendar's clock may be set while it waits.
 */
import type { ApiKey } from "../engine/api_keys.ts";
import type { Connections } from "./connections.ts";

const WAIT_MS_MAX = 60_000;

export class KeyExpiry {
  readonly #connections: Connections;
  readonly #dateMs: () => number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** What the timer waits for. */
  #soonestMs = Number.POSITIVE_INFINITY;

  /** `dateMs`: milliseconds since 1970. */
  constructor(connections: Connections, dateMs: () => number) {
    this.#connections = connections;
    this.#dateMs = dateMs;
  }

  /** To be called for a key that somebody connects with, and for one that has got other limits. */
  watch({ limits }: ApiKey): void {
    const expiresAt = limits?.expiresAt;
    if (expiresAt === undefined || expiresAt >= this.#soonestMs) return;
    this.#wait(expiresAt);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#soonestMs = Number.NEGATIVE_INFINITY;
  }

  #wait(untilMs: number): void {
    clearTimeout(this.#timer);
    this.#soonestMs = untilMs;
    const ms = Math.min(WAIT_MS_MAX, Math.max(0, untilMs - this.#dateMs()));
    this.#timer = setTimeout(() => this.#look(), ms);
  }

  #look(): void {
    this.#soonestMs = Number.POSITIVE_INFINITY;
    const next = this.#connections.closeExpired(this.#dateMs());
    if (next !== undefined) this.#wait(next);
  }
}
