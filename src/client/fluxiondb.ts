/**
 * The client: a method for each message of the protocol, over one connection that comes back by itself.
 *
 * Methods can be called without waiting for the ones before: requests are sent in the order of the calls, and a read
 * sees what was inserted before it.
 */
import type { MessageType } from "../protocol/messages.ts";
import type { ServerStatus } from "../protocol/server_status.ts";
import { BackOff } from "./back_off.ts";
import { FluxionError } from "./fluxion_error.ts";
import { historyPages } from "./history_pages.ts";
import { InsertBuffer } from "./insert_buffer.ts";
import type { WebSocketConstructor } from "./link.ts";
import { type Reply, readRecords, readRecordsByDocument } from "./reply.ts";
import {
  checkTimestamp,
  type Fields,
  objectText,
  recordKeyText,
  TIMESTAMP_MAX,
  TIMESTAMP_MIN,
} from "./request_text.ts";
import { Session } from "./session.ts";
import type {
  ApiKey,
  ApiKeyLimits,
  CallOptions,
  ConnectionInfo,
  ConnectionState,
  DataRecord,
  HistoryQuery,
  LatestQuery,
  NewRecord,
  PagedHistoryQuery,
  RecordKey,
  Scope,
  Timestamp,
} from "./types.ts";

export type FluxionDBOptions = {
  /** `ws://` or `wss://`; `http://` and `https://` mean the same. */
  readonly url: string | URL;
  readonly apiKey: string;
  /** Shown to others by `connections()`. */
  readonly name?: string;
  /** How long a call waits for its reply, 30,000 by default; 0 is for ever. A call can say otherwise. */
  readonly timeoutMs?: number;
  /** In place of the global one, which Node.js has from version 22 on: `import WebSocket from "ws"`. */
  readonly WebSocket?: WebSocketConstructor;
  /** Connect again when the connection breaks (the default), after 100 ms and up to 10 s; false is never. */
  readonly reconnect?: boolean | { readonly minMs?: number; readonly maxMs?: number };
  /**
   * What happens to requests that were under way when the connection broke. `safe`, the default: those that do no
   * harm when they are done twice (reads, inserts, setting a value) are sent again, others fail. `none`: all fail.
   */
  readonly retry?: "safe" | "none";
  /** How many requests may wait, 100,000 by default; beyond it calls fail with `buffer_full`. */
  readonly pendingMax?: number;
  /** Small inserts travel together. */
  readonly batch?: {
    /** How long a record waits for others, 0 by default: for those of the same turn of the event loop only. */
    readonly delayMs?: number;
    /** 1,000 by default. */
    readonly recordsMax?: number;
    /** 256 KiB by default. */
    readonly bytesMax?: number;
  };
  /** Records that are not acknowledged yet, among them all that are inserted without a connection. */
  readonly buffer?: {
    /** 64 MiB by default. */
    readonly bytesMax?: number;
    /** `reject`, the default: inserts fail with `buffer_full`. `drop_oldest`: the oldest unsent ones fail with it. */
    readonly whenFull?: "reject" | "drop_oldest";
  };
  /** `error` says why there is no connection. */
  readonly onStateChange?: (state: ConnectionState, error: FluxionError | undefined) => void;
};

const TIMEOUT_MS = 30_000;
const CONNECT_TIMEOUT_MS = 10_000;
const RECONNECT_MS = { minMs: 100, maxMs: 10_000 };
const PENDING_MAX = 100_000;
const BATCH_RECORDS_MAX = 1000;
const BATCH_BYTES_MAX = 256 * 1024;
const BUFFER_BYTES_MAX = 64 * 1024 * 1024;

export class FluxionDB implements AsyncDisposable {
  readonly #session: Session;
  readonly #inserts: InsertBuffer;
  readonly #timeoutMs: number;

