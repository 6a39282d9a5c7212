/**
 * Joins small inserts into frames of many records, which cost a tenth a record.
 *
 * With the default delay of 0 it joins what is called in one go, before the program waits for anything. What is not
 * acknowledged yet is bounded; without a connection, that is how much is kept for later.
 */
import { FluxionError } from "./fluxion_error.ts";
import type { Reply } from "./reply.ts";
import { newRecordText } from "./request_text.ts";
import type { Call, Session } from "./session.ts";
import type { CallOptions, NewRecord } from "./types.ts";

export type InsertBufferOptions = {
  readonly session: Session;
  readonly timeoutMs: number;
  /** How long a record may wait for others. */
  readonly delayMs: number;
  readonly batchRecordsMax: number;
  readonly batchBytesMax: number;
  /** Of all records that are not acknowledged, as they are sent, in UTF-16 code units. */
  readonly bufferBytesMax: number;
  /** `drop_oldest` gives up records that wait for a connection, the oldest first; their inserts fail. */
  readonly whenFull: "reject" | "drop_oldest";
};

/** One call of insert(): its records as text, and its caller. */
type Insert = {
  readonly texts: readonly string[];
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
};

/** A call's records go out as one frame, all or nothing, up to this; beyond, as several. */
const FRAME_BYTES_TARGET = 4 * 1024 * 1024;

export class InsertBuffer {
  readonly #options: InsertBufferOptions;
  /** What waits for company. */
  #waiting: Insert[] = [];
  #waitingRecords = 0;
  #waitingBytes = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isScheduled = false;
  /** Waiting or under way. */
  #bytes = 0;
  /** Frames under way, in the order of sending. */
  readonly #calls = new Set<Call>();

  constructor(options: InsertBufferOptions) {
    this.#options = options;
  }

  /** Of what is not acknowledged. */
  get bytes(): number {
    return this.#bytes;
  }

  async insert(records: readonly NewRecord[], options: CallOptions): Promise<void> {
    const texts = records.map((record, index) => newRecordText(record, `insert[${index}]`));
    const bytes = texts.reduce((sum, text) => sum + text.length + 1, 0);
    this.#makeRoom(bytes);
    this.#bytes += bytes;
    try {
      // A frame that others share cannot be given up for one of them.
      const isAlone = options.signal !== undefined || options.timeoutMs !== undefined;
      await (isAlone || bytes > this.#options.batchBytesMax
        ? this.#sendAlone(texts, options)
        : this.#join(texts, bytes));
    } finally {
      this.#bytes -= bytes;
    }
  }

  /** Sends what waits. */
  flush(): void {
    this.#isScheduled = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waiting.length === 0) return;
    const inserts = this.#waiting;
    this.#waiting = [];
    this.#waitingRecords = 0;
    this.#waitingBytes = 0;
    void this.#sendTogether(inserts);
  }

  #makeRoom(bytes: number): void {
    const { bufferBytesMax, whenFull, session } = this.#options;
    // One that is larger than the bound by itself is taken when it is the only one.
    let excess = this.#bytes === 0 ? 0 : this.#bytes + bytes - bufferBytesMax;
    if (excess <= 0) return;
    const text = `${this.#bytes} bytes of records are not acknowledged yet, at most ${bufferBytesMax} are kept`;
    if (whenFull === "drop_oldest") {
      this.flush();
      const error = new FluxionError("buffer_full", `Dropped for newer records: ${text}`);
      for (const call of this.#calls) {
        if (excess <= 0) return;
        if (call.isSent) continue;
        excess -= call.size;
        session.withdraw(call, error);
      }
      if (excess <= 0) return;
    }
    throw new FluxionError("buffer_full", `Cannot insert: ${text}`);
  }

  #join(texts: readonly string[], bytes: number): Promise<void> {
    const { batchRecordsMax, batchBytesMax, delayMs } = this.#options;
    if (this.#waitingRecords + texts.length > batchRecordsMax || this.#waitingBytes + bytes > batchBytesMax) {
      this.flush();
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ texts, bytes, resolve, reject });
      this.#waitingRecords += texts.length;
      this.#waitingBytes += bytes;
      if (this.#waitingRecords >= batchRecordsMax) this.flush();
      else this.#schedule(delayMs);
    });
  }

  #schedule(delayMs: number): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    if (delayMs > 0) this.#timer = setTimeout(() => this.flush(), delayMs);
    else
      queueMicrotask(() => {
        if (this.#isScheduled) this.flush();
      });
  }

  async #sendTogether(inserts: readonly Insert[]): Promise<void> {
    try {
      await this.#send(
        inserts.flatMap(({ texts }) => texts),
        {},
      );
      for (const { resolve } of inserts) resolve();
    } catch (error) {
      const isOneToBlame =
        error instanceof FluxionError && error.code === "bad_request" && inserts.length > 1;
      if (!isOneToBlame) for (const { reject } of inserts) reject(error);
      // The server took none of them because of one: each gets its own answer.
      else for (const { texts, resolve, reject } of inserts) this.#send(texts, {}).then(resolve, reject);
    }
  }

  async #sendAlone(texts: readonly string[], options: CallOptions): Promise<void> {
    this.flush();
    const frames: Promise<unknown>[] = [];
    let first = 0;
    let bytes = 0;
    for (const [index, text] of texts.entries()) {
      if (bytes + text.length > FRAME_BYTES_TARGET && index > first) {
        frames.push(this.#send(texts.slice(first, index), options));
        first = index;
        bytes = 0;
      }
      bytes += text.length + 1;
    }
    frames.push(this.#send(texts.slice(first), options));
    const results = await Promise.allSettled(frames);
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  async #send(texts: readonly string[], { signal, timeoutMs }: CallOptions): Promise<Reply> {
    const { session, timeoutMs: defaultMs } = this.#options;
    const call = session.call({
      type: "ins",
      data: `[${texts.join(",")}]`,
      signal,
      timeoutMs: timeoutMs ?? defaultMs,
      timeoutStarts: timeoutMs === undefined ? "when sent" : "now",
    });
    this.#calls.add(call);
    try {
      return await call.reply;
    } finally {
      this.#calls.delete(call);
    }
  }
}
