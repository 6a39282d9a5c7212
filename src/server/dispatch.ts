/**
 * From a frame to its reply: the fast path for frequent messages; else permission, schema, handler. A large frame is read
 * on another thread first.
 *
 * The one place that catches what handlers throw: a DatabaseError is an answer, anything else a bug, which is logged.
 */
import type { Answer, AnswerText, Written } from "../engine/database.ts";
import { InsertBatch } from "../engine/insert_batch.ts";
import type { KeyLimits } from "../engine/key_limits.ts";
import { MemoryFull } from "../engine/memory_limit.ts";
import { neverInline } from "../engine/never_inline.ts";
import { RawText } from "../engine/raw_text.ts";
import { replyTooLarge } from "../engine/reply_text.ts";
import type { AsciiText } from "../protocol/ascii.ts";
import { DatabaseError } from "../protocol/errors.ts";
import {
  FRAME_LENGTH_AT_ONCE,
  FRAMES_WAITING_LENGTH_MAX,
  UNUSUAL_FRAME_LENGTH_AT_ONCE,
} from "../protocol/limits.ts";
import type { MessageType } from "../protocol/messages.ts";
import type { Connection, Frame } from "./connection.ts";
import { KEY_EXPIRED } from "./connections.ts";
import type { Context } from "./context.ts";
import { FrameScanner, SCANNED_INS } from "./frame_scanner.ts";
import { FrameThread } from "./frame_thread.ts";
import type { FrameTurns } from "./frame_turns.ts";
import { checkCollections, deniedError } from "./key_guard.ts";
import type { LargeBatch, LargeRequest } from "./large_frame.ts";
import { LargeReplies } from "./large_replies.ts";
import type { Metrics } from "./metrics.ts";
import { unpackKeys } from "./packed_keys.ts";
import { answerReply, failureReply, INTERNAL_ERROR_TEXT, isLarger, okReply } from "./reply.ts";
import { checkPermission, readMessage, readRequest, readType } from "./request.ts";
import { ROUTES, type Route, SCANNED_ROUTES } from "./route.ts";
import { readyAfter, whenReady } from "./waiting_write.ts";

export type DispatchOptions = Omit<Context, "batch"> & {
  readonly metrics: Metrics;
  readonly turns: Pick<FrameTurns, "takesLong">;
  readonly replyBytesMax: number;
  /** Requests that take this long or longer are logged. */
  readonly slowRequestMs: number;
};

/** A request whose answer takes several turns. */
type Promised = {
  readonly id: string;
  readonly type: MessageType;
  readonly head: AsciiText;
  readonly request: unknown;
  readonly answer: Promise<AnswerText>;
};

/** As far as reading has come. The id is JSON. */
type KnownFrame = { readonly id?: string | undefined; readonly type?: MessageType | undefined };

/** A longer reply has turns of its own. */
const LARGE_REPLY_LENGTH = 1024 * 1024;

const CLOSE_UNSUPPORTED = 1003;
const CLOSE_POLICY = 1008;
const BAD_FRAME = "Bad frame";
const UNTIMED_LENGTH_MAX = 64 * 1024;
/** Of small ones the clock is looked at for one in so many. */
const UNTIMED_RUN = 64;
/** For the log: a frame without a known type, or a commit, which is of many frames. */
const UNKNOWN_TYPE = "?";
const DISK_FAILURE_LOG_MS = 1000;

