/**
 * A client for tests: as plain as the protocol, so that a test sees what a client in the field would see.
 *
 * Replies find their request by `id`; every other frame waits, in order, for `next()`.
 */

export type Reply = Readonly<Record<string, unknown>>;
export type Closed = { readonly code: number; readonly reason: string };

type Waiting<Value> = { resolve: (value: Value) => void; reject: (error: Error) => void };

const READY_FRAME = '{"message":"Authentication successful","type":"ready"}';

export class TestClient implements AsyncDisposable {
  readonly #socket: WebSocket;
  readonly #requests = new Map<string, Waiting<string>>();
  /** Frames that nobody has asked for yet, or those who ask and wait: never both. */
  readonly #frames: string[] = [];
  readonly #readers: Waiting<string>[] = [];
  #lastId = 0;
  #end: Closed | undefined;

  /** Resolves when the connection is closed, by whichever side. */
  readonly closed: Promise<Closed>;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => {
      socket.addEventListener("close", ({ code, reason }) => {
        this.#close({ code, reason });
        resolve({ code, reason });
      });
    });
    socket.addEventListener("message", ({ data }) => this.#take(String(data)));
  }

  /** Resolves after the server's first frame, which is checked. */
  static async connect(url: string, options: { key: string; name?: string }): Promise<TestClient> {
    const query = new URLSearchParams({ "api-key": options.key });
    if (options.name !== undefined) query.set("name", options.name);
    const client = new TestClient(new WebSocket(`${url}/?${query}`));
    const first = await client.next();
    if (first !== READY_FRAME) throw new Error(`Expected ${READY_FRAME} as the first frame, got ${first}`);
    return client;
  }

  /** Sends a request, its data as a string of JSON, and resolves with the reply, which may be an error. */
  async request(type: string, data: unknown): Promise<Reply> {
    return JSON.parse(await this.requestText(type, JSON.stringify(data)));
  }

  /** The same with the exact text of both: numbers beyond 2^53 keep their digits. */
  requestText(type: string, data: string): Promise<string> {
    const id = `request ${++this.#lastId}`;
    const reply = this.#wait((waiting) => this.#requests.set(id, waiting));
    this.send(JSON.stringify({ id, type, data }));
    return reply;
  }

  /** Sends a frame as it is. */
  send(frame: string | Uint8Array<ArrayBuffer>): void {
    this.#socket.send(frame);
  }

  /** The next frame that answers no `request`; rejects when the connection closes before it. */
  next(): Promise<string> {
    const frame = this.#frames.shift();
    return frame === undefined
      ? this.#wait((waiting) => this.#readers.push(waiting))
      : Promise.resolve(frame);
  }

  close(): Promise<Closed> {
    this.#socket.close();
    return this.closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A server that hangs must not hang the test that shows it.
    this.#socket.terminate();
    await this.closed;
  }

  #wait(add: (waiting: Waiting<string>) => void): Promise<string> {
    if (this.#end !== undefined) return Promise.reject(closedError(this.#end));
    return new Promise((resolve, reject) => add({ resolve, reject }));
  }

  #take(frame: string): void {
    const id = idOf(frame);
    const request = id === undefined ? undefined : this.#requests.get(id);
    if (id !== undefined && request !== undefined) {
      this.#requests.delete(id);
      request.resolve(frame);
      return;
    }
    const reader = this.#readers.shift();
    if (reader === undefined) this.#frames.push(frame);
    else reader.resolve(frame);
  }

  #close(end: Closed): void {
    this.#end = end;
    for (const { reject } of [...this.#requests.values(), ...this.#readers]) reject(closedError(end));
    this.#requests.clear();
    this.#readers.length = 0;
  }
}

const closedError = ({ code, reason }: Closed): Error =>
  new Error(`The connection was closed: ${code} ${reason}`);

function idOf(frame: string): string | undefined {
  try {
    const { id } = JSON.parse(frame);
    return typeof id === "string" ? id : undefined;
  } catch {
    return undefined;
  }
}
