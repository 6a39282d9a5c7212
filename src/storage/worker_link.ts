/**
 * Calls from the main thread to a worker: typed by the object that answers there, answered in order.
 */
import { StorageError } from "./storage.ts";

/** What the first call says. */
export type Role = {
  readonly role: "catalog" | "collections";
  readonly directory: string;
};

export type Call = { readonly id: number; readonly method: string; readonly args: readonly unknown[] };
export type Outcome = {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: { readonly name: string; readonly message: string; readonly stack: string };
};

type Method = (...args: never[]) => unknown;
type MethodsOf<Service> = { [Name in keyof Service]: Service[Name] extends Method ? Service[Name] : never };

type Waiting = { resolve: (value: unknown) => void; reject: (error: Error) => void };

export class WorkerLink<Service> {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  readonly #ended = Promise.withResolvers<void>();
  #lastId = 0;
  #failure: Error | undefined;

  private constructor(worker: Worker) {
    this.#worker = worker;
    worker.onmessage = ({ data }: MessageEvent<Outcome>) => this.#settle(data);
    worker.onerror = (event) => this.#fail(new Error(`A storage thread failed: ${event.message}`));
    worker.addEventListener("close", () => {
      this.#fail(new Error("A storage thread ended"));
      this.#ended.resolve();
    });
  }

  static async open<Service>(worker: Worker, role: Role): Promise<WorkerLink<Service>> {
    const link = new WorkerLink<Service>(worker);
    try {
      await link.#post("open", [role]);
    } catch (error) {
      link.leave();
      throw error;
    }
    return link;
  }

  call<Name extends keyof MethodsOf<Service> & string>(
    method: Name,
    ...args: Parameters<MethodsOf<Service>[Name]>
  ): Promise<Awaited<ReturnType<MethodsOf<Service>[Name]>>> {
    return this.#post(method, args) as Promise<Awaited<ReturnType<MethodsOf<Service>[Name]>>>;
  }

  /**
   * Lets the thread be, but does not let it keep the process. Ending it would close its databases, and SQLite writes
   * when it closes: what was found damaged is left as it is until the process ends.
   */
  leave(): void {
    this.#worker.unref();
  }

  /** Ends the thread, as soon as it is done with the call at hand, and resolves when it has ended. */
  async terminate(): Promise<void> {
    this.#worker.terminate();
    await this.#ended.promise;
  }

  #post(method: string, args: readonly unknown[]): Promise<unknown> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, method, args } satisfies Call);
    });
  }

  #settle({ id, value, error }: Outcome): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(value);
    else waiting?.reject(rebuildError(error));
  }

  #fail(failure: Error): void {
    this.#failure ??= failure;
    for (const { reject } of this.#waiting.values()) reject(this.#failure);
    this.#waiting.clear();
  }
}

/** Errors lose their class on the way between threads. */
function rebuildError({ name, message, stack }: NonNullable<Outcome["error"]>): Error {
  const error = name === "StorageError" ? new StorageError(message) : new Error(message);
  error.stack = stack;
  return error;
}
