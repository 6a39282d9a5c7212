/**
 * The network's side: HTTP, the WebSocket upgrade, and what becomes of a connection.
 */
import type { Server } from "bun";
import type { ApiKey, ApiKeys } from "../engine/api_keys.ts";
import type { Database } from "../engine/database.ts";
import {
  CLIENT_NAME_LENGTH_MAX,
  FRAME_BYTES_MAX,
  IDLE_TIMEOUT_SECONDS,
  REPLY_BYTES_MAX,
  SLOW_REQUEST_MS,
} from "../protocol/limits.ts";
import { Connection, type Socket } from "./connection.ts";
import { Connections } from "./connections.ts";
import { Dispatch } from "./dispatch.ts";
import { READY } from "./reply.ts";
import type { ServerLog } from "./server_log.ts";

export type ServerOptions = {
  readonly host: string;
  /** 0 takes any free one. */
  readonly port: number;
  readonly database: Database;
  readonly apiKeys: ApiKeys;
  readonly log: ServerLog;
  /** A clock that only goes forward, in milliseconds. */
  readonly nowMs: () => number;
  readonly frameBytesMax?: number;
  readonly replyBytesMax?: number;
  readonly idleTimeoutSeconds?: number;
  readonly slowRequestMs?: number;
};

export type RunningServer = {
  readonly host: string;
  readonly port: number;
  readonly connectionCount: number;
  /** Takes no more connections, finishes what came in, and closes. */
  stop(): Promise<void>;
};

const CLOSE_GOING_AWAY = 1001;
const CLOSE_UNSUPPORTED = 1003;
/** How often a stopping server looks whether all replies are out. */
const STOP_POLL_MS = 5;
/** A client that does not read its last replies is not waited for longer than this. */
const STOP_WAIT_MS = 10_000;

export function startServer(options: ServerOptions): RunningServer {
  const { host, port, log, apiKeys, nowMs } = options;
  const connections = new Connections();
  const replyBytesMax = options.replyBytesMax ?? REPLY_BYTES_MAX;
  const dispatch = new Dispatch({
    ...options,
    connections,
    replyBytesMax,
    slowRequestMs: options.slowRequestMs ?? SLOW_REQUEST_MS,
  });
  const onResume = (connection: Connection): void => {
    for (;;) {
      const frame = connection.nextHeldBack();
      if (frame === undefined) return;
      dispatch.handle(connection, frame);
    }
  };

  const server: Server<Connection> = Bun.serve({
    hostname: host,
    port,
    fetch(request, self) {
      const ip = self.requestIP(request)?.address ?? "";
      if (request.headers.get("upgrade")?.toLowerCase() !== "websocket")
        return upgradeRequired(host, self.port ?? port);
      const query = readQuery(request.url);
      const login = authenticate(request, query, apiKeys);
      if (typeof login === "string") {
        log.rejected({ ip, reason: login });
        return new Response(login, { status: 401 });
      }
      const name = query.get("name")?.slice(0, CLIENT_NAME_LENGTH_MAX) ?? null;
      const connection = new Connection({ apiKey: login, name, ip, connectedAtMs: nowMs(), onResume });
      return self.upgrade(request, { data: connection })
        ? undefined
        : upgradeRequired(host, self.port ?? port);
    },
    websocket: {
      data: {} as Connection,
      maxPayloadLength: options.frameBytesMax ?? FRAME_BYTES_MAX,
      idleTimeout: options.idleTimeoutSeconds ?? IDLE_TIMEOUT_SECONDS,
      sendPings: true,
      // Compressed, every reply would cost more than the request; and a small frame could unpack to a large one.
      perMessageDeflate: false,
      // Bun drops what goes beyond it. Reading stops long before (UNSENT_BYTES_PAUSE), so only one reply goes on top.
      backpressureLimit: Math.min(2 * replyBytesMax + FRAME_BYTES_MAX, 0x7fff_ffff),
      open(socket: Socket) {
        const connection = socket.data;
        connection.opened(socket);
        connections.add(connection);
        connection.reply(READY);
        log.connected(connection);
      },
      message(socket: Socket, frame: string | Buffer) {
        const connection = socket.data;
        if (typeof frame !== "string")
          connection.closeNow(CLOSE_UNSUPPORTED, "Binary frames are not supported");
        else if (connection.isPaused) connection.holdBack(frame);
        else if (connection.isOpen) dispatch.handle(connection, frame);
      },
      drain(socket: Socket) {
        socket.data.updatePause();
      },
      close(socket: Socket, code: number) {
        const connection = socket.data;
        connection.closed();
        connections.delete(connection);
        const seconds = (nowMs() - connection.connectedAtMs) / 1000;
        log.disconnected({ ip: connection.ip, name: connection.name, code, seconds });
      },
    },
  });

  return {
    host,
    port: server.port ?? port,
    get connectionCount() {
      return connections.size;
    },
    async stop() {
      // Without an argument, Bun closes the listener and leaves connections open.
      void server.stop();
      await waitForReplies(connections, nowMs);
      for (const connection of [...connections]) connection.closeNow(CLOSE_GOING_AWAY, "Server stopping");
      await server.stop(true);
    },
  };
}

async function waitForReplies(connections: Connections, nowMs: () => number): Promise<void> {
  const until = nowMs() + STOP_WAIT_MS;
  // Frames that have arrived are handled in the turns of the event loop that this gives them.
  do await Bun.sleep(STOP_POLL_MS);
  while ([...connections].some((connection) => connection.hasWaitingReplies) && nowMs() < until);
}

function upgradeRequired(host: string, port: number): Response {
  const text = `FluxionDB speaks WebSocket: connect to ws://${host}:${port}/?api-key=KEY\n`;
  return new Response(text, { status: 426, headers: { upgrade: "websocket", connection: "upgrade" } });
}

/** The query's parameters: percent-decoded, with `+` for a space; what is malformed stays as it is. */
function readQuery(url: string): URLSearchParams {
  const start = url.indexOf("?");
  return new URLSearchParams(start < 0 ? "" : url.slice(start + 1));
}

/** The client's key, or the text of its refusal. */
function authenticate(request: Request, query: URLSearchParams, apiKeys: ApiKeys): ApiKey | string {
  const bearer = /^Bearer +(.+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
  const key = query.get("api-key") || bearer?.trim();
  if (!key) return "Missing API key parameter";
  return apiKeys.authenticate(key) ?? "Unknown API key";
}
