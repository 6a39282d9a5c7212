/**
 * HTTP for whoever looks after the server: `/healthz`, `/readyz` and `/metrics`.
 */
import type { ServerStatus } from "../protocol/server_status.ts";
import type { Refusal } from "./admission.ts";
import type { Login } from "./login.ts";
import type { Metrics } from "./metrics.ts";

export type OperationsOptions = {
  readonly metrics: Metrics;
  readonly status: () => Promise<ServerStatus>;
  /** Why nothing should be sent here; undefined when all is well. */
  readonly notReady: () => string | undefined;
  /** Who asks, or why nobody is told; the latter resolves when it is time to say so. Without, metrics are for everyone. */
  readonly login?: (request: Request) => Login | Promise<Refusal>;
  /** All that is on the disk; undefined when nothing is. */
  readonly backup?: () => Promise<ReadableStream<Uint8Array> | undefined>;
};

const PATHS = ["/healthz", "/readyz", "/metrics", "/backup"];
const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

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
  if (login instanceof Promise) {
    return login.then(({ reason, status }) => text(reason, status, { "www-authenticate": "Bearer" }));
  }
  if (path === "/backup") return answerBackup(login, options);
  if (login?.apiKey.limits?.collections !== undefined) {
    return text("An API key that is limited to collections may not read metrics", 403);
  }
  return options
    .status()
    .then((status) => text(options.metrics.render(status).trimEnd(), 200, { "content-type": METRICS_TYPE }));
}

/** Of everything, so for the master key only, and never where no key is asked for. */
async function answerBackup(login: Login | undefined, { backup }: OperationsOptions): Promise<Response> {
  if (login === undefined || backup === undefined) return text("Not found", 404);
  if (!login.apiKey.isMaster) return text("Only the master key may take a backup", 403);
  const stream = await backup();
  if (stream === undefined) return text("Data is in memory only: export it instead", 409);
  return new Response(stream, {
    headers: { "content-type": "application/octet-stream", "cache-control": "no-store" },
  });
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
