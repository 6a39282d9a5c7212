/**
 * Calls from the main thread to another one: typed by the object that answers there (worker_service.ts), which takes
 * them in order.
 */
import type { Transferred } from "./transferred.ts";

/** Flat: Bun hands an array's texts over as they are, and copies those of objects within. */
export type Call = readonly [id: number, method: string, ...args: unknown[]];
export type Outcome = {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: { readonly name: string; readonly message: string; readonly stack: string };
};

type Method = (...args: never[]) => unknown;
/** What a call brings about. */
type ResultOf<Called extends Method> =
  Awaited<ReturnType<Called>> extends Transferred<infer Value> ? Value : Awaited<ReturnType<Called>>;
type MethodsOf<Service> = { [Name in keyof Service]: Service[Name] extends Method ? Service[Name] : never };

type Waiting = { resolve: (value: unknown) => void; reject: (error: Error) => void };

export type WorkerLinkOptions = {
  /** What the thread is to people: "A storage thread". */
  readonly title: string;
  /** Makes an error of one that was thrown there: on the way between threads they lose their class. */
  readonly rebuild?: (name: string, message: string) => Error;
};

export class WorkerLink<Service> {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  readonly #ended = Promise.withResolvers<void>();
  #lastId = 0;
  readonly #rebuild: (name: string, message: string) => Error;
  #failure: Error | undefined;

  constructor(
    worker: Worker,
    { title, rebuild = (_name, message) => new Error(message) }: WorkerLinkOptions,
  ) {
    this.#worker = worker;
    this.#rebuild = rebuild;
    worker.onmessage = ({ data }: MessageEvent<Outcome>) => this.#settle(data);
    worker.onerror = (event) => this.#fail(new Error(`${title} failed: ${event.message}`));
    worker.addEventListener("close", () => {
      this.#fail(new Error(`${title} ended`));
      this.#ended.resolve();
    });
  }

  /** Whether it can be called no more. */
  get hasFailed(): boolean {
    return this.#failure !== undefined;
  }

  call<Name extends keyof MethodsOf<Service> & string>(
    method: Name,
    ...args: Parameters<MethodsOf<Service>[Name]>
  ): Promise<ResultOf<MethodsOf<Service>[Name]>> {
    return this.#post(method, args) as Promise<ResultOf<MethodsOf<Service>[Name]>>;
  }

  /**
   * Lets the thread be, but does not let it keep the process. Ending one of the storage would close its databases, and
   * SQLite writes when it closes: what was found damaged is left as it is until the process ends.
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
      this.#worker.postMessage([id, method, ...args] satisfies Call);
    });
  }

  #settle({ id, value, error }: Outcome): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(value);
    else waiting?.reject(this.#rebuiltFrom(error));
  }

  #rebuiltFrom({ name, message, stack }: NonNullable<Outcome["error"]>): Error {
    const error = this.#rebuild(name, message);
    error.stack = stack;
    return error;
  }

  #fail(failure: Error): void {
    this.#failure ??= failure;
    for (const { reject } of this.#waiting.values()) reject(this.#failure);
    this.#waiting.clear();
  }
}
