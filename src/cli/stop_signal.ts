/**
 * SIGTERM and SIGINT: the first one asks the server to stop, a second one ends the process at once.
 *
 * One signal often arrives twice, from a terminal or systemd to the whole group and from a parent such as npm that
 * passes it on: what follows within moments is taken for the same.
 *
 * Until somebody waits for it there is nothing to save, and the first one ends the process too. They are taken
 * from the start all the same, since the system ignores them for a container's first process otherwise.
 */
import { EXIT_INTERRUPTED, EXIT_TERMINATED } from "./exit_code.ts";
import type { Log } from "./log.ts";

const EXIT_CODES = { SIGTERM: EXIT_TERMINATED, SIGINT: EXIT_INTERRUPTED } as const;
const SAME_SIGNAL_MS = 200;
type StoppingSignal = keyof typeof EXIT_CODES;

export class StopSignal {
  #firstAt: number | undefined;
  #stop: ((signal: StoppingSignal) => void) | undefined;

  /** What SIGHUP does; nothing before there is anything to open or read again. */
  onHangUp: (() => void) | undefined;

  constructor(log: Pick<Log, "info">) {
    process.on("SIGTERM", () => this.#receive("SIGTERM"));
    process.on("SIGINT", () => this.#receive("SIGINT"));
    // A terminal that is closed sends it to all that it started.
    process.on("SIGHUP", () => {
      if (this.onHangUp === undefined) log.info("SIGHUP: there is nothing to open or read again");
      else this.onHangUp();
    });
  }

  /** Resolves with the first signal from now on. */
  received(): Promise<StoppingSignal> {
    return new Promise((resolve) => {
      this.#stop = resolve;
    });
  }

  #receive(signal: StoppingSignal): void {
    const now = performance.now();
    if (this.#firstAt !== undefined && now - this.#firstAt < SAME_SIGNAL_MS) return;
    if (this.#stop === undefined) process.exit(EXIT_CODES[signal]);
    this.#firstAt = now;
    this.#stop(signal);
    this.#stop = undefined;
  }
}
