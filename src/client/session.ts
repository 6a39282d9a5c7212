/**
 * The requests of one client over as many connections as it takes: sends them in order, gives each its reply, and
 * connects again when a connection breaks.
 *
 * A request that was under way when a connection broke may have been done or not. Those that change nothing when they
 * are done twice are sent again; the others fail, and their caller decides.
 */
import { FRAME_BYTES_MAX } from "../protocol/limits.ts";
import type { MessageType } from "../protocol/messages.ts";
import type { BackOff } from "./back_off.ts";
import { FluxionError } from "./fluxion_error.ts";
import { Link, type WebSocketConstructor } from "./link.ts";
import { checkReply, type Reply } from "./reply.ts";
import { frameText } from "./request_text.ts";
import type { ConnectionState } from "./types.ts";

export type SessionOptions = {
  readonly url: URL;
  readonly apiKey: string;
  readonly name: string | undefined;
  readonly WebSocket: WebSocketConstructor;
  /** False: the first connection that fails or breaks is the end. */
  readonly reconnect: boolean;
  readonly backOff: BackOff;
  readonly retry: "safe" | "none";
  /** How many requests may wait for a reply or for a connection. */
  readonly pendingMax: number;
  /** How long one attempt to connect may take. */
  readonly connectTimeoutMs: number;
  /** `error`: why it is neither connected nor connecting. */
  readonly onStateChange: (state: ConnectionState, error: FluxionError | undefined) => void;
};

export type CallRequest = {
  readonly type: MessageType;
  /** JSON. */
  readonly data: string;
  /** 0: for ever. */
  readonly timeoutMs: number;
  /** Whether the time without a connection counts. */
  readonly timeoutStarts: "now" | "when sent";
  readonly signal: AbortSignal | undefined;
};

/** A request on its way, as its sender sees it. */
export type Call = {
  readonly reply: Promise<Reply>;
  /** Of its data, in UTF-16 code units. */
  readonly size: number;
  /** Whether it is on a connection; before, it can be taken back. */
  readonly isSent: boolean;
};

/** Done twice, they leave what they left the first time. */
const REPEATABLE: ReadonlySet<MessageType> = new Set([
  "ins",
  "sval",
  "qry",
  "qdoc",
  "cols",
  "gval",
  "gvalues",
  "gvals",
  "gkeys",
  "conn",
  "stat",
]);

class PendingCall implements Call {
  readonly frame: string;
  readonly request: CallRequest;
  readonly reply: Promise<Reply>;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: FluxionError) => void;
  isSent = false;
  timer: ReturnType<typeof setTimeout> | undefined;
  onAbort: (() => void) | undefined;

  get size(): number {
    return this.request.data.length;
  }

  constructor(id: string, request: CallRequest) {
    this.frame = frameText(id, request.type, request.data);
    this.request = request;
    const { promise, resolve, reject } = deferred<Reply>();
    this.reply = promise;
    this.resolve = resolve;
    this.reject = reject;
  }
}

export class Session {
  readonly #options: SessionOptions;
  /** By id, in the order of the calls, which is the order of sending. */
  readonly #pending = new Map<string, PendingCall>();
  readonly #firstOutcome = deferred<void>();
  #link: Link | undefined;
  #state: ConnectionState = "connecting";
  #timer: ReturnType<typeof setTimeout> | undefined;
  #lastId = 0;
  /** How many frames have come: shows whether a connection is alive. */
  #frameCount = 0;
  /** Why it is closed. */
  #end: FluxionError | undefined;
  #idle: (() => void)[] = [];

