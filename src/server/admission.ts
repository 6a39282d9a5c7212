/**
 * Who is let in: by origin, by API key, and by how many there are already.
 *
 * Whoever gets the key wrong again and again is answered later each time, up to some seconds, by address. A right key
 * from the same address is never delayed: many devices can be behind one address.
 */
import type { ApiKeys } from "../engine/api_keys.ts";
import {
  FAILED_LOGIN_ADDRESSES_MAX,
  FAILED_LOGIN_DELAY_MS_MAX,
  FAILED_LOGINS_WAITING_MAX,
} from "../protocol/limits.ts";
import { ConnectionRate } from "./connection_rate.ts";
import { type Connections, KEY_EXPIRED } from "./connections.ts";
import { type Login, readLogin } from "./login.ts";
import type { RefusalReason } from "./metrics.ts";

export type AdmissionOptions = {
  readonly apiKeys: ApiKeys;
  readonly connections: Pick<Connections, "size" | "countOf">;
  /** As browsers send them, `https://example.com`; none: any. */
  readonly allowedOrigins: readonly string[];
  readonly connectionsMax: number;
  readonly connectionsPerKeyMax: number;
  /** From one address. */
  readonly connectionsPerSecondMax: number;
  readonly nowMs: () => number;
  /** The calendar's clock. */
  readonly dateMs: () => number;
};

export type Refusal = {
  readonly status: number;
  readonly reason: string;
  /** For the metrics. */
  readonly cause: RefusalReason;
  /** How long the answer is held back. */
  readonly delayMs: number;
};

/** So many mistakes are anybody's; their number halves with each minute. */
const FAILURES_FREE = 5;
const FAILURE_HALF_LIFE_MS = 60_000;
const FIRST_DELAY_MS = 100;

export class Admission {
  readonly #options: AdmissionOptions;
  /** By address, the longest known first. */
  readonly #failures = new Map<string, { count: number; atMs: number }>();
  readonly #rate: ConnectionRate;
  #waiting = 0;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#rate = new ConnectionRate(options.connectionsPerSecondMax, options.nowMs);
  }

  /** Who asks, by the key alone. Wherever a key can be tried out, it comes by here. */
  login(request: Request, ip: string): Login | Refusal {
    const { apiKeys, dateMs } = this.#options;
    const login = readLogin(request, apiKeys, dateMs());
    if (typeof login !== "string") return login;
    const cause = login === KEY_EXPIRED ? "expired_key" : "api_key";
    return { ...refusal(401, login, cause), delayMs: this.#failed(ip) };
  }

  /** Who is to be connected. */
  admit(request: Request, ip: string): Login | Refusal {
    const { allowedOrigins, connections, connectionsMax, connectionsPerKeyMax } = this.#options;
    // Programs send none.
    const origin = request.headers.get("origin");
    if (origin !== null && allowedOrigins.length > 0 && !allowedOrigins.includes(origin)) {
      return refusal(403, "Origin not allowed", "origin");
    }
    const login = this.login(request, ip);
    if ("status" in login) return login;
    if (connections.size >= connectionsMax) return refusal(503, "Too many connections", "limit");
    if (connections.countOf(login.apiKey) >= connectionsPerKeyMax) {
      return refusal(503, "Too many connections with this API key", "limit");
    }
    // After the key: with wrong ones, nobody can use up what an address has.
    if (!this.#rate.take(ip)) return refusal(429, "Too many new connections", "limit");
    return login;
  }

  /** Waits as long as a refusal is to be held back. So many may wait; others are answered at once. */
  async holdBack({ delayMs }: Refusal): Promise<void> {
    if (this.#waiting >= FAILED_LOGINS_WAITING_MAX) return;
    this.#waiting++;
    await Bun.sleep(delayMs);
    this.#waiting--;
  }

  /** Notes a failed login; returns how long its answer is held back. */
  #failed(ip: string): number {
    const nowMs = this.#options.nowMs();
    const before = this.#failures.get(ip);
    const decayed =
      before === undefined ? 0 : before.count * 0.5 ** ((nowMs - before.atMs) / FAILURE_HALF_LIFE_MS);
    const count = decayed + 1;
    this.#failures.delete(ip);
    this.#failures.set(ip, { count, atMs: nowMs });
    if (this.#failures.size > FAILED_LOGIN_ADDRESSES_MAX) {
      const [oldest] = this.#failures.keys();
      this.#failures.delete(oldest as string);
    }
    const excess = Math.floor(count - FAILURES_FREE);
    return excess <= 0 ? 0 : Math.min(FAILED_LOGIN_DELAY_MS_MAX, FIRST_DELAY_MS * 2 ** (excess - 1));
  }
}

const refusal = (status: number, reason: string, cause: RefusalReason): Refusal => ({
  status,
  reason,
  cause,
  delayMs: 0,
});
