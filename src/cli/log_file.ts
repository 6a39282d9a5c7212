/**
 * The file that `--log-file` names. It is opened again on SIGHUP, so that whoever rotates logs can rename it.
 *
 * Each line is one write at the file's end, so others may write to it too, and what a crash leaves is whole lines.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { CommandError } from "./command_error.ts";

export class LogFile {
  readonly #path: string;
  /** Where a line goes that the file does not take. */
  readonly #fallback: (line: string) => void;
  #handle: number;

  /** @throws CommandError when it cannot be written */
  constructor(path: string, fallback: (line: string) => void) {
    this.#path = path;
    this.#fallback = fallback;
    this.#handle = open(path);
  }

  write(line: string): void {
    try {
      writeSync(this.#handle, line);
    } catch {
      // A full disk is no reason to stop; the line says what it was about, and that it is here that something is wrong.
      this.#fallback(`--log-file ${this.#path} takes no lines: ${line}`);
    }
  }

  /** @throws CommandError when it cannot be written; the file that is open stays in use then */
  reopen(): void {
    const handle = open(this.#path);
    closeSync(this.#handle);
    this.#handle = handle;
  }
}

function open(path: string): number {
  try {
    return openSync(path, "a");
  } catch (cause) {
    throw new CommandError(`--log-file: cannot write ${path}: ${(cause as Error).message}`, { cause });
  }
}
