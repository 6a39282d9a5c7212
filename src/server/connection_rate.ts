/**
 * How many connections an address may make a second: a bucket of tokens each, filled at that rate.
 *
 * The bucket holds ten seconds' worth, so that a fleet behind one address comes back at once after a restart, and only
 * what connects again and again, without end, is held to the rate.
 */
import { CONNECTION_RATE_ADDRESSES_MAX } from "../protocol/limits.ts";

const BURST_SECONDS = 10;
const MS_A_SECOND = 1000;

type Bucket = { readonly tokens: number; readonly atMs: number };

export class ConnectionRate {
  readonly #perSecond: number;
  readonly #nowMs: () => number;
  /** By address, the one that has not connected for the longest time first. */
  readonly #buckets = new Map<string, Bucket>();

  constructor(perSecond: number, nowMs: () => number) {
    this.#perSecond = perSecond;
    this.#nowMs = nowMs;
  }

  /** Takes a token for a connection; false when there is none. */
  take(address: string): boolean {
    const nowMs = this.#nowMs();
    const most = this.#perSecond * BURST_SECONDS;
    const before = this.#buckets.get(address);
    const filled =
      before === undefined ? most : before.tokens + ((nowMs - before.atMs) / MS_A_SECOND) * this.#perSecond;
    const tokens = Math.min(most, filled);
    const isAllowed = tokens >= 1;
    this.#buckets.delete(address);
    this.#buckets.set(address, { tokens: isAllowed ? tokens - 1 : tokens, atMs: nowMs });
    if (this.#buckets.size > CONNECTION_RATE_ADDRESSES_MAX) {
      const [oldest] = this.#buckets.keys();
      this.#buckets.delete(oldest as string);
    }
    return isAllowed;
  }
}
