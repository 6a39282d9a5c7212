/**
 * A benchmark's connections to one server: what is measured there, and clearing up after it.
 */
import { COLLECTION, collectionName, type DataOptions } from "./data.ts";
import { LoadSocket } from "./load_socket.ts";
import { askServer, type Measured, runWorkload } from "./runner.ts";
import { isLone, KEYS_COLLECTION, type WorkloadName, workloadOf } from "./workloads.ts";

export type SessionOptions = DataOptions & {
  readonly url: URL;
  readonly apiKey: string;
  readonly connections: number;
  /** The server's process, where CPU and memory are to be measured. */
  readonly pid: number | undefined;
  /** How much of the usual number of messages is asked for. */
  readonly scale: number;
};

export class BenchSession implements Disposable {
  readonly #options: SessionOptions;
  readonly #sockets: readonly LoadSocket[];

  private constructor(options: SessionOptions, sockets: readonly LoadSocket[]) {
    this.#options = options;
    this.#sockets = sockets;
  }

  /** @throws Error that says why there is no connection */
  static async open(options: SessionOptions): Promise<BenchSession> {
    const sockets: LoadSocket[] = [];
    for (let count = 0; count < options.connections; count++) {
      sockets.push(await LoadSocket.open(options.url, options.apiKey));
    }
    return new BenchSession(options, sockets);
  }

  /** The collections of a benchmark that the server holds already. */
  async leftovers(): Promise<string[]> {
    const { collections } = (await this.ask("cols", {})) as { collections: string[] };
    return collections.filter((name) => name === COLLECTION || name.startsWith(`${COLLECTION}-`));
  }

  /** @throws Error that quotes the server's, or says which answer was wrong */
  run(name: WorkloadName): Promise<Measured> {
    const { pid } = this.#options;
    const sockets = isLone(name) ? this.#sockets.slice(0, 1) : this.#sockets;
    return runWorkload(workloadOf(name, this.#options), { sockets, pid });
  }

  ask(type: string, data: unknown): Promise<unknown> {
    return askServer(this.#sockets[0] as LoadSocket, type, data);
  }

  /** Deletes all that a benchmark writes. */
  async clearUp(): Promise<void> {
    for (let number = 0; number < this.#options.collections; number++) {
      await this.ask("dcol", { col: collectionName(number) });
    }
    await this.ask("dcol", { col: KEYS_COLLECTION });
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) socket.close();
  }
}
