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

/** What the system says of a file (no room, no access) is told without a stack. */
export async function explainingFiles<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    const { code, syscall, path, message } = cause as NodeJS.ErrnoException;
    if (cause instanceof CommandError || code === undefined || syscall === undefined) throw cause;
    if (code === "ENOSPC") throw new CommandError("The disk is full", { cause });
    throw new CommandError(path === undefined ? message : `${path}: ${message}`, { cause });
  }
}
