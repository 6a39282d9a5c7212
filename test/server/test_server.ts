/**
 * A server in this process, in memory, on a free port, with what its log was told.
 */
import { ApiKeys } from "../../src/engine/api_keys.ts";
import type { Database } from "../../src/engine/database.ts";
import { MemoryDatabase } from "../../src/engine/memory_database.ts";
import { FRAME_LENGTH_AT_ONCE } from "../../src/protocol/limits.ts";
import type { Scope } from "../../src/protocol/scope.ts";
import { type RunningServer, type ServerOptions, startServer } from "../../src/server/server.ts";
import { TestClient } from "../support/test_client.ts";
import { RecordedLog } from "./recorded_log.ts";

export const MASTER_KEY = "master key/ü+%";
/** One key a scope. */
export const KEYS = {
  readonly: "reader",
  read_write: "writer",
  read_write_delete: "deleter",
} as const satisfies Record<Scope, string>;

type TestServerOptions = Partial<Omit<ServerOptions, "log" | "apiKeys">>;

/** A server's own numbers differ from run to run; test/cli looks at those. */
const STATUS = {
  version: "1.2.3",
  commit: "abc",
  uptimeMs: 1000,
  collections: 1,
  documents: 2,
  records: 3,
  keyValues: 4,
  memory: { usedBytes: 5, limitBytes: 6, residentBytes: 7 },
  durability: "memory",
  writes: null,
  disk: null,
  lastCheckpoint: null,
} as const;

export class TestServer implements AsyncDisposable {
  readonly log = new RecordedLog();
  readonly apiKeys = new ApiKeys({ secretKey: MASTER_KEY, stored: [] });
  readonly database: Database;
  readonly #server: RunningServer;

  constructor({ database = new MemoryDatabase(), ...options }: TestServerOptions = {}) {
    this.database = database;
    for (const [scope, key] of Object.entries(KEYS)) void this.apiKeys.add(key, scope as Scope);
    this.#server = startServer({
      host: "127.0.0.1",
      port: 0,
      nowMs: () => performance.now(),
      status: async () => STATUS,
      ...options,
      database,
      apiKeys: this.apiKeys,
      log: this.log,
    });
  }

  get port(): number {
    return this.#server.port;
  }

  get opsPort(): number | undefined {
    return this.#server.opsPort;
  }

  get connectionCount(): number {
    return this.#server.connectionCount;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  connect({ key = MASTER_KEY, name }: { key?: string; name?: string } = {}): Promise<TestClient> {
    return TestClient.connect(this.url, { key, ...(name !== undefined && { name }) });
  }

  /** An upgrade by plain HTTP, for what the server answers when it refuses. */
  async upgrade(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.port}${path}`, {
      // Not a connection that an answer before left: it may be one of an earlier server on the same port.
      keepalive: false,
      headers: {
        connection: "Upgrade",
        upgrade: "websocket",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        "sec-websocket-version": "13",
        ...headers,
      },
    });
  }

  stop(): Promise<void> {
    return this.#server.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** Sends a frame and returns the next reply's exact text. */
export function exchange(client: TestClient, frame: string): Promise<string> {
  client.send(frame);
  return client.next();
}

/** A request as clients in the field send it: `data` is a string that holds JSON. */
export function frameOf(type: string, data: unknown, id = "1"): string {
  return JSON.stringify({ id, type, data: JSON.stringify(data) });
}

export function ask(client: TestClient, type: string, data: unknown): Promise<string> {
  return exchange(client, frameOf(type, data));
}

/** The same message in a frame that is so large that it is read on a thread of its own. */
export function large(frame: string): string {
  return frame + " ".repeat(FRAME_LENGTH_AT_ONCE);
}
