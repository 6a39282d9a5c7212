/**
 * A server that is measured: a process of its own, which never outlives this one.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BenchSession, type SessionOptions } from "../../src/bench/session.ts";

export const KEY = "bench";
const READY = /Ready: (ws:\/\/[^\s,]+)/;
const running = new Set<Bun.Subprocess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1));

export type Load = Pick<
  SessionOptions,
  "records" | "documents" | "collections" | "kind" | "order" | "scale"
> & {
  readonly connections: number;
};

/** A directory that is there as long as it is needed. */
export class DataDirectory implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "fluxiondb-bench-"));

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

export class MeasuredServer implements AsyncDisposable {
  readonly #child: Bun.Subprocess<"ignore", "ignore", "pipe">;
  readonly url: URL;
  readonly pid: number;

  private constructor(child: Bun.Subprocess<"ignore", "ignore", "pipe">, url: URL) {
    this.#child = child;
    this.pid = child.pid;
    this.url = url;
  }

  /** Resolves when it is ready; rejects with its output when it ends instead. */
  static async start(command: readonly string[]): Promise<MeasuredServer> {
    const child = Bun.spawn([...command], { stdio: ["ignore", "ignore", "pipe"] });
    running.add(child);
    void child.exited.then(() => running.delete(child));
    const decoder = new TextDecoder();
    const reader = child.stderr.getReader();
    for (let output = ""; ; ) {
      const { value, done } = await reader.read();
      if (done) throw new Error(`${command.join(" ")} ended:\n${output}`);
      output += decoder.decode(value, { stream: true });
      const url = READY.exec(output)?.[1];
      if (url === undefined) continue;
      // What it says later is read, so that it never waits for that.
      void (async () => {
        while (!(await reader.read()).done) {}
      })();
      return new MeasuredServer(child, new URL(url));
    }
  }

  open(load: Load): Promise<BenchSession> {
    return BenchSession.open({ ...load, url: this.url, apiKey: KEY, pid: this.pid });
  }

  async stop(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    this.#child.kill(signal);
    await this.#child.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop("SIGKILL");
  }
}