  /**
   * Connects in the background; calls made before it is connected wait for it.
   *
   * @throws FluxionError `bad_request` when an option cannot be used.
   */
  constructor(options: FluxionDBOptions) {
    const { reconnect = true, timeoutMs = TIMEOUT_MS, batch = {}, buffer = {} } = options;
    this.#timeoutMs = timeoutMs;
    this.#session = new Session({
      url: readUrl(options.url),
      apiKey: checkApiKey(options.apiKey),
      name: options.name,
      WebSocket: findWebSocket(options.WebSocket),
      reconnect: reconnect !== false,
      backOff: new BackOff({
        ...RECONNECT_MS,
        ...(typeof reconnect === "object" && reconnect),
        random: Math.random,
      }),
      retry: options.retry ?? "safe",
      pendingMax: options.pendingMax ?? PENDING_MAX,
      connectTimeoutMs: timeoutMs === 0 ? CONNECT_TIMEOUT_MS : Math.min(timeoutMs, CONNECT_TIMEOUT_MS),
      onStateChange: options.onStateChange ?? (() => {}),
    });
    this.#inserts = new InsertBuffer({
      session: this.#session,
      timeoutMs,
      delayMs: batch.delayMs ?? 0,
      batchRecordsMax: batch.recordsMax ?? BATCH_RECORDS_MAX,
      batchBytesMax: batch.bytesMax ?? BATCH_BYTES_MAX,
      bufferBytesMax: buffer.bytesMax ?? BUFFER_BYTES_MAX,
      whenFull: buffer.whenFull ?? "reject",
    });
  }

  /**
   * Resolves when the server has taken the key.
   *
   * @throws FluxionError `unauthorized` or `connection_failed`; it is not tried again.
   */
  static async connect(options: FluxionDBOptions): Promise<FluxionDB> {
    const client = new FluxionDB(options);
    try {
      await client.#session.firstOutcome;
      return client;
    } catch (error) {
      client.#session.close(error as FluxionError);
      throw error;
    }
  }

  get state(): ConnectionState {
    return this.#session.state;
  }

  /** How much of what was inserted is not acknowledged yet, about, in bytes. */
  get bufferedBytes(): number {
    return this.#inserts.bytes;
  }

  /**
   * Stores records; one that is there already at the same collection, document and time is replaced.
   *
   * Up to 4 MiB are stored all or none; a longer array goes as several requests.
   *
   * @throws FluxionError; those beside the server's are `buffer_full`, `timeout`, `aborted`, `connection_lost`, `closed`.
   */
  async insert(records: NewRecord | readonly NewRecord[], options: CallOptions = {}): Promise<void> {
    const list = Array.isArray(records) ? (records as readonly NewRecord[]) : [records as NewRecord];
    await this.#inserts.insert(list, options);
  }

  /** The latest record at or before `at` of each document, by name; of one document, or of those that match. */
  async latest(
    collection: string,
    { at = TIMESTAMP_MAX, document, from, where, filter }: LatestQuery = {},
    options: CallOptions = {},
  ): Promise<Map<string, DataRecord>> {
    const ts = checkTimestamp(at, "at");
    const first = from === undefined ? undefined : checkTimestamp(from, "from");
    const fields = { col: collection, ts, doc: document, from: first, where, filter };
    return readRecordsByDocument(await this.#ask("qry", fields, options));
  }

  /** One document's records, oldest first, in one reply: for histories that fit in memory. */
  async records(
    collection: string,
    document: string,
    query: HistoryQuery = {},
    options: CallOptions = {},
  ): Promise<DataRecord[]> {
    return readRecords(await this.#askHistory(collection, document, query, options));
  }

  /** One document's records, oldest first, of any number: pages are fetched while they are worked on. */
  async *history(
    collection: string,
    document: string,
    query: PagedHistoryQuery = {},
    options: CallOptions = {},
  ): AsyncGenerator<DataRecord, void, void> {
    for await (const page of this.historyPages(collection, document, query, options)) yield* page;
  }

  /** The same, page by page, which is faster for work in bulk. */
  historyPages(
    collection: string,
    document: string,
    query: PagedHistoryQuery = {},
    { signal, ...options }: CallOptions = {},
  ): AsyncGenerator<readonly DataRecord[], void, void> {
    const readPage = async (page: HistoryQuery, either: AbortSignal) => {
      const reply = await this.#askHistory(collection, document, page, { ...options, signal: either });
      return { records: readRecords(reply), replyLength: reply.text.length };
    };
    return historyPages(readPage, query, signal);
  }

  /** Without a collection: the documents of that name in all of them. */
  async deleteDocument(
    document: string,
    { collection }: { readonly collection?: string } = {},
    options: CallOptions = {},
  ): Promise<void> {
    await this.#ask("ddoc", { doc: document, col: collection }, options);
  }

  /** Its records and its key-values. */
  async deleteCollection(collection: string, options: CallOptions = {}): Promise<void> {
    await this.#ask("dcol", { col: collection }, options);
  }

  /** Those that are there. */
  async deleteRecords(keys: RecordKey | readonly RecordKey[], options: CallOptions = {}): Promise<void> {
    const list = Array.isArray(keys) ? (keys as readonly RecordKey[]) : [keys as RecordKey];
    const texts = list.map((key, index) => recordKeyText(key, `deleteRecords[${index}]`));
    await this.#send("dmrec", `[${texts.join(",")}]`, options);
  }

  /** A document's records from one time to another, both included. */
  async deleteRange(
    collection: string,
    document: string,
    range: { readonly from: Timestamp; readonly to: Timestamp },
    options: CallOptions = {},
  ): Promise<void> {
    const fromTs = checkTimestamp(range.from, "from");
    const toTs = checkTimestamp(range.to, "to");
    await this.#ask("drrng", { doc: document, col: collection, fromTs, toTs }, options);
  }

  async collections(options: CallOptions = {}): Promise<string[]> {
    return (await this.#ask("cols", {}, options)).body.collections as string[];
  }

  async setValue(collection: string, key: string, value: string, options: CallOptions = {}): Promise<void> {
    await this.#ask("sval", { col: collection, key, value }, options);
  }

  /** The empty string when there is none. */
  async value(collection: string, key: string, options: CallOptions = {}): Promise<string> {
    return (await this.#ask("gval", { col: collection, key }, options)).body.value as string;
  }

  /** All of a collection, of a key (`""` when it is not there), or of the keys that match a `/pattern/`. */
  async values(collection: string, key?: string, options: CallOptions = {}): Promise<Map<string, string>> {
    const reply = await (key === undefined
      ? this.#ask("gvals", { col: collection }, options)
      : this.#ask("gvalues", { col: collection, key }, options));
    return new Map(Object.entries(reply.body.values as Record<string, string>));
  }

  async valueKeys(collection: string, options: CallOptions = {}): Promise<string[]> {
    return (await this.#ask("gkeys", { col: collection }, options)).body.keys as string[];
  }

  async deleteValue(collection: string, key: string, options: CallOptions = {}): Promise<void> {
    await this.#ask("rval", { col: collection, key }, options);
  }

  /**
   * Adds an API key, or changes its scope and its limits. With the master key only.
   *
   * @throws FluxionError `unsupported` when the server does not know of limits, and has added the key without them
   */
  async addApiKey(key: string, scope: Scope, options: ApiKeyLimits & CallOptions = {}): Promise<Scope> {
    return (await this.putApiKey(key, scope, options)).scope;
  }

  /** The same; resolves with all that the key is held to from now on. */
  async putApiKey(
    key: string,
    scope: Scope,
    { expiresAt: until, collections, ...options }: ApiKeyLimits & CallOptions = {},
  ): Promise<Pick<ApiKey, "scope" | "expiresAt" | "collections">> {
    const expiresAt = until instanceof Date ? until.getTime() : until;
    const { body } = await this.#ask("keys", { action: "add", key, scope, expiresAt, collections }, options);
    const isHeld = (asked: unknown, lifted: string, got: unknown): boolean =>
      asked === undefined || asked === lifted || JSON.stringify(asked) === JSON.stringify(got);
    if (isHeld(expiresAt, "never", body.expiresAt) && isHeld(collections, "all", body.collections)) {
      return body as Pick<ApiKey, "scope" | "expiresAt" | "collections">;
    }
    const problem = "The server does not know of limits, and has added the API key without them: remove it";
    throw new FluxionError("unsupported", problem);
  }

  /** Whoever is connected with it is disconnected. With the master key only. */
  async removeApiKey(key: string, options: CallOptions = {}): Promise<void> {
    await this.#ask("keys", { action: "remove", key }, options);
  }

  /** With the master key only, which is among them: `deletable` is false. */
  async apiKeys(options: CallOptions = {}): Promise<ApiKey[]> {
    return (await this.#ask("keys", { action: "list" }, options)).body.keys as ApiKey[];
  }

  async connections(options: CallOptions = {}): Promise<ConnectionInfo[]> {
    return (await this.#ask("conn", {}, options)).body.connections as ConnectionInfo[];
  }

  /** How the server is. Servers of others do not know this message. */
  async status(options: CallOptions = {}): Promise<ServerStatus> {
    return (await this.#ask("stat", {}, options)).body.stat as ServerStatus;
  }

  /** Sends what is buffered, waits for the replies, and disconnects; without a connection, gives up at the timeout. */
  async close(): Promise<void> {
    this.#inserts.flush();
    const isConnected = this.#session.state === "ready";
    if (isConnected || this.#inserts.bytes > 0) await settledWithin(this.#session, this.#timeoutMs);
    this.#session.close(new FluxionError("closed", "The client was closed"));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #askHistory(
    collection: string,
    document: string,
    { from = TIMESTAMP_MIN, to = TIMESTAMP_MAX, limit, reverse, where, filter }: HistoryQuery,
    options: CallOptions,
  ): Promise<Reply> {
    const fields = { col: collection, doc: document, limit, reverse, where, filter };
    const range = { from: checkTimestamp(from, "from"), to: checkTimestamp(to, "to") };
    return this.#ask("qdoc", { ...fields, ...range }, options);
  }

  #ask(type: MessageType, fields: Fields, options: CallOptions): Promise<Reply> {
    return this.#send(type, objectText(fields), options);
  }

  #send(
    type: MessageType,
    data: string,
    { timeoutMs = this.#timeoutMs, signal }: CallOptions,
  ): Promise<Reply> {
    // So that a request sees what was inserted before it.
    this.#inserts.flush();
    return this.#session.call({ type, data, timeoutMs, timeoutStarts: "now", signal }).reply;
  }
}

function checkApiKey(apiKey: string): string {
  if (typeof apiKey === "string" && apiKey !== "") return apiKey;
  throw new FluxionError("bad_request", "apiKey: expected a non-empty string");
}

function readUrl(text: string | URL): URL {
  if (!URL.canParse(String(text)))
    throw new FluxionError("bad_request", `url: expected ws://HOST:PORT, got ${text}`);
  const url = new URL(text);
  if (url.protocol === "http:") url.protocol = "ws:";
  if (url.protocol === "https:") url.protocol = "wss:";
  if (url.protocol === "ws:" || url.protocol === "wss:") return url;
  throw new FluxionError("bad_request", `url: expected ws://HOST:PORT, got ${url.protocol}//${url.host}`);
}

function findWebSocket(given: WebSocketConstructor | undefined): WebSocketConstructor {
  const found = given ?? (globalThis.WebSocket as WebSocketConstructor | undefined);
  if (found !== undefined) return found;
  throw new FluxionError(
    "bad_request",
    'There is no global WebSocket here (Node.js has one from version 22 on): pass one, { WebSocket } from the package "ws"',
  );
}

/** `timeoutMs` 0 waits for ever. */
async function settledWithin(session: Session, timeoutMs: number): Promise<void> {
  if (timeoutMs === 0) return session.settled();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs);
  });
  await Promise.race([session.settled(), timeout]);
  clearTimeout(timer);
}
