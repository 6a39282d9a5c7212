/**
 * Why a command cannot go on, in words for whoever typed it. Printed without a stack; anything else is a bug.
 */

export const EXIT_OK = 0;
/** The server, the network or the disk. */
export const EXIT_FAILED = 1;
/** What was typed. */
export const EXIT_USAGE = 2;
/** What a shell says of a process that a signal has ended is this much more than the signal's number. */
export const EXIT_SIGNAL = 128;

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
