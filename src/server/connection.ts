/**
 * One client: what it may do, the replies it waits for, and how fast it reads.
 *
 * Replies leave in the order of the requests. Most are sent the moment they are known; once one has to wait for a
 * commit, all that follow line up behind it, and leave together when the commit is there. A client that does not read
 * its replies, or has too many waiting, is not read from until it has caught up, so its memory here is bounded. One whose
 * answer takes several turns has one of these at a time, and what it asks next is done after it; a little of that is
 * read, since a socket that is not read from does not tell that its client has gone.
 */
import type { ServerWebSocket } from "bun";
import type { ApiKey } from "../engine/api_keys.ts";
import type { Asker } from "../engine/database.ts";
import { neverInline } from "../engine/never_inline.ts";
import { Queue } from "../engine/queue.ts";
import { HELD_BACK_LENGTH_MAX, UNSENT_BYTES_PAUSE, WAITING_REPLY_BYTES_MAX } from "../protocol/limits.ts";
import type { CommitGates } from "./commit_gate.ts";
import type { FrameShare, FrameTurns } from "./frame_turns.ts";
import type { Garbage } from "./garbage.ts";
import { ReplyQueue } from "./reply_queue.ts";
import type { SlowReader, SlowReaders } from "./slow_readers.ts";

export type Socket = ServerWebSocket<Connection>;
export type Frame = string | Buffer;

export type ConnectionOptions = {
  readonly apiKey: ApiKey;
  readonly name: string | null;
  readonly ip: string;
  readonly connectedAtMs: number;
  /** Beyond so many replies that wait, nothing more is read. */
  readonly requestsInFlightMax: number;
  /** Shared by all connections. */
  readonly turns: FrameTurns;
  readonly events: ConnectionEvents;
};

/** What a connection leaves to others. */
export type ConnectionEvents = {
  /** A frame is to be answered. */
  frame(connection: Connection, frame: Frame): void;
  /** What replies to writes wait for. */
  readonly gates: CommitGates;
  readonly slowReaders: SlowReaders;
  readonly garbage: Garbage;
  /** It has read nothing for too long. */
  givenUp(connection: Connection): void;
  /** The network took no reply, although it has room for any. */
  dropped(connection: Connection): void;
};

/** What the last ping holds, and its pong: Bun's own pings, and the pongs that some clients send unasked, hold nothing. */
const LAST_PING = "last";
/** A client that does not answer the last ping is not waited for longer than this: it may be gone without a word. */
const PONG_WAIT_MS = 2000;

export class Connection implements SlowReader, Asker {
  readonly apiKey: ApiKey;
  readonly name: string | null;
  readonly ip: string;
  readonly connectedAtMs: number;

  readonly #events: ConnectionEvents;
  readonly #requestsInFlightMax: number;
  readonly #turns: FrameTurns;
  readonly #share: FrameShare = { turn: 0, count: 0 };
  #socket: Socket | undefined;
  #isGone = false;
  readonly #waiting: ReplyQueue;
  /** Frames that have been read from the network and are to be handled later, and their length. */
  #heldBack = new Queue<Frame>();
  #heldBackLength = 0;
  /** Whether frames are held back; whether nothing more is read from the network. */
  #isPaused = false;
  #isStopped = false;
  /** Whether the client lags behind in reading. */
  #isBehind = false;
  /** Whether what it has sent goes on in a later turn of the event loop. */
  #isInLine = false;
  #isStopping = false;
  /** When the last ping was sent. */
  #pingedAtMs: number | undefined;
  /** Whether the client has answered it, and so has read all replies. */
  #hasReadAll = false;
  #closing: { code: number; reason: string } | undefined;