  constructor(options: SessionOptions) {
    this.#options = options;
    // Nobody has to wait for it.
    this.#firstOutcome.promise.catch(() => {});
    this.#connect();
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Settles with the first attempt to connect, whatever comes after it. */
  get firstOutcome(): Promise<void> {
    return this.#firstOutcome.promise;
  }

  /**
   * Sends a request, at once or as soon as there is a connection. The reply rejects with a FluxionError, be it the
   * server's or the client's.
   */
  call(request: CallRequest): Call {
    const id = (++this.#lastId).toString(36);
    const call = new PendingCall(id, request);
    const problem = this.#problemOf(call);
    if (problem !== undefined) {
      call.reject(problem);
      return call;
    }
    this.#pending.set(id, call);
    const { signal } = request;
    if (signal !== undefined) {
      call.onAbort = () => this.#settle(id, call, abortError(request.type, signal));
      signal.addEventListener("abort", call.onAbort, { once: true });
    }
    if (request.timeoutStarts === "now") this.#startTimer(id, call);
    if (this.#link?.isReady) this.#send(this.#link, id, call);
    return call;
  }

  /** Takes back a call that is not sent yet. */
  withdraw(call: Call, error: FluxionError): void {
    for (const [id, pending] of this.#pending) {
      if (pending !== call || pending.isSent) continue;
      this.#settle(id, pending, error);
      return;
    }
  }

  /** Resolves when nothing waits for a reply. */
  settled(): Promise<void> {
    return this.#pending.size === 0 ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve));
  }

  /** What still waits fails with this error, as does everything later. */
  close(error: FluxionError): void {
    if (this.#end !== undefined) return;
    this.#end = error;
    clearTimeout(this.#timer);
    const link = this.#link;
    this.#link = undefined;
    link?.end(error);
    this.#firstOutcome.reject(error);
    this.#failAll(error);
    this.#setState("closed", error);
  }

  #problemOf({ frame, request }: PendingCall): FluxionError | undefined {
    if (this.#end !== undefined) return new FluxionError(this.#end.code, this.#end.message);
    if (request.signal?.aborted) return abortError(request.type, request.signal);
    if (isLongerThan(frame, FRAME_BYTES_MAX)) {
      const mib = FRAME_BYTES_MAX / 1024 / 1024;
      return new FluxionError("too_large", `Cannot send ${request.type}: it is larger than ${mib} MiB`);
    }
    if (this.#pending.size < this.#options.pendingMax) return undefined;
    const text = `Cannot send ${request.type}: ${this.#pending.size} requests wait for a reply already`;
    return new FluxionError("buffer_full", text);
  }

  #connect(): void {
    this.#setState("connecting", undefined);
    const { url, apiKey, name, WebSocket, connectTimeoutMs } = this.#options;
    try {
      const link = new Link({
        url,
        apiKey,
        name,
        WebSocket,
        onReady: () => this.#ready(link),
        onFrame: (text) => this.#take(text),
        onEnd: (error) => this.#ended(link, error),
      });
      this.#link = link;
      this.#timer = setTimeout(() => {
        const text = `No answer from ${url.host} within ${connectTimeoutMs / 1000} s`;
        link.end(new FluxionError("connection_failed", text));
      }, connectTimeoutMs);
    } catch (cause) {
      // A WebSocket refuses an address that it cannot use right away, and always will.
      this.close(new FluxionError("connection_failed", `Cannot connect to ${url.host}: ${cause}`, { cause }));
    }
  }

  #ready(link: Link): void {
    clearTimeout(this.#timer);
    this.#options.backOff.reset();
    this.#firstOutcome.resolve();
    for (const [id, call] of this.#pending) this.#send(link, id, call);
    this.#setState("ready", undefined);
  }

  #send(link: Link, id: string, call: PendingCall): void {
    call.isSent = true;
    if (call.timer === undefined) this.#startTimer(id, call);
    link.send(call.frame);
  }

  #startTimer(id: string, call: PendingCall): void {
    const { timeoutMs, type } = call.request;
    if (timeoutMs === 0) return;
    const frameCount = this.#frameCount;
    call.timer = setTimeout(() => {
      const text = `No reply to ${type} within ${timeoutMs / 1000} s`;
      this.#settle(id, call, new FluxionError("timeout", text));
      // Not a word in all that time: the other side is gone, and the network did not say so.
      if (call.isSent && frameCount === this.#frameCount) {
        this.#link?.end(new FluxionError("connection_lost", `The connection is silent: ${text}`));
      }
    }, timeoutMs);
  }

  #take(text: string): void {
    this.#frameCount++;
    const body = readFrame(text);
    if (body === undefined) {
      const shown = text.slice(0, 100);
      this.#link?.end(new FluxionError("refused", `${this.#options.url.host} sent no reply: ${shown}`));
      return;
    }
    const id = String(body.id);
    const call = this.#pending.get(id);
    // The reply to a call that was given up.
    if (call === undefined) return;
    const reply = { text, body };
    try {
      checkReply(reply);
    } catch (error) {
      this.#settle(id, call, error as FluxionError);
      return;
    }
    this.#settle(id, call, reply);
  }

  #settle(id: string, call: PendingCall, result: Reply | FluxionError): void {
    this.#pending.delete(id);
    clearTimeout(call.timer);
    if (call.onAbort !== undefined) call.request.signal?.removeEventListener("abort", call.onAbort);
    if (result instanceof FluxionError) call.reject(result);
    else call.resolve(result);
    if (this.#pending.size > 0 || this.#idle.length === 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  #ended(link: Link, error: FluxionError): void {
    // Ended by close().
    if (this.#link !== link) return;
    this.#link = undefined;
    clearTimeout(this.#timer);
    if (error.code === "unauthorized" || !this.#options.reconnect) {
      this.close(error);
      return;
    }
    this.#firstOutcome.reject(error);
    for (const [id, call] of [...this.#pending]) {
      if (!call.isSent) continue;
      if (error.code !== "connection_lost" || !this.#isRepeatable(call)) this.#settle(id, call, error);
      else this.#holdBack(call);
    }
    // A callback of #settle may have closed it.
    if (this.#end !== undefined) return;
    this.#timer = setTimeout(() => this.#connect(), this.#options.backOff.nextMs());
    this.#setState("waiting", error);
  }

  #isRepeatable({ request }: PendingCall): boolean {
    return this.#options.retry === "safe" && REPEATABLE.has(request.type);
  }

  #holdBack(call: PendingCall): void {
    call.isSent = false;
    if (call.request.timeoutStarts === "now") return;
    clearTimeout(call.timer);
    call.timer = undefined;
  }

  #failAll(error: FluxionError): void {
    for (const [id, call] of [...this.#pending]) this.#settle(id, call, error);
  }

  #setState(state: ConnectionState, error: FluxionError | undefined): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#options.onStateChange(state, error);
  }
}

function readFrame(text: string): Record<string, unknown> | undefined {
  try {
    const body: unknown = JSON.parse(text);
    return typeof body === "object" && body !== null ? (body as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function abortError(type: string, { reason }: AbortSignal): FluxionError {
  return new FluxionError("aborted", `${type} was aborted`, { cause: reason });
}

/** As Promise.withResolvers, which Node.js 20 lacks. */
function deferred<Value>() {
  let resolve!: (value: Value) => void;
  let reject!: (error: FluxionError) => void;
  const promise = new Promise<Value>((onValue, onError) => {
    resolve = onValue;
    reject = onError;
  });
  return { promise, resolve, reject };
}

/** In UTF-8, where a code unit takes three bytes at most. */
const isLongerThan = (text: string, bytes: number): boolean =>
  text.length * 3 > bytes && new TextEncoder().encode(text).length > bytes;
