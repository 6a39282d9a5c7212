/**
 * Every error a client can meet: one row a code, with what it means over HTTP and for a shell.
 *
 * Replies that the older servers send too carry no code on the wire, since their clients compare whole replies;
 * `onWire` says which.
 */

type ErrorRow = {
  /** What the code means, for the README's table. */
  readonly meaning: string;
  readonly httpStatus: number;
  readonly exitCode: number;
  /** Whether `code` is part of the reply. */
  readonly onWire: boolean;
};

export const ERRORS = {
  bad_frame: {
    meaning: "not a message: no JSON object, or no usable `id`; the connection is closed (1008)",
    httpStatus: 400,
    exitCode: 2,
    onWire: true,
  },
  bad_request: {
    meaning: "a field is missing, of the wrong type or out of range; nothing was applied",
    httpStatus: 400,
    exitCode: 2,
    onWire: true,
  },
  unknown_type: { meaning: "there is no message of this `type`", httpStatus: 404, exitCode: 2, onWire: true },
  bad_pattern: {
    meaning: "the regular expression cannot be compiled, or is too large",
    httpStatus: 400,
    exitCode: 2,
    onWire: true,
  },
  too_large: {
    meaning:
      "a record, a value or an API key is too large, or a frame has too many records; nothing was applied",
    httpStatus: 413,
    exitCode: 2,
    onWire: true,
  },
  limit_reached: {
    meaning:
      "there are as many collections, documents, key-values or API keys as there may be; deleting makes room again",
    httpStatus: 507,
    exitCode: 1,
    onWire: true,
  },
  reply_too_large: {
    meaning: "the reply would pass `--max-reply`; ask for less with `from`, `to` or `limit`",
    httpStatus: 413,
    exitCode: 1,
    onWire: true,
  },
  memory_full: {
    meaning: "the insert would pass `--memory-limit`; nothing was applied, and deleting makes room again",
    httpStatus: 507,
    exitCode: 1,
    onWire: true,
  },
  storage_failed: {
    meaning:
      "the disk did not take the write, which may be lost and must be sent again, or did not give what was asked for",
    httpStatus: 507,
    exitCode: 1,
    onWire: true,
  },
  internal: {
    meaning: "a bug in the server; its log has the details",
    httpStatus: 500,
    exitCode: 1,
    onWire: true,
  },
  permission_denied: {
    meaning: "the API key's scope does not cover the message",
    httpStatus: 403,
    exitCode: 3,
    onWire: false,
  },
  key_refused: {
    meaning: "a change of API keys that cannot be made",
    httpStatus: 400,
    exitCode: 1,
    onWire: false,
  },
  unsupported: {
    meaning: "an `auth` message: the key belongs into the URL",
    httpStatus: 400,
    exitCode: 2,
    onWire: false,
  },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;

/** An error that is the answer to a request, as opposed to a bug. */
export class DatabaseError extends Error {
  override readonly name = "DatabaseError";

  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
