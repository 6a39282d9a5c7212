/**
 * The network's side: HTTP, the WebSocket upgrade, and what becomes of a connection.
 */
import type { Server } from "bun";
import type { ApiKeys } from "../engine/api_keys.ts";
import type { Database } from "../engine/database.ts";
import { ADJUSTABLE_LIMITS, type AdjustableLimits } from "../protocol/adjustable_limits.ts";
import { IDLE_TIMEOUT_SECONDS, SLOW_REQUEST_MS, UNSENT_BYTES_MIN } from "../protocol/limits.ts";
import { Admission, type Refusal } from "./admission.ts";
import { CommitGates } from "./commit_gate.ts";
import { Connection, type ConnectionEvents, type Frame, type Socket } from "./connection.ts";
import { Connections } from "./connections.ts";
import type { StatusOf } from "./context.ts";
import { Dispatch } from "./dispatch.ts";
import { FrameTurns } from "./frame_turns.ts";
import { Garbage } from "./garbage.ts";
import { KeyExpiry } from "./key_expiry.ts";
import type { Login } from "./login.ts";
import { LoopDelay } from "./loop_delay.ts";
import { Metrics } from "./metrics.ts";
import { answerOperations, type OperationsOptions, serveOperations } from "./operations.ts";
import { READY } from "./reply.ts";
import type { ServerLog } from "./server_log.ts";
import { SlowReaders } from "./slow_readers.ts";

export type ServerOptions = Partial<AdjustableLimits> & {
  readonly host: string;
  /** 0 takes any free one. */
  readonly port: number;
  readonly database: Database;
  readonly apiKeys: ApiKeys;
  readonly log: ServerLog;
  /** What `stat` answers, but for what is known here. */
  readonly status: StatusOf;
  /** A clock that only goes forward, in milliseconds. */
  readonly nowMs: () => number;
  /** The calendar's clock, in milliseconds since 1970. */
  readonly dateMs?: () => number;
  readonly idleTimeoutSeconds?: number;
  /** What all clients together may have been sent and not have read. */
  readonly unsentBytesMax?: number;
  /** Until it resolves, whoever wants to connect waits; without, there is nothing to wait for. */
  readonly loaded?: Promise<unknown>;
  /** Why the database cannot be used now, beside what is known here. */
  readonly notReady?: () => string | undefined;
  /** See Admission. */
  readonly allowedOrigins?: readonly string[];
  /** Encrypts; see `replaceTls`. */
  readonly tls?: TlsKeyPair | undefined;
  /** See OperationsOptions. */
  readonly backup?: NonNullable<OperationsOptions["backup"]>;
  /** Where metrics need no API key. */
  readonly opsPort?: number | undefined;
  readonly slowRequestMs?: number;
  /** What others count as well. */
  readonly metrics?: Metrics;
};

/** PEM texts: the certificate with its chain, and its key. */
export type TlsKeyPair = { readonly cert: string; readonly key: string };

export type RunningServer = {
  readonly host: string;
  readonly port: number;
  readonly opsPort: number | undefined;
  readonly connectionCount: number;
  /** New connections get this one; those that are there keep theirs. */
  replaceTls(tls: TlsKeyPair): void;
  /** Takes no more connections, answers what came in, and closes. */
  stop(): Promise<void>;
};

/** What the parts below share. */
type Parts = {
  readonly options: ServerOptions;
  readonly limits: AdjustableLimits;
  readonly connections: Connections;
  readonly keyExpiry: KeyExpiry;
  readonly turns: FrameTurns;
  readonly events: ConnectionEvents;
  readonly metrics: Metrics;
  readonly operations: OperationsOptions;
  readonly admission: Admission;
  isLoaded: boolean;
  isStopping: boolean;
};

