/**
 * HTTP for whoever looks after the server: `/healthz`, `/readyz` and `/metrics`.
 */
import type { Server } from "bun";
import type { ServerStatus } from "../protocol/server_status.ts";
import { StorageError } from "../storage/storage.ts";
import type { Login } from "./login.ts";
import type { Metrics } from "./metrics.ts";
import type { ServerLog } from "./server_log.ts";

export type OperationsOptions = {
  readonly metrics: Metrics;
  readonly status: () => Promise<ServerStatus>;
  /** Why nothing should be sent here; undefined when all is well. */
  readonly notReady: () => string | undefined;
  /** Who asks, or a refusal. Without, metrics are for everyone who gets here. */
  readonly login?: (request: Request) => Login | Response | Promise<Response>;
  /** All that is on the disk. `busy`: another one is under way. It may take its time. @throws StorageError */
  readonly backup?: (signal: AbortSignal) => Promise<BackupStream | "in memory" | "busy">;
  readonly log?: Pick<ServerLog, "diskFailed">;
};

/** `bytes`: about how long it is. */
export type BackupStream = { readonly bytes: number; readonly stream: ReadableStream<Uint8Array> };

const PATHS = ["/healthz", "/readyz", "/metrics", "/backup"];
/** For whoever shows progress: a stream does not say how long it is. */
export const BACKUP_BYTES_HEADER = "x-backup-bytes";
const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** The port of operations cannot be had; what the system says is the cause. */
export class OpsPortError extends Error {}

/** On a port of their own, where metrics need no API key. @throws OpsPortError */
export function serveOperations({
  host,
  port,
  operations,
}: {
  readonly host: string;
  readonly port: number;
  readonly operations: OperationsOptions;
}): Server<unknown> {
  try {
    return Bun.serve({
      hostname: host,
      port,
      development: false,
      reusePort: false,
      fetch: (request) => answerOperations(request, operations) ?? text("Not found", 404),
    });
  } catch (cause) {
    throw new OpsPortError("The port of operations cannot be had", { cause });
  }
}

/** Undefined for a path that is none of these. */
export function answerOperations(
  request: Request,
  options: OperationsOptions,
): Response | Promise<Response> | undefined {
  const path = pathOf(request.url);
  if (!PATHS.includes(path)) return undefined;
  if (request.method !== "GET" && request.method !== "HEAD") {
    return text("GET or HEAD, please", 405, { allow: "GET, HEAD" });
  }
  if (path === "/healthz") return text("ok", 200);
  if (path === "/readyz") return readiness(options.notReady());
  const login = options.login?.(request);
  if (login instanceof Response || login instanceof Promise) return login;
  if (path === "/backup") return answerBackup(request, login, options);
  if (login?.apiKey.limits?.collections !== undefined) {
    return text("An API key that is limited to collections may not read metrics", 403);
  }
  return answerMetrics(options);
}

async function answerMetrics({ metrics, status, notReady }: OperationsOptions): Promise<Response> {
  const isReady = notReady() === undefined;
  return text(metrics.render(await status(), { isReady }).trimEnd(), 200, { "content-type": METRICS_TYPE });
}

/** Of everything, so for the master key only, and never where no key is asked for. */
async function answerBackup(
  request: Request,
  login: Login | undefined,
  { backup, notReady, log }: OperationsOptions,
): Promise<Response> {
  if (login === undefined || backup === undefined) return text("Not found", 404);
  if (!login.apiKey.isMaster) return text("Only the master key may take a backup", 403);
  if (request.method !== "GET") return text("GET, please", 405, { allow: "GET" });
  // Not while data is being loaded: what is on the disk is more than what is in memory.
  const reason = notReady();
  if (reason !== undefined) return readiness(reason);
  try {
    const made = await backup(request.signal);
    if (made === "in memory") return text("Data is in memory only: export it instead", 409);
    if (made === "busy") return text("Another backup is under way", 503, { "retry-after": "60" });
    const headers = { "content-type": "application/octet-stream", [BACKUP_BYTES_HEADER]: String(made.bytes) };
    return new Response(made.stream, { headers: { ...headers, "cache-control": "no-store" } });
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    log?.diskFailed({ reason: error.message });
    return text(error.message, 507);
  }
}

const readiness = (reason: string | undefined): Response =>
  reason === undefined ? text("ready", 200) : text(reason, 503, { "retry-after": "1" });

function text(body: string, status: number, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(`${body}\n`, { status, headers: { "cache-control": "no-store", ...headers } });
}

/** Not by URL: a request's target can be anything. */
function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  if (start < 0) return "/";
  const end = url.slice(start).search(/[?#]/);
  return end < 0 ? url.slice(start) : url.slice(start, start + end);
}
