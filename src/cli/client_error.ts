/**
 * What a person is told when a call to the server failed, and how a script sees it.
 */
import type { ClientErrorCode, FluxionError } from "../client/fluxion_error.ts";
import { ERRORS, type ErrorCode } from "../protocol/errors.ts";
import { EXIT_DENIED, EXIT_FAILED, EXIT_INTERRUPTED } from "./exit_code.ts";

const CLIENT_EXIT_CODES: Readonly<Record<ClientErrorCode, number>> = {
  unauthorized: EXIT_DENIED,
  connection_failed: EXIT_FAILED,
  connection_lost: EXIT_FAILED,
  timeout: EXIT_FAILED,
  aborted: EXIT_INTERRUPTED,
  buffer_full: EXIT_FAILED,
  closed: EXIT_FAILED,
  refused: EXIT_FAILED,
};

const ADVICE: Readonly<Partial<Record<ErrorCode | ClientErrorCode, string>>> = {
  connection_failed: "Is the server running? Start one with: fluxiondb serve",
  unauthorized: "Check --api-key-file, FLUXIONDB_API_KEY or --api-key",
  permission_denied: "Take an API key with a wider scope (fluxiondb add-key), or the master key",
  timeout: "--timeout takes a longer time",
  unknown_type: "This is an older server, which does not know the message",
};

const CERTIFICATE_ADVICE = "If it is yours, name its file in NODE_EXTRA_CA_CERTS";
const MASTER_KEY_ADVICE = "Give it with --api-key-file or FLUXIONDB_API_KEY";

export function explainClientError(error: FluxionError): { text: string; exitCode: number } {
  const { code, message } = error;
  const advice = adviceFor(error);
  return { text: advice === undefined ? message : `${message}. ${advice}`, exitCode: exitCodeOf(code) };
}

function adviceFor({ code, message, cause }: FluxionError): string | undefined {
  if (/only the master key/i.test(message)) return MASTER_KEY_ADVICE;
  if (code !== "connection_failed" || cause === undefined) return ADVICE[code];
  // The server is there.
  return /certificate/.test(message) ? CERTIFICATE_ADVICE : undefined;
}

/** Why `fetch` got no answer, with what to do: its own words are for programmers. */
export function fetchProblem(error: unknown): string {
  const { name, code = name } = error as NodeJS.ErrnoException;
  if (name === "TimeoutError") return "it takes too long. --timeout takes a longer time";
  if (/refused/i.test(code)) {
    return "nobody listens there. Is the server running? Start one with: fluxiondb serve";
  }
  return `the connection failed (${code}). Check --url, and that a server of FluxionDB runs there`;
}

const exitCodeOf = (code: ErrorCode | ClientErrorCode): number =>
  Object.hasOwn(ERRORS, code)
    ? ERRORS[code as ErrorCode].exitCode
    : CLIENT_EXIT_CODES[code as ClientErrorCode];
