/**
 * Why a command cannot go on, in words for whoever typed it. Printed without a stack; anything else is a bug.
 */
import { EXIT_FAILED, EXIT_USAGE } from "./exit_code.ts";

export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly exitCode: number;

  constructor(message: string, options: ErrorOptions & { exitCode?: number } = {}) {
    super(message, options);
    this.exitCode = options.exitCode ?? EXIT_FAILED;
  }
}

/** A value that cannot be used: what is wrong, and what is expected. */
export const usageError = (message: string): CommandError =>
  new CommandError(message, { exitCode: EXIT_USAGE });