  constructor({ apiKey, name, ip, connectedAtMs, requestsInFlightMax, turns, events }: ConnectionOptions) {
    this.apiKey = apiKey;
    this.name = name;
    this.ip = ip;
    this.connectedAtMs = connectedAtMs;
    this.#requestsInFlightMax = requestsInFlightMax;
    this.#turns = turns;
    this.#events = events;
    this.#waiting = new ReplyQueue({
      onReady: () => this.#flush(),
      gates: events.gates,
    });
  }

  static {
    const { receive, reply, replyAfter, replyWith } = Connection.prototype;
    neverInline(receive, reply, replyAfter, replyWith);
  }

  opened(socket: Socket): void {
    this.#socket = socket;
  }

  /** The network is gone: replies that come now go nowhere. */
  closed(): void {
    this.#events.slowReaders.delete(this);
    this.#socket = undefined;
    this.#isGone = true;
    this.#waiting.clear();
    this.#heldBack = new Queue();
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  /**
   * Whether a stopping server may close it: all that came in is answered, and the client has read all answers, or has
   * not said so in time. The first call that finds all answered asks it.
   *
   * That the network has taken the answers is not enough: a socket that is closed over frames nobody has read resets
   * the connection, and what the client has not read by then is lost.
   */
  isDone(nowMs: number): boolean {
    if (!this.#waiting.isEmpty || this.#heldBack.length > 0 || this.unsentBytes > 0) return false;
    if (this.#pingedAtMs === undefined) {
      this.#pingedAtMs = nowMs;
      this.#socket?.ping(LAST_PING);
    }
    return this.#hasReadAll || nowMs - this.#pingedAtMs >= PONG_WAIT_MS;
  }

  ponged(payload: Buffer): void {
    if (payload.toString("latin1") === LAST_PING) this.#hasReadAll = true;
  }

  receive(frame: Frame): void {
    if (this.#isStopping || this.#closing !== undefined) return;
    if (!this.#isPaused) {
      this.#handle(frame);
      return;
    }
    this.#heldBack.push(frame);
    this.#heldBackLength += frame.length;
    this.#updateReading();
  }

  /** The network has taken some of what was unsent. */
  drained(): void {
    this.#isBehind = this.#isReaderBehind();
    this.#flush();
    this.#updatePause();
  }

  /** What it has been sent and has not read, as far as that is kept here. */
  get unsentBytes(): number {
    return this.#socket?.getBufferedAmount() ?? 0;
  }

  giveUp(): void {
    this.#events.givenUp(this);
    this.#socket?.terminate();
  }

  /** Sends a reply, after those that wait. */
  reply(text: string): void {
    if (this.#waiting.isEmpty) {
      this.#send(text);
      return;
    }
    this.#waiting.add(text);
    this.#updatePause();
  }

  /** Replies to a write of `requestBytes` when it is done; writes that share a promise are answered together. */
  replyAfter(written: Promise<void>, id: string, requestBytes: number): void {
    if (this.#socket === undefined) return;
    this.#waiting.addAfter(written, id, requestBytes);
    this.#updatePause();
  }

  /** Sends the reply that a promise resolves to; it must not reject. */
  replyWith(reply: Promise<string>): void {
    if (this.#socket === undefined) return;
    this.#waiting.addPromised(reply);
    this.#updatePause();
  }

  /** Takes no more frames; those that it has are still answered. */
  stopReading(): void {
    this.#isStopping = true;
  }

  /** Forgets all frames that are not handled yet, and closes when the replies that wait are sent. */
  closeAfterReplies(code: number, reason: string): void {
    this.#closing ??= { code, reason };
    this.#heldBack = new Queue();
    this.#heldBackLength = 0;
    if (this.#waiting.isEmpty) this.closeNow(this.#closing.code, this.#closing.reason);
  }

  closeNow(code: number, reason: string): void {
    this.#socket?.close(code, reason);
  }

  #handle(frame: Frame): void {
    this.#events.frame(this, frame);
    this.#events.garbage.count(frame.length);
    if (!this.#turns.isUsedUp(this.#share, frame.length) || this.#isInLine) return;
    this.#isInLine = true;
    this.#turns.wait(this.#goOn);
    this.#updatePause();
  }

  readonly #goOn = (): void => {
    this.#isInLine = false;
    this.#updatePause();
  };

  #flush(): void {
    if (this.#socket === undefined || this.#isBehind || !this.#waiting.isReady) return;
    // One write to the network for all replies of a commit.
    this.#socket.cork(this.#sendReady);
    this.#isBehind = this.#isReaderBehind();
    if (this.#waiting.isEmpty && this.#closing !== undefined) {
      this.closeNow(this.#closing.code, this.#closing.reason);
    }
    this.#updatePause();
  }

  readonly #sendReady = (): void => {
    while (this.#waiting.isReady && !this.#isBehind) this.#send(this.#waiting.shift());
  };

  #send(text: string): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    const status = socket.sendText(text);
    this.#events.garbage.count(text.length);
    if (status > 0) return;
    if (status === 0) {
      // It was dropped, and with it the order of replies.
      this.#events.dropped(this);
      socket.terminate();
      return;
    }
    this.#events.slowReaders.add(this);
    if (!this.#isReaderBehind()) return;
    this.#isBehind = true;
    this.#updatePause();
  }

  #isReaderBehind(): boolean {
    return this.unsentBytes > UNSENT_BYTES_PAUSE;
  }

  #updatePause(): void {
    const isPaused = this.#isFull || this.#waiting.hasPromised;
    if (this.#socket === undefined) return;
    if (isPaused !== this.#isPaused) {
      this.#isPaused = isPaused;
      if (!isPaused) this.#handleHeldBack();
    }
    this.#updateReading();
  }

  /** Each frame may bring about the next pause. */
  #handleHeldBack(): void {
    while (!this.#isPaused) {
      const frame = this.#heldBack.shift();
      if (frame === undefined) break;
      this.#heldBackLength -= frame.length;
      this.#handle(frame);
    }
  }

  #updateReading(): void {
    const isStopped = this.#isPaused && (this.#isFull || this.#heldBackLength > HELD_BACK_LENGTH_MAX);
    if (isStopped === this.#isStopped) return;
    this.#isStopped = isStopped;
    if (isStopped) this.#socket?.pause();
    else this.#socket?.resume();
  }

  /** Whether nothing more is to be read before something has left. */
  get #isFull(): boolean {
    return (
      this.#isBehind ||
      this.#isInLine ||
      this.#waiting.length > this.#requestsInFlightMax ||
      this.#waiting.bytes > WAITING_REPLY_BYTES_MAX
    );
  }
}