/** Pages of any origin may read these answers: they say nothing but whether a key is known. */
const ANY_ORIGIN = { "access-control-allow-origin": "*" };
/** What to do about a status, as programs read it: there may be room soon. */
const HINTS: Readonly<Record<number, Readonly<Record<string, string>>>> = {
  401: { "www-authenticate": "Bearer" },
  429: { "retry-after": "1" },
  503: { "retry-after": "1" },
};
const CLOSE_GOING_AWAY = 1001;
const CLOSE_INTERNAL = 1011;
/** How often a stopping server looks whether all replies are out. */
const STOP_POLL_MS = 5;
/** A client that does not read its last replies is not waited for longer than this. */
const STOP_WAIT_MS = 10_000;
/** An HTTP request that is half sent is not waited for longer than this. */
const STOP_HTTP_WAIT_MS = 100;
/** What Bun takes at most. */
const BACKPRESSURE_BYTES_MAX = 0x7fff_ffff;

/** Listens when it returns. @throws what Bun throws when the address can't be had; OpsPortError with that as its cause. */
export function startServer(options: ServerOptions): RunningServer {
  const { host, port, log, dateMs = Date.now } = options;
  const limits = { ...ADJUSTABLE_LIMITS, ...options };
  const connections = new Connections();
  const keyExpiry = new KeyExpiry(connections, dateMs);
  const metrics = options.metrics ?? new Metrics(options.nowMs);
  const turns = new FrameTurns(options.nowMs);
  const dispatch = new Dispatch({
    ...options,
    connections,
    keyExpiry,
    dateMs,
    metrics,
    turns,
    replyBytesMax: limits.replyBytesMax,
    slowRequestMs: options.slowRequestMs ?? SLOW_REQUEST_MS,
  });
  const events: ConnectionEvents = {
    frame: (connection, frame) => dispatch.handle(connection, frame),
    garbage: new Garbage({ nowMs: options.nowMs }),
    gates: new CommitGates(dispatch.commitFailure),
    slowReaders: new SlowReaders({
      nowMs: options.nowMs,
      idleMs: (options.idleTimeoutSeconds ?? IDLE_TIMEOUT_SECONDS) * 1000,
      bytesMax: options.unsentBytesMax ?? UNSENT_BYTES_MIN,
    }),
    givenUp: ({ ip, name, unsentBytes }) => log.readerGivenUp({ ip, name, unsentBytes }),
    dropped: ({ ip }) => log.bug(new Error(`A reply to ${ip} was dropped`), { type: "send" }),
  };
  const parts: Parts = {
    options,
    limits,
    connections,
    keyExpiry,
    turns,
    events,
    metrics,
    operations: {
      metrics,
      status: async () => ({ ...(await options.status()), connections: connections.size }),
      notReady: () => notReady(parts),
    },
    admission: new Admission({
      apiKeys: options.apiKeys,
      connections,
      allowedOrigins: options.allowedOrigins ?? [],
      connectionsMax: limits.connectionsMax,
      connectionsPerKeyMax: limits.connectionsPerKeyMax,
      connectionsPerSecondMax: limits.connectionsPerSecondMax,
      nowMs: options.nowMs,
      dateMs,
    }),
    isLoaded: options.loaded === undefined,
    isStopping: false,
  };
  // Who waits is told by `stop` when loading fails.
  options.loaded?.then(
    () => {
      parts.isLoaded = true;
    },
    () => {},
  );
  let server = listen(parts, { port, tls: options.tls });
  let operations: Server<unknown> | undefined;
  if (options.opsPort !== undefined) {
    try {
      operations = serveOperations({ host, port: options.opsPort, operations: parts.operations });
    } catch (error) {
      void server.stop(true);
      throw error;
    }
  }
  const loopDelay = new LoopDelay(metrics, options.nowMs);
  return {
    host,
    port: server.port ?? port,
    opsPort: operations?.port,
    get connectionCount() {
      return connections.size;
    },
    replaceTls(tls) {
      // Bun's `reload` keeps the certificate. Without an argument, `stop` closes the listener and leaves connections open.
      const { port: samePort = port } = server;
      void server.stop();
      server = listen(parts, { port: samePort, tls });
    },
    async stop() {
      await stop(parts, server);
      await dispatch.close();
      loopDelay.stop();
      keyExpiry.stop();
      await operations?.stop(true);
    },
  };
}

