/**
 * From a frame to its reply: the fast path for inserts; else permission, schema, handler.
 */
import { InsertBatch } from "../engine/insert_batch.ts";
import { DatabaseError } from "../protocol/errors.ts";
import { isRawNumber, parseJson } from "../protocol/json.ts";
import { checkRequest, isMessageType, MESSAGES, type MessageType } from "../protocol/messages.ts";
import { type Permission, scopeAllows } from "../protocol/scope.ts";
import type { Connection } from "./connection.ts";
import { type Context, HANDLERS } from "./handlers.ts";
import { InsertScanner } from "./insert_scanner.ts";
import { errorReply, INTERNAL_ERROR_TEXT, okReply, replyForError } from "./reply.ts";

export type DispatchOptions = Pick<Context, "database" | "apiKeys" | "connections" | "log" | "nowMs"> & {
  readonly replyBytesMax: number;
  /** Requests that take this long or longer are logged. */
  readonly slowRequestMs: number;
};

const CLOSE_POLICY = 1008;
const AUTH_TEXT = "auth messages are not supported; use the api-key query parameter";
const DENIED_TEXT = "permission denied";
const MASTER_ONLY_TEXT = "only the master key may manage API keys";

type Message = { readonly id?: unknown; readonly type?: unknown; readonly data?: unknown };
type Handler = (context: Context, request: unknown) => string | Promise<unknown> | undefined;

export class Dispatch {
  readonly #options: DispatchOptions;
  readonly #scanner = new InsertScanner();
  readonly #batch = new InsertBatch();

  constructor(options: DispatchOptions) {
    this.#options = options;
  }

  /** Handles one text frame; its reply is sent or put in line before this returns. */
  handle(connection: Connection, frame: string): void {
    const startedAt = this.#options.nowMs();
    const type = this.#insertFast(connection, frame) ? "ins" : this.#handleMessage(connection, frame);
    const ms = this.#options.nowMs() - startedAt;
    if (ms >= this.#options.slowRequestMs) {
      this.#options.log.slowRequest({ ip: connection.ip, name: connection.name, type, ms });
    }
  }

