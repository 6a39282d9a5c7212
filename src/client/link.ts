/**
 * One WebSocket from its opening to its end: waits for the server's first frame, passes replies on, and says why it
 * ended. It never opens a second one; that is the session's part.
 */
import { type ClientErrorCode, FluxionError } from "./fluxion_error.ts";

/** What `new WebSocket(url)` has to give: the global one of browsers, Bun and Node.js 22, or the package `ws`. */
export type WebSocketConstructor = new (
  url: string,
) => { send(text: string): void; close(code?: number, reason?: string): void };

/** The members of a WebSocket that are used here; the constructor's type asks for less, so that any will do. */
type Socket = {
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onerror: ((event: { readonly message?: string }) => void) | null;
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null;
  send(text: string): void;
  close(code?: number, reason?: string): void;
};

export type LinkOptions = {
  readonly url: URL;
  readonly apiKey: string;
  readonly name: string | undefined;
  readonly WebSocket: WebSocketConstructor;
  /** The server has taken the key: requests may be sent. */
  readonly onReady: () => void;
  readonly onFrame: (text: string) => void;
  /** Called once. `wasReady`: requests may have reached the server. */
  readonly onEnd: (error: FluxionError, wasReady: boolean) => void;
};

const POLICY_VIOLATION = 1008;
const MESSAGE_TOO_BIG = 1009;
const NORMAL_CLOSURE = 1000;
const ABNORMAL_CLOSURE = 1006;
/** How long after an error its close event may take. */
const CLOSE_WAIT_MS = 100;
/** How long the server's reason for a refusal is asked for. */
const DIAGNOSIS_MS = 3000;

export class Link {
  readonly #options: LinkOptions;
  readonly #socket: Socket;
  readonly #address: URL;
  #isReady = false;
  #isEnded = false;
  /** The socket has ended, and why is being found out. */
  #isClosing = false;
  /** What the socket or the server complained about before the end. */
  #complaint = "";

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#address = new URL(options.url);
    this.#address.searchParams.set("api-key", options.apiKey);
    if (options.name !== undefined) this.#address.searchParams.set("name", options.name);
    // All WebSockets have the handlers; their declared types differ too much to ask for them.
    this.#socket = new options.WebSocket(this.#address.href) as unknown as Socket;
    this.#socket.onmessage = ({ data }) => this.#take(String(data));
    this.#socket.onerror = ({ message }) => {
      this.#complaint ||= message ?? "";
      // In Node.js 22 a handshake that is refused has no close event behind it.
      setTimeout(() => void this.#close(ABNORMAL_CLOSURE, ""), CLOSE_WAIT_MS);
    };
    this.#socket.onclose = ({ code, reason }) => void this.#close(code, reason);
  }

  get isReady(): boolean {
    return this.#isReady && !this.#isEnded;
  }

  send(frame: string): void {
    this.#socket.send(frame);
  }

  /** Ends it from this side; `onEnd` is called with this error, at once. */
  end(error: FluxionError): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#socket.onmessage = null;
    this.#socket.close(NORMAL_CLOSURE);
    this.#options.onEnd(error, this.#isReady);
  }

  #take(text: string): void {
    if (this.#isEnded) return;
    if (this.#isReady) {
      this.#options.onFrame(text);
      return;
    }
    if (isReadyFrame(text)) {
      this.#isReady = true;
      this.#options.onReady();
    } else {
      this.end(new FluxionError("connection_failed", `${this.#place()} is no FluxionDB server`));
    }
  }

  async #close(code: number, reason: string): Promise<void> {
    if (this.#isEnded || this.#isClosing) return;
    this.#isClosing = true;
    const wasReady = this.#isReady;
    const [errorCode, text, cause] = wasReady ? this.#lossReason(code, reason) : await this.#failureReason();
    // Ended by this side while the server was asked.
    if (this.#isEnded) return;
    this.#isEnded = true;
    const error = new FluxionError(errorCode, text, ...(cause === undefined ? [] : [{ cause }]));
    this.#options.onEnd(error, wasReady);
  }

  #lossReason(code: number, reason: string): Reason {
    if (code === POLICY_VIOLATION && reason === "API key revoked") {
      return ["unauthorized", `${this.#place()} has revoked the API key`];
    }
    if (code === POLICY_VIOLATION && reason === "API key expired") {
      return ["unauthorized", `The API key for ${this.#place()} has expired`];
    }
    // Not again: it would be refused again.
    if (code === POLICY_VIOLATION || code === MESSAGE_TOO_BIG) {
      return ["refused", `${this.#place()} refused a request and closed (${code}${reason && ` ${reason}`})`];
    }
    const why = [reason, this.#complaint].filter(Boolean).join(", ");
    return ["connection_lost", `The connection to ${this.#place()} was lost (${code}${why && ` ${why}`})`];
  }

  /** A WebSocket hides the answer to its upgrade request, at most its status is in a message: so it is asked for. */
  async #failureReason(): Promise<Reason> {
    const place = this.#place();
    if (/\b401\b/.test(this.#complaint)) {
      return ["unauthorized", `${place} refused the API key: Unknown API key, or one that has expired`];
    }
    const cause = await this.#askForRefusal();
    if (cause instanceof Refusal) {
      if (cause.status === 401) return ["unauthorized", `${place} refused the API key: ${cause.message}`];
      return [
        "connection_failed",
        `${place} refused the connection (${cause.status}): ${cause.message}`,
        cause,
      ];
    }
    if (cause !== undefined) {
      return ["connection_failed", `The certificate of ${place} is not trusted: ${cause.message}`, cause];
    }
    const complaint = this.#complaint.replaceAll(this.#address.href, place);
    return ["connection_failed", `Cannot connect to ${place}${complaint && `: ${complaint}`}`];
  }

  /** What the server says, or what is wrong with its certificate. */
  async #askForRefusal(): Promise<Refusal | Error | undefined> {
    const address = new URL(this.#address);
    address.protocol = address.protocol === "wss:" ? "https:" : "http:";
    try {
      const response = await fetch(address, { signal: AbortSignal.timeout(DIAGNOSIS_MS) });
      if (!REFUSALS.has(response.status)) return undefined;
      return new Refusal(response.status, (await response.text()).trim().slice(0, 200));
    } catch (error) {
      // Not there at all, or a browser that may not look: then there is nothing more to tell.
      const code = String((error as { code?: unknown }).code);
      return error instanceof Error && /CERT|SELF_SIGNED|UNABLE_TO_VERIFY/.test(code) ? error : undefined;
    }
  }

  /** Without the query, which holds the key. */
  #place(): string {
    const { origin, protocol, host, pathname } = this.#options.url;
    return origin === "null" ? `${protocol}//${host}${pathname}` : `${protocol}//${host}`;
  }
}

/** What is wrong, in words, and what has said so, if something has. */
type Reason = [code: ClientErrorCode, text: string, cause?: Error];

/** The statuses of a server that is there and does not let this client in, now or at all. */
const REFUSALS = new Set([401, 403, 429, 503]);

class Refusal extends Error {
  readonly status: number;

  constructor(status: number, text: string) {
    super(text);
    this.status = status;
  }
}

function isReadyFrame(text: string): boolean {
  try {
    return (JSON.parse(text) as { type?: unknown } | null)?.type === "ready";
  } catch {
    return false;
  }
}