export class Dispatch {
  readonly #options: DispatchOptions;
  readonly #context: Context;
  readonly #scanner = new FrameScanner();
  readonly #frameThread = new FrameThread(FRAMES_WAITING_LENGTH_MAX);
  readonly #largeReplies = new LargeReplies();
  /** Of the frame at hand, as far as they are known. */
  #id: string | RawText | undefined;
  #route: Route | undefined;
  /** When its handling began; only of a frame that may take long, and of some others. */
  #startedAtMs: number | undefined;
  #untimed = 0;
  #diskFailureLoggedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: DispatchOptions) {
    neverInline(this.handle, this.#perform, this.#performUnusual, this.#insert, this.#write, this.#read);
    neverInline(this.#answer, this.#logIfSlow);
    this.#options = options;
    const { database, apiKeys, connections, keyExpiry, log, status, nowMs, dateMs } = options;
    const batch = new InsertBatch();
    this.#context = { database, apiKeys, connections, keyExpiry, log, status, nowMs, dateMs, batch };
  }

  /** What clients are told of a commit that failed; a bug is logged. */
  readonly commitFailure = (error: unknown): DatabaseError => this.#toDatabaseError(error, undefined);

  /** Ends the thread of large frames; call when nobody waits for a reply. */
  close(): Promise<void> {
    return this.#frameThread.close();
  }

  /** Handles one frame; its reply is sent or put in line before this returns. */
  handle(connection: Connection, frame: Frame): void {
    if (typeof frame !== "string") {
      connection.closeAfterReplies(CLOSE_UNSUPPORTED, "Binary frames are not supported");
      return;
    }
    // All that a message costs for a key without limits.
    const { limits } = connection.apiKey;
    if (limits?.hasExpired(this.#options.dateMs())) {
      connection.closeNow(CLOSE_POLICY, KEY_EXPIRED);
      return;
    }
    this.#untimed = (this.#untimed + 1) % UNTIMED_RUN;
    this.#startedAtMs = this.#untimed === 0 ? this.#options.nowMs() : undefined;
    if (frame.length > FRAME_LENGTH_AT_ONCE && this.#isReadBeside(connection, frame)) return;
    if (frame.length > UNTIMED_LENGTH_MAX) this.#takesLong();
    this.#id = undefined;
    this.#route = undefined;
    try {
      const reply = this.#perform(connection, frame, limits);
      if (reply !== undefined) connection.reply(reply);
    } catch (error) {
      if (this.#isTriedAgain(connection, frame, error)) return;
      const known = this.#known();
      connection.reply(this.#failure(connection, error, known));
      if (known.id === undefined) connection.closeAfterReplies(CLOSE_POLICY, BAD_FRAME);
    }
    this.#count(connection);
  }

  #known(): KnownFrame {
    return { id: this.#id?.toString(), type: this.#route?.type };
  }

  #count(connection: Connection): void {
    const route = this.#route;
    if (route !== undefined) this.#options.metrics.request(route.number);
    if (this.#startedAtMs !== undefined) this.#logIfSlow(connection, route?.type, this.#startedAtMs);
  }

  #takesLong(): void {
    this.#startedAtMs ??= this.#options.nowMs();
    this.#options.turns.takesLong(this.#startedAtMs);
  }

  /** Returns the reply, or undefined when it has been put in line. */
  #perform(connection: Connection, frame: string, limits: KeyLimits | undefined): string | undefined {
    const scanner = this.#scanner;
    const scanned = scanner.scan(frame, this.#context.batch);
    if (scanned < 0) return this.#performUnusual(connection, frame, limits);
    const route = SCANNED_ROUTES[scanned] as Route;
    this.#id = scanner.id;
    this.#route = route;
    checkPermission(connection.apiKey, route.permission);
    if (scanned === SCANNED_INS) return this.#insert(connection, frame.length, limits);
    const request = route.readFast(scanner.fields);
    if (request === undefined) return this.#performUnusual(connection, frame, limits);
    if (limits !== undefined) checkCollections(limits, route.type, request);
    if (route.isWrite) return this.#write(connection, route, scanner.idText, request, frame.length);
    return this.#read(connection, route, scanner.id, request);
  }

  #insert(connection: Connection, frameLength: number, limits: KeyLimits | undefined): string | undefined {
    const { database, batch } = this.#context;
    if (limits?.mayInsert(batch) === false) throw deniedError();
    const written = database.insert(batch);
    if (written === undefined) return okReply(this.#scanner.idText);
    connection.replyAfter(written, this.#scanner.idText, frameLength);
    return undefined;
  }

  /** What the schema is to decide. */
  #performUnusual(connection: Connection, frame: string, limits: KeyLimits | undefined): string | undefined {
    if (frame.length > UNUSUAL_FRAME_LENGTH_AT_ONCE && this.#isReadBeside(connection, frame))
      return undefined;
    const message = readMessage(frame);
    const id = JSON.stringify(message.id);
    this.#id = id;
    this.#route = undefined;
    const type = readType(message.type);
    const route = ROUTES[type];
    this.#route = route;
    checkPermission(connection.apiKey, route.permission);
    const request = readRequest(type, message.data);
    if (limits !== undefined) checkCollections(limits, type, request);
    if (route.isWrite) return this.#write(connection, route, id, request, frame.length);
    return this.#read(connection, route, id, request);
  }

  #write(
    connection: Connection,
    { handle, isShort, isLongWrite, type }: Route,
    id: string,
    request: unknown,
    frameLength: number,
  ): string | undefined {
    if (!isShort(request as never)) this.#takesLong();
    const written = handle(this.#context, request as never, connection) as Written;
    if (written === undefined) return okReply(id);
    if (isLongWrite(request as never)) {
      // It is timed to its end.
      this.#startedAtMs = undefined;
      connection.replyWith(this.#promisedWrite(connection, { id, type, written }));
    } else connection.replyAfter(written, id, frameLength);
    return undefined;
  }

  #read(
    connection: Connection,
    { handle, isShort, head, type }: Route,
    id: string | RawText,
    request: unknown,
  ): string | undefined {
    if (!isShort(request as never)) this.#takesLong();
    const answer = handle(this.#context, request as never, connection) as Answer;
    if (!(answer instanceof Promise)) return this.#answer(id, head, answer);
    // It is timed to its end.
    this.#startedAtMs = undefined;
    connection.replyWith(
      this.#promisedAnswer(connection, { id: id.toString(), type, head, request: kept(request), answer }),
    );
    return undefined;
  }

  async #promisedWrite(
    connection: Connection,
    { id, type, written }: { id: string; type: MessageType; written: Promise<void> },
  ): Promise<string> {
    const startedAtMs = this.#options.nowMs();
    try {
      await written;
      return okReply(id);
    } catch (error) {
      return failureReply(id, this.#toDatabaseError(error, type));
    } finally {
      this.#logIfSlow(connection, type, startedAtMs);
    }
  }

  async #promisedAnswer(connection: Connection, promised: Promised): Promise<string> {
    const { id, type } = promised;
    const startedAtMs = this.#options.nowMs();
    try {
      return await this.#awaitedAnswer(connection, promised);
    } catch (error) {
      // It goes nowhere: what went wrong is that nobody waits for it.
      if (connection.isGone) return "";
      return failureReply(id, this.#toDatabaseError(error, type));
    } finally {
      this.#logIfSlow(connection, type, startedAtMs);
    }
  }

  async #awaitedAnswer(
    connection: Connection,
    { id, type, head, request, answer }: Promised,
  ): Promise<string> {
    const text = await answer;
    // The key may have been changed meanwhile.
    checkPermission(connection.apiKey, ROUTES[type].permission);
    const { limits } = connection.apiKey;
    if (limits !== undefined) checkCollections(limits, type, request);
    const reply = this.#answer(id, head, text);
    if (reply.length > LARGE_REPLY_LENGTH && !connection.isGone) await this.#largeReplies.join(reply);
    return reply;
  }

  /** Has a frame read on another thread, and its reply put in line; false where too much waits for that already. */
  #isReadBeside(connection: Connection, frame: string): boolean {
    if (this.#frameThread.isFull) return false;
    this.#readBeside(connection, frame);
    return true;
  }

  #readBeside(connection: Connection, frame: string, ready?: Promise<void>): void {
    // It is timed, and counted, when it comes to its end.
    this.#startedAtMs = undefined;
    this.#route = undefined;
    connection.replyWith(this.#answerLarge(connection, frame, ready));
  }

  /** Has a write that has to wait for something done after that, as a large frame. */
  #isTriedAgain(connection: Connection, frame: string, error: unknown): boolean {
    const ready = readyAfter(error);
    if (ready === undefined || (error instanceof MemoryFull && this.#frameThread.isFull)) return false;
    this.#readBeside(connection, frame, ready);
    return true;
  }

  async #answerLarge(connection: Connection, frame: string, ready?: Promise<void>): Promise<string> {
    const startedAtMs = this.#options.nowMs();
    let known: KnownFrame = {};
    try {
      const read = await this.#frameThread.read(frame, ready);
      known = read;
      if (read.type !== undefined) checkPermission(connection.apiKey, ROUTES[read.type].permission);
      if ("failure" in read) throw new DatabaseError(read.failure.code, read.failure.message);
      if (!("keys" in read)) return await this.#performLarge(connection, read);
      const { id, type, keys } = read;
      return await this.#performLarge(connection, { id, type, request: unpackKeys(keys) });
    } catch (error) {
      if (known.id === undefined) connection.closeAfterReplies(CLOSE_POLICY, BAD_FRAME);
      return this.#failure(connection, error, known);
    } finally {
      if (known.type !== undefined) this.#options.metrics.request(ROUTES[known.type].number);
      this.#logIfSlow(connection, known.type, startedAtMs);
    }
  }

  async #performLarge(connection: Connection, read: LargeBatch | LargeRequest): Promise<string> {
    if (!("batch" in read)) return whenReady(() => this.#executeLarge(connection, read));
    const batch = InsertBatch.of(read.batch);
    try {
      await whenReady((isPrepared) => this.#insertLarge(connection, batch, isPrepared));
    } finally {
      batch.free();
    }
    return okReply(read.id);
  }

  /** What a client that has gone meanwhile has sent is stored all the same: it would have been, had it been short. */
  async #insertLarge(
    { apiKey: { limits } }: Connection,
    batch: InsertBatch,
    isPrepared: boolean,
  ): Promise<void> {
    if (limits?.mayInsert(batch) === false) throw deniedError();
    const written = this.#context.database.insert(batch, isPrepared);
    // The commit may take a while.
    batch.free();
    await written;
  }

  async #executeLarge(connection: Connection, { id, type, request }: LargeRequest): Promise<string> {
    const { limits } = connection.apiKey;
    if (limits !== undefined) checkCollections(limits, type, request);
    const { handle, isWrite, head } = ROUTES[type];
    const result = handle(this.#context, request as never, connection);
    if (isWrite) {
      await result;
      return okReply(id);
    }
    if (!(result instanceof Promise)) return this.#answer(id, head, result as AnswerText);
    const answer = result as Promise<AnswerText>;
    return this.#awaitedAnswer(connection, { id, type, head, request, answer });
  }

  #answer(id: string | RawText, head: AsciiText, text: AnswerText): string {
    const { replyBytesMax } = this.#options;
    if (!isLarger(text, replyBytesMax)) return answerReply(id, head, text);
    throw replyTooLarge(replyBytesMax);
  }

  /** The reply to a request that failed, as far as the request is known. */
  #failure({ ip, name }: Connection, error: unknown, { id, type }: KnownFrame): string {
    const failure = this.#toDatabaseError(error, type);
    if (failure.code === "bad_frame") this.#options.log.badFrame({ ip, name, reason: failure.message });
    return failureReply(id, failure);
  }

  /** What a client is told of whatever failed; a bug is logged. */
  #toDatabaseError(error: unknown, type: MessageType | undefined): DatabaseError {
    if (error instanceof DatabaseError) {
      this.#options.metrics.failure(type, error.code);
      if (error.code === "storage_failed") this.#logDiskFailure(error.message);
      return error;
    }
    this.#options.metrics.failure(type, "internal");
    this.#options.log.bug(error, { type: type ?? UNKNOWN_TYPE });
    return new DatabaseError("internal", INTERNAL_ERROR_TEXT);
  }

  /** A failing disk fails every request: one line a second tells as much. */
  #logDiskFailure(reason: string): void {
    const { nowMs, log } = this.#options;
    if (nowMs() - this.#diskFailureLoggedAtMs < DISK_FAILURE_LOG_MS) return;
    this.#diskFailureLoggedAtMs = nowMs();
    log.diskFailed({ reason });
  }

  #logIfSlow({ ip, name }: Connection, type: MessageType | undefined, startedAtMs: number): void {
    const { nowMs, slowRequestMs, log, metrics } = this.#options;
    const ms = nowMs() - startedAtMs;
    metrics.duration(type && ROUTES[type].number, ms);
    if (ms >= slowRequestMs) log.slowRequest({ ip, name, type: type ?? UNKNOWN_TYPE, ms });
  }
}

/** A request for later: its collection may be a text that is in the frame. */
function kept(request: unknown): unknown {
  const col = (request as { col?: unknown } | undefined)?.col;
  return col instanceof RawText ? { ...(request as object), col: col.toString() } : request;
}
