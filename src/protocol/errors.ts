/**
 * Every error a client can meet: one row a code, with what it means over HTTP and for a shell.
 *
 * Replies that the older servers send too carry no code on the wire, since their clients compare whole replies;
 * `onWire` says which.
 */

type ErrorRow = {
  /** What the code means, and what to do, for the README's table. */
  readonly meaning: string;
  readonly remedy: string;
  readonly httpStatus: number;
  readonly exitCode: number;
  /** Whether `code` is part of the reply. */
  readonly onWire: boolean;
};

export const ERRORS = {
  bad_frame: {
    meaning: "not a message: no JSON object, or no usable `id`; the connection is closed (1008)",
    remedy: "mend the client: a frame is one JSON object with a non-empty `id`, as text",
    httpStatus: 400,
    exitCode: 2,
    onWire: true,
  },
  bad_request: {
    meaning: "a field is missing, of the wrong type or out of range; nothing was applied",
    remedy: "mend the request: the text names the field and what was expected",
    httpStatus: 400,
    exitCode: 2,
    onWire: true,
  },
  unknown_type: {
    meaning: "there is no message of this `type`",
    remedy: "mend the client, or update the server: it may be older than the client",
    httpStatus: 404,
    exitCode: 2,
    onWire: true,
  },
  bad_pattern: {
    meaning: "the regular expression cannot be compiled, or is too large",
    remedy: "mend the pattern: RE2's syntax, without lookaround and backreferences; or make it shorter",
    httpStatus: 400,
    exitCode: 2,
    onWire: true,
  },
  too_large: {
    meaning:
      "a record, a value or an API key is too large, or a frame has too many records; nothing was applied",
    remedy: "send less at once, or shorter texts; or raise the limit that the text names (`serve --help`)",
    httpStatus: 413,
    exitCode: 2,
    onWire: true,
  },
  limit_reached: {
    meaning:
      "there are as many collections, documents, key-values or API keys as there may be; deleting makes room again",
    remedy: "delete what nobody uses, or raise the limit that the text names (`serve --help`)",
    httpStatus: 507,
    exitCode: 1,
    onWire: true,
  },
  reply_too_large: {
    meaning: "the reply would pass `--max-reply`; ask for less with `from`, `to` or `limit`",
    remedy: "page the history, as our clients do, or raise `--max-reply`",
    httpStatus: 413,
    exitCode: 1,
    onWire: true,
  },
  memory_full: {
    meaning: "the insert would pass `--memory-limit`; nothing was applied, and deleting makes room again",
    remedy:
      "try again, and more slowly; if it lasts, raise `--memory-limit`, or delete what is old; without `--data`, use it",
    httpStatus: 507,
    exitCode: 1,
    onWire: true,
  },
  storage_failed: {
    meaning:
      "the disk did not take the write, which may be lost and must be sent again, or did not give what was asked for",
    remedy:
      "look at the log: it names the file and what is wrong; make room, or mend the disk; send the write again",
    httpStatus: 507,
    exitCode: 1,
    onWire: true,
  },
  internal: {
    meaning: "a bug in the server; its log has the details",
    remedy: "look at the log for the stack, and report it; the server goes on",
    httpStatus: 500,
    exitCode: 1,
    onWire: true,
  },
  permission_denied: {
    meaning: "the API key's scope, or what it is limited to, does not cover the message",
    remedy: "take a key with the scope that the message needs, or change this one's with `add-key`",
    httpStatus: 403,
    exitCode: 3,
    onWire: false,
  },
  key_refused: {
    meaning: "a change of API keys that cannot be made",
    remedy: "the text says why: no such key, no scope, or the master key",
    httpStatus: 400,
    exitCode: 1,
    onWire: false,
  },
  unsupported: {
    meaning: "an `auth` message: the key belongs into the URL",
    remedy: "put the key into the URL, or into `Authorization: Bearer`",
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
