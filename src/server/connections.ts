/**
 * Everyone who is connected.
 */
import type { ApiKey } from "../engine/api_keys.ts";
import type { Connection } from "./connection.ts";

const CLOSE_POLICY = 1008;
export const KEY_EXPIRED = "API key expired";

export class Connections {
  readonly #all = new Set<Connection>();
  readonly #byKey = new Map<ApiKey, number>();

  get size(): number {
    return this.#all.size;
  }

  /** How many use an API key. */
  countOf(apiKey: ApiKey): number {
    return this.#byKey.get(apiKey) ?? 0;
  }

  add(connection: Connection): void {
    this.#all.add(connection);
    this.#byKey.set(connection.apiKey, this.countOf(connection.apiKey) + 1);
  }

  delete(connection: Connection): void {
    if (!this.#all.delete(connection)) return;
    const left = this.countOf(connection.apiKey) - 1;
    if (left > 0) this.#byKey.set(connection.apiKey, left);
    else this.#byKey.delete(connection.apiKey);
  }

  [Symbol.iterator](): Iterator<Connection> {
    return this.#all.values();
  }

  /** Closes all connections of a key that was removed. */
  revoke(apiKey: ApiKey): void {
    // Closing one takes it out of the set.
    for (const connection of [...this.#all]) {
      if (connection.apiKey === apiKey) connection.closeNow(CLOSE_POLICY, "API key revoked");
    }
  }

  /** Closes all connections of keys that have expired by now; returns when the next one does, in their clock. */
  closeExpired(dateMs: number): number | undefined {
    let next: number | undefined;
    for (const connection of [...this.#all]) {
      const { limits } = connection.apiKey;
      if (limits?.expiresAt === undefined) continue;
      if (limits.hasExpired(dateMs)) connection.closeNow(CLOSE_POLICY, KEY_EXPIRED);
      else if (next === undefined || limits.expiresAt < next) next = limits.expiresAt;
    }
    return next;
  }

  /**
   * `[{"ip","since","name","self"},…]`; `since` is how long it has been connected, in milliseconds. A key that
   * is limited to collections may know of others as little as of their data: it sees its own connections.
   */
  render(self: Connection, nowMs: number): string {
    const isLimited = self.apiKey.limits?.collections !== undefined;
    const shown = [...this.#all].filter(({ apiKey }) => !isLimited || apiKey === self.apiKey);
    return JSON.stringify(
      shown.map((connection) => ({
        ip: connection.ip,
        since: Math.max(0, Math.round(nowMs - connection.connectedAtMs)),
        name: connection.name,
        self: connection === self,
      })),
    );
  }
}
