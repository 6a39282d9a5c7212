/**
 * Why a call failed: the server's own code, or what happened on the way to it.
 */
import type { ErrorCode } from "../protocol/errors.ts";

export type ClientErrorCode =
  /** The server does not know the key, or has revoked it. */
  | "unauthorized"
  /** No connection could be made. */
  | "connection_failed"
  /** The connection broke before the reply: whether the server did what was asked is not known. */
  | "connection_lost"
  /** No reply in time: whether the server did what was asked is not known. */
  | "timeout"
  /** The caller's signal. */
  | "aborted"
  /** More waits to be sent than the client's limits allow. */
  | "buffer_full"
  /** The client was closed. */
  | "closed"
  /** By an older server, which gives no code, or by closing the connection. */
  | "refused";

export class FluxionError extends Error {
  override readonly name = "FluxionError";
  readonly code: ErrorCode | ClientErrorCode;

  constructor(code: ErrorCode | ClientErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Texts that compatible servers send without a code. */
const CODES_BY_TEXT = new Map<string, ErrorCode>([
  ["permission denied", "permission_denied"],
  ["only the master key may manage API keys", "permission_denied"],
  ["invalid scope", "key_refused"],
  ["api key cannot be empty", "key_refused"],
  ["api key not found", "key_refused"],
  ["api key cannot be removed", "key_refused"],
]);

/** The error that a reply holds. */
export function serverError(message: string, code: unknown): FluxionError {
  if (typeof code === "string") return new FluxionError(code as ErrorCode, message);
  return new FluxionError(CODES_BY_TEXT.get(message) ?? "refused", message);
}