function listen(
  parts: Parts,
  { port, tls }: { readonly port: number; readonly tls: TlsKeyPair | undefined },
): Server<Connection> {
  const { host, log } = parts.options;
  return Bun.serve({
    hostname: host,
    port,
    ...(tls && { tls: { cert: tls.cert, key: tls.key } }),
    development: false,
    // Without `development` Bun shares the port with whoever asks; two servers on one would each get half the clients.
    reusePort: false,
    fetch: (request, self) => answer(parts, request, self),
    error(error) {
      log.bug(error, { type: "upgrade" });
      return new Response("Internal error\n", { status: 500 });
    },
    websocket: socketHandlers(parts),
  });
}

/** Why nobody should be sent here. */
function notReady({ options, isLoaded, isStopping }: Parts): string | undefined {
  if (isStopping) return "The server is stopping";
  return isLoaded ? options.notReady?.() : "The server is loading its data";
}

function answer(
  parts: Parts,
  request: Request,
  server: Server<Connection>,
): Response | undefined | Promise<Response | undefined> {
  const { options, operations } = parts;
  const isWebSocket = request.headers.get("upgrade")?.toLowerCase() === "websocket";
  if (!isWebSocket) {
    const login = () => authenticate(parts, request, server);
    const backup = options.backup && patient(options.backup, request, server);
    const operation = answerOperations(request, {
      ...operations,
      login,
      log: options.log,
      ...(backup && { backup }),
    });
    if (operation !== undefined) return operation;
  }
  if (parts.isLoaded || options.loaded === undefined) return upgrade(parts, request, server);
  // A client waits for the server's first frame anyway. Bun would give up on it after 10 s.
  server.timeout(request, 0);
  return options.loaded.then(
    () => upgrade(parts, request, server),
    () => new Response("The server could not load its data\n", { status: 503 }),
  );
}

type Backup = NonNullable<OperationsOptions["backup"]>;

/** Bun gives up on a request after 10 s without a byte; to make a backup takes as long as it takes. */
function patient(backup: Backup, request: Request, server: Server<Connection>): Backup {
  return (signal) => {
    server.timeout(request, 0);
    // Who has stopped reading it does not keep it.
    return backup(signal).finally(() => server.timeout(request, IDLE_TIMEOUT_SECONDS));
  };
}

function upgrade(
  parts: Parts,
  request: Request,
  server: Server<Connection>,
): Response | undefined | Promise<Response> {
  const { options, limits, events } = parts;
  if (parts.isStopping) return new Response("The server is stopping\n", { status: 503 });
  const isWebSocket = request.headers.get("upgrade")?.toLowerCase() === "websocket";
  // A browser does not tell a page why its WebSocket was refused; so a page may ask, with the key that it used.
  if (!isWebSocket && !hasKeyParameter(request)) return upgradeRequired(options, server);
  const ip = addressOf(server, request);
  const login = parts.admission.admit(request, ip);
  if ("status" in login) return refuse(parts, ip, login);
  if (!isWebSocket) return upgradeRequired(options, server);
  const connection = new Connection({
    ...login,
    ip,
    connectedAtMs: options.nowMs(),
    requestsInFlightMax: limits.requestsInFlightMax,
    turns: parts.turns,
    events,
  });
  return server.upgrade(request, { data: connection }) ? undefined : upgradeRequired(options, server);
}

/** Of who asks by plain HTTP. */
function authenticate(
  parts: Parts,
  request: Request,
  server: Server<Connection>,
): Login | Response | Promise<Response> {
  const ip = addressOf(server, request);
  const login = parts.admission.login(request, ip);
  return "status" in login ? refuse(parts, ip, login) : login;
}

