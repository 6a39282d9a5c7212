/**
 * How late timers come: how long a request may have to wait for others, whatever they are.
 */
import type { Metrics } from "./metrics.ts";

const INTERVAL_MS = 100;

export class LoopDelay {
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(metrics: Pick<Metrics, "loopDelay">, nowMs: () => number) {
    let dueAtMs = nowMs() + INTERVAL_MS;
    this.#timer = setInterval(() => {
      const at = nowMs();
      metrics.loopDelay(Math.max(0, at - dueAtMs));
      dueAtMs = at + INTERVAL_MS;
    }, INTERVAL_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
