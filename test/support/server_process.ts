/**
 * A server as its user starts it: a process of its own, on a free port, waited for by its Ready line.
 *
 *     await using server = await ServerProcess.start({ args: ["--data", folder.join("data")] });
 *     await using client = await server.connect();
 */
import { type Environment, environmentWith, PROGRAM } from "./program.ts";
import { TestClient } from "./test_client.ts";

export type StartOptions = {
  /** Behind `serve --port 0`. */
  readonly args?: readonly string[];
  readonly env?: Environment;
  readonly cwd?: string;
  /** How many files and connections it may have open. */
  readonly filesMax?: number;
};

/** The master key, unless the arguments or the environment say otherwise. */
export const SECRET_KEY = "secret-of-the-tests";

const READY = /Ready: (wss?:\/\/\S+:([0-9]+)), [^\n]*\n/;

type Child = Bun.Subprocess<"ignore", "ignore", "pipe">;

export class ServerProcess implements AsyncDisposable {
  readonly #child: Child;
  #output = "";
  #isOutputOver = false;
  readonly #outputRead: Promise<void>;
  /** Called whenever there is more output, or none will come. */
  readonly #listeners = new Set<() => void>();

  private constructor(child: Child) {
    this.#child = child;
    this.#outputRead = this.#readOutput();
  }

  /** Resolves when the server is ready; rejects with its output when it ends instead. */
  static async start(options: StartOptions = {}): Promise<ServerProcess> {
    const server = ServerProcess.launch(options);
    try {
      await server.waitForOutput(READY);
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** As `start`, without waiting. */
  static launch({ args = [], env = {}, cwd, filesMax }: StartOptions = {}): ServerProcess {
    const limited = ["sh", "-c", `ulimit -n ${filesMax} && exec "$0" "$@"`];
    const command = [...(filesMax === undefined ? [] : limited), ...PROGRAM];
    const child = Bun.spawn([...command, "serve", "--port", "0", ...args], {
      ...(cwd !== undefined && { cwd }),
      env: environmentWith({ FLUXIONDB_SECRET_KEY: SECRET_KEY, ...env }),
      stdio: ["ignore", "ignore", "pipe"],
    });
    return new ServerProcess(child);
  }

  /** Without a path or a query. */
  get url(): string {
    return this.#ready()[1] as string;
  }

  get port(): number {
    return Number(this.#ready()[2]);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** What it has written to standard error so far. */
  get output(): string {
    return this.#output;
  }

  /** Resolves with the exit code when all output has been read; a signal's is 128 and its number. */
  get exited(): Promise<number> {
    return this.#outputRead.then(() => this.#child.exited);
  }

  /** Resolves with the exit code. */
  kill(signal: NodeJS.Signals = "SIGKILL"): Promise<number> {
    this.#child.kill(signal);
    return this.exited;
  }

  /** Sends a signal that is not meant to end it. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  connect(options: { key?: string; name?: string } = {}): Promise<TestClient> {
    return TestClient.connect(this.url, { key: SECRET_KEY, ...options });
  }

  /** Resolves with the first match in all that was written; rejects when the server ends without one. */
  waitForOutput(pattern: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const match = pattern.exec(this.#output);
        if (match === null && !this.#isOutputOver) return;
        this.#listeners.delete(look);
        if (match !== null) resolve(match);
        else reject(new Error(`The server ended without ${pattern}. Its output:\n${this.#output}`));
      };
      this.#listeners.add(look);
      look();
    });
  }

  /** Nobody looks at its output any more, so that is not waited for. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }

  async #readOutput(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const bytes of this.#child.stderr) {
      this.#output += decoder.decode(bytes, { stream: true });
      for (const listener of [...this.#listeners]) listener();
    }
    this.#isOutputOver = true;
    for (const listener of [...this.#listeners]) listener();
  }

  #ready(): RegExpExecArray {
    const match = READY.exec(this.#output);
    if (match === null) throw new Error(`The server is not ready. Its output:\n${this.#output}`);
    return match;
  }
}