function refuse(parts: Parts, ip: string, refusal: Refusal): Response | Promise<Response> {
  const { status, reason, cause, delayMs } = refusal;
  parts.options.log.rejected({ ip, reason });
  parts.metrics.refused(cause);
  const response = new Response(reason, { status, headers: { ...ANY_ORIGIN, ...HINTS[status] } });
  return delayMs === 0 ? response : parts.admission.holdBack(refusal).then(() => response);
}

const addressOf = (server: Server<Connection>, request: Request): string =>
  server.requestIP(request)?.address ?? "";

const hasKeyParameter = ({ url }: Request): boolean => /[?&]api-key=/.test(url);

function upgradeRequired({ host }: ServerOptions, { port }: Server<Connection>): Response {
  const text = `FluxionDB speaks WebSocket: connect to ws://${host}:${port}/?api-key=KEY\n`;
  return new Response(text, {
    status: 426,
    headers: { ...ANY_ORIGIN, upgrade: "websocket", connection: "upgrade" },
  });
}

function socketHandlers({
  options,
  limits,
  connections,
  keyExpiry,
  metrics,
}: Parts): Bun.WebSocketHandler<Connection> {
  const { log, nowMs } = options;
  return {
    data: {} as Connection,
    maxPayloadLength: limits.frameBytesMax,
    idleTimeout: options.idleTimeoutSeconds ?? IDLE_TIMEOUT_SECONDS,
    sendPings: true,
    // Compressed, every reply would cost more than the request; and a small frame could unpack to a large one.
    perMessageDeflate: false,
    // Bun drops what comes when this much is unsent already. Long before that nothing more is read from the client
    // (UNSENT_BYTES_PAUSE), so what is unsent is a part of one reply.
    backpressureLimit: BACKPRESSURE_BYTES_MAX,
    open(socket: Socket) {
      const connection = socket.data;
      connection.opened(socket);
      connections.add(connection);
      keyExpiry.watch(connection.apiKey);
      metrics.connected();
      connection.reply(READY);
      log.connected({ ip: connection.ip, name: connection.name });
    },
    message(socket: Socket, frame: Frame) {
      socket.data.receive(frame);
    },
    drain(socket: Socket) {
      socket.data.drained();
    },
    pong(socket: Socket, payload: Buffer) {
      socket.data.ponged(payload);
    },
    close(socket: Socket, code: number) {
      const connection = socket.data;
      connection.closed();
      connections.delete(connection);
      const seconds = (nowMs() - connection.connectedAtMs) / 1000;
      log.disconnected({ ip: connection.ip, name: connection.name, code, seconds });
    },
    error(error: Error, socket: Socket) {
      log.bug(error, { type: "socket" });
      socket.close(CLOSE_INTERNAL, "Internal error");
    },
  };
}

async function stop(parts: Parts, server: Server<Connection>): Promise<void> {
  const { connections, options } = parts;
  parts.isStopping = true;
  // Without an argument, Bun closes the listener and leaves connections open.
  const closed = server.stop();
  // What has arrived by now is handled in the turn of the event loop that this gives it.
  await Bun.sleep(STOP_POLL_MS);
  for (const connection of connections) connection.stopReading();
  const until = options.nowMs() + STOP_WAIT_MS;
  // Closed each as soon as it can be, so that nobody waits for a client that does not read.
  for (;;) {
    for (const connection of [...connections]) {
      if (connection.isDone(options.nowMs())) connection.closeNow(CLOSE_GOING_AWAY, "Server stopping");
    }
    if (connections.size === 0 || options.nowMs() >= until) break;
    await Bun.sleep(STOP_POLL_MS);
  }
  // By force only when something is left: it would also cut off those that are just reading that they are closed.
  const isClosed = connections.size === 0 && (await isSettledWithin(closed, STOP_HTTP_WAIT_MS));
  if (!isClosed) await server.stop(true);
}

function isSettledWithin(promise: Promise<void>, ms: number): Promise<boolean> {
  return Promise.race([promise.then(() => true), Bun.sleep(ms).then(() => false)]);
}
