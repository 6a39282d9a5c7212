/**
 * One client: what it may do, the replies it waits for, and how fast it reads.
 *
 * Replies leave in the order of the requests. Most are sent the moment they are known; once one has to wait for a
 * commit, all that follow line up behind it, and leave together when the commit is there. A client that does not read
 * its replies, or has too many waiting, is not read from until it has caught up, so its memory here is bounded.
 */
import type { ServerWebSocket } from "bun";
import type { ApiKey } from "../engine/api_keys.ts";
import { UNSENT_BYTES_PAUSE, WAITING_REPLIES_MAX, WAITING_REPLY_BYTES_MAX } from "../protocol/limits.ts";

export type Socket = ServerWebSocket<Connection>;

/** What a reply waits for. All replies of one commit share one; `error` is set when it failed. */
type Gate = { isOpen: boolean; error: unknown };

type Waiting = {
  /** Undefined for a reply that only waits for those before it. */
  readonly gate: Gate | undefined;
  text: string;
  /** Makes the reply of a failure. */
  readonly onError: ((error: unknown) => string) | undefined;
  readonly bytes: number;
};

export type ConnectionOptions = {
  readonly apiKey: ApiKey;
  readonly name: string | null;
  readonly ip: string;
  readonly connectedAtMs: number;
  /** Called when frames that were held back may be handled. */
  readonly onResume: (connection: Connection) => void;
};

export class Connection {
  readonly apiKey: ApiKey;
  readonly name: string | null;
  readonly ip: string;
  readonly connectedAtMs: number;

  readonly #onResume: (connection: Connection) => void;
  #socket: Socket | undefined;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #gate: Gate | undefined;
  #gatePromise: Promise<unknown> | undefined;
  #isPaused = false;
  /** Frames that had been read from the network when the connection was paused. */
  #unread: string[] = [];
  #closing: { code: number; reason: string } | undefined;

  constructor({ apiKey, name, ip, connectedAtMs, onResume }: ConnectionOptions) {
    this.#onResume = onResume;
    this.apiKey = apiKey;
    this.name = name;
    this.ip = ip;
    this.connectedAtMs = connectedAtMs;
  }

  opened(socket: Socket): void {
    this.#socket = socket;
  }

  /** The network is gone: replies that come now go nowhere. */
  closed(): void {
    this.#socket = undefined;
    this.#waiting = [];
    this.#unread = [];
  }

  get isOpen(): boolean {
    return this.#socket !== undefined && this.#closing === undefined;
  }

  get hasWaitingReplies(): boolean {
    return this.#waiting.length > 0;
  }

  /** Whether a frame that has arrived is to wait. */
  get isPaused(): boolean {
    return this.#isPaused;
  }

  holdBack(frame: string): void {
    this.#unread.push(frame);
  }

  /** The next frame that was held back, once the connection is no longer paused. */
  nextHeldBack(): string | undefined {
    return this.#isPaused || !this.isOpen ? undefined : this.#unread.shift();
  }

  /** Sends a reply, after those that wait. */
  reply(text: string): void {
    if (this.#waiting.length === 0) this.#send(text);
    else this.#wait({ gate: undefined, text, onError: undefined, bytes: text.length });
  }

  /**
   * Sends a reply when a promise resolves, or what `onError` makes of its rejection.
   *
   * `bytes` is what the request holds in memory until then. One promise may be shared by many replies: they then cost
   * one continuation together.
   */
  replyAfter(
    promise: Promise<unknown>,
    { text, onError, bytes }: { text: string; onError: (error: unknown) => string; bytes: number },
  ): void {
    if (promise !== this.#gatePromise) {
      const gate: Gate = { isOpen: false, error: undefined };
      this.#gate = gate;
      this.#gatePromise = promise;
      promise.then(
        () => this.#open(gate),
        (error: unknown) => {
          gate.error = error;
          this.#open(gate);
        },
      );
    }
    this.#wait({ gate: this.#gate, text, onError, bytes: bytes + text.length });
  }

  /** Sends the reply that a promise resolves to. */
  replyWith(promise: Promise<string>, onError: (error: unknown) => string): void {
    const gate: Gate = { isOpen: false, error: undefined };
    const waiting: Waiting = { gate, text: "", onError, bytes: 0 };
    promise.then(
      (text) => {
        waiting.text = text;
        this.#open(gate);
      },
      (error: unknown) => {
        gate.error = error;
        this.#open(gate);
      },
    );
    this.#wait(waiting);
  }

  /** Closes when the replies that wait are sent; nothing more is taken meanwhile. */
  closeAfterReplies(code: number, reason: string): void {
    this.#closing ??= { code, reason };
    this.#unread = [];
    if (this.#waiting.length === 0) this.closeNow(this.#closing.code, this.#closing.reason);
  }

  closeNow(code: number, reason: string): void {
    this.#socket?.close(code, reason);
  }

  /** Adapts to how much waits: call when the network has taken something. */
  updatePause(): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    const isTooMuch =
      this.#waiting.length > WAITING_REPLIES_MAX ||
      this.#waitingBytes > WAITING_REPLY_BYTES_MAX ||
      socket.getBufferedAmount() > UNSENT_BYTES_PAUSE;
    if (isTooMuch === this.#isPaused) return;
    this.#isPaused = isTooMuch;
    if (isTooMuch) socket.pause();
    else {
      socket.resume();
      this.#onResume(this);
    }
  }

  #wait(waiting: Waiting): void {
    if (this.#socket === undefined) return;
    this.#waiting.push(waiting);
    this.#waitingBytes += waiting.bytes;
    if (this.#waiting.length > WAITING_REPLIES_MAX || this.#waitingBytes > WAITING_REPLY_BYTES_MAX) {
      this.updatePause();
    }
  }

  #open(gate: Gate): void {
    gate.isOpen = true;
    const first = this.#waiting[0];
    if (this.#socket === undefined || first?.gate?.isOpen === false) return;
    // One write to the network for all replies of a commit.
    this.#socket.cork(() => this.#sendReady());
    this.updatePause();
  }

  #sendReady(): void {
    let sent = 0;
    for (const { gate, text, onError, bytes } of this.#waiting) {
      if (gate?.isOpen === false) break;
      sent++;
      this.#waitingBytes -= bytes;
      this.#send(gate?.error === undefined ? text : (onError as (error: unknown) => string)(gate.error));
    }
    this.#waiting = this.#waiting.slice(sent);
    if (this.#waiting.length === 0 && this.#closing !== undefined) {
      this.closeNow(this.#closing.code, this.#closing.reason);
    }
  }

  #send(text: string): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    const status = socket.sendText(text);
    if (status > 0) return;
    // Zero: it was dropped, so the order of replies is lost; an unsent rest is only a slow reader.
    if (status === 0) socket.terminate();
    else this.updatePause();
  }
}