  /** Returns whether the frame was an insert that the scanner takes. */
  #insertFast(connection: Connection, frame: string): boolean {
    if (!scopeAllows(connection.apiKey.scope, "write")) return false;
    const id = this.#scanner.scan(frame, this.#batch);
    if (id === undefined) return false;
    this.#perform(connection, {
      id,
      type: "ins",
      bytes: frame.length,
      action: () => this.#options.database.insert(this.#batch),
    });
    return true;
  }

  /** Returns the message's type, for the log. */
  #handleMessage(connection: Connection, frame: string): string {
    const message = this.#readMessage(connection, frame);
    if (message === undefined) return "?";
    const { type, data } = message;
    const id = JSON.stringify(message.id);
    if (typeof type !== "string" || type === "") {
      connection.reply(errorReply(id, "bad_request", "type: expected a non-empty string"));
      return "?";
    }
    if (type === "auth") connection.reply(errorReply(id, "unsupported", AUTH_TEXT));
    else if (!isMessageType(type)) {
      connection.reply(
        errorReply(id, "unknown_type", `type: there is no message ${JSON.stringify(type.slice(0, 40))}`),
      );
      return "?";
    } else this.#handleRequest(connection, { id, type, data, bytes: frame.length });
    return type;
  }

  #readMessage(connection: Connection, frame: string): Message | undefined {
    let message: unknown;
    try {
      message = parseJson(frame);
    } catch (error) {
      // A RangeError: nested so deep that it exhausts the stack.
      this.#refuseFrame(
        connection,
        error instanceof RangeError ? "The frame is nested too deep" : "The frame is not JSON",
      );
      return undefined;
    }
    const isObject = typeof message === "object" && message !== null && !Array.isArray(message);
    if (!isObject || isRawNumber(message)) {
      this.#refuseFrame(connection, 'The frame is no message: expected an object {"id","type","data"}');
      return undefined;
    }
    const { id } = message as Message;
    if (typeof id === "string" && id !== "") return message as Message;
    this.#refuseFrame(connection, "id: expected a non-empty string");
    return undefined;
  }

  #refuseFrame(connection: Connection, reason: string): void {
    this.#options.log.badFrame({ ip: connection.ip, name: connection.name, reason });
    connection.reply(errorReply(undefined, "bad_frame", reason));
    connection.closeAfterReplies(CLOSE_POLICY, "Bad frame");
  }

  #handleRequest(
    connection: Connection,
    { id, type, data, bytes }: { id: string; type: MessageType; data: unknown; bytes: number },
  ): void {
    const denied = deniedText(connection, MESSAGES[type].permission);
    if (denied !== undefined) {
      connection.reply(errorReply(id, "permission_denied", denied));
      return;
    }
    this.#perform(connection, {
      id,
      type,
      bytes,
      action: () => {
        const checked = checkRequest(type, readPayload(data));
        if ("problem" in checked) throw new DatabaseError("bad_request", checked.problem);
        // The table pairs each request type with its handler; the compiler cannot see through the index.
        return (HANDLERS[type] as Handler)(this.#context(connection), checked.request);
      },
    });
  }

  /** The one place that catches what handlers throw. */
  #perform(
    connection: Connection,
    {
      id,
      type,
      bytes,
      action,
    }: { id: string; type: MessageType; bytes: number; action: () => string | Promise<unknown> | undefined },
  ): void {
    const onError = (error: unknown): string => this.#errorReply(id, type, error);
    try {
      const result = action();
      if (result === undefined) connection.reply(okReply(id));
      else if (typeof result === "string") connection.reply(this.#answerReply(id, type, result));
      else if (MESSAGES[type].reply === "ok")
        connection.replyAfter(result, { text: okReply(id), onError, bytes });
      else
        connection.replyWith(
          (result as Promise<string>).then((text) => this.#answerReply(id, type, text)),
          onError,
        );
    } catch (error) {
      connection.reply(onError(error));
    }
  }

  #answerReply(id: string, type: MessageType, text: string): string {
    const { replyBytesMax } = this.#options;
    if (text.length > replyBytesMax) {
      const problem = `The reply would be larger than ${replyBytesMax} bytes: ask for less with from, to or limit`;
      return errorReply(id, "reply_too_large", problem);
    }
    const shape = MESSAGES[type].reply;
    return typeof shape === "object" ? `{"id":${id},"${shape.member}":${text}}` : `{"id":${id},${text}}`;
  }

  #errorReply(id: string, type: MessageType, error: unknown): string {
    const reply = replyForError(id, error);
    if (reply !== undefined) return reply;
    this.#options.log.bug(error, { type });
    return errorReply(id, "internal", INTERNAL_ERROR_TEXT);
  }

  #context(connection: Connection): Context {
    const { database, apiKeys, connections, log, nowMs } = this.#options;
    return { database, apiKeys, connections, log, nowMs, connection, batch: this.#batch };
  }
}

function deniedText(connection: Connection, permission: Permission | "master"): string | undefined {
  const { scope, isMaster } = connection.apiKey;
  if (permission !== "master") return scopeAllows(scope, permission) ? undefined : DENIED_TEXT;
  if (isMaster) return undefined;
  return scope === "read_write_delete" ? MASTER_ONLY_TEXT : DENIED_TEXT;
}

/** A message's `data`: text that holds JSON, or the JSON itself. */
function readPayload(data: unknown): unknown {
  if (typeof data !== "string") return data;
  try {
    return parseJson(data);
  } catch (cause) {
    const problem = cause instanceof RangeError ? "nested too deep" : "expected JSON text";
    const shown = data.length > 60 ? `${data.slice(0, 60)}…` : data;
    throw new DatabaseError("bad_request", `data: ${problem}, got ${JSON.stringify(shown)}`, { cause });
  }
}
