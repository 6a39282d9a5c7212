/**
 * The one place that writes to the terminal: results to standard output, everything else to standard error.
 *
 * A result that is cut off is a failure, though the system may say so only after the last line is written.
 */
import { CommandError } from "./command_error.ts";
import { fileProblem } from "./file_problem.ts";

/** Nobody reads standard output any more (`fluxiondb … | head`): there is nothing left to do, and nothing wrong. */
export class OutputClosed extends Error {
  override readonly name = "OutputClosed";
}

/** Why standard output takes no more. */
let failure: OutputClosed | CommandError | undefined;
/** Texts that are on their way to its reader. */
let textsUnderWay = 0;
let onTextsWritten = (): void => {};

// A reader that has gone away must not end a server that only wanted to log something.
process.stdout.on("error", fail);
process.stderr.on("error", () => {});

/** Whether a person reads the result, who wants a table. */
export const isTerminal = (): boolean => process.stdout.isTTY === true;
/** Whether a person sees notes, who wants to see progress and can be asked. */
export const isNoteTerminal = (): boolean => process.stderr.isTTY === true;

export const terminalWidth = (): number => process.stdout.columns || Number.POSITIVE_INFINITY;

/** What was asked for. */
export function writeOutput(text: string): void {
  write(text);
}

/** The same for a result of any length: resolves when more may be written. @throws OutputClosed, CommandError */
export async function streamOutput(text: string): Promise<void> {
  if (failure !== undefined) throw failure;
  if (write(text)) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      process.stdout.off("drain", done).off("error", done).off("close", done);
      resolve();
    };
    process.stdout.on("drain", done).on("error", done).on("close", done);
  });
  if (failure !== undefined) throw failure;
}

/** What a person should know: errors, notes, the log. */
export function writeNote(text: string): void {
  process.stderr.write(text);
}

/** For a terminal that shows it, and a person who has not asked for none (https://no-color.org). */
export function bold(text: string): string {
  return isTerminal() && !process.env.NO_COLOR ? `\u001b[1m${text}\u001b[22m` : text;
}

/**
 * Resolves when the result is with its reader; ending the process earlier would cut it off.
 *
 * @throws OutputClosed, CommandError when it has not got there
 */
export async function flushOutput(): Promise<void> {
  if (textsUnderWay > 0 && failure === undefined) {
    await new Promise<void>((resolve) => {
      onTextsWritten = resolve;
    });
  }
  if (failure !== undefined) throw failure;
}

/** The same for notes, which may get lost. */
export async function flushNotes(): Promise<void> {
  await new Promise<void>((resolve) => {
    process.stderr.write("", () => resolve());
  });
}

/** Not by an empty write at the end: its callback may come before those of the texts before it. */
function write(text: string): boolean {
  textsUnderWay++;
  return process.stdout.write(text, (error) => {
    textsUnderWay--;
    if (error) fail(error);
    if (textsUnderWay === 0) onTextsWritten();
  });
}

function fail(error: NodeJS.ErrnoException): void {
  failure ??=
    error.code === "EPIPE"
      ? new OutputClosed()
      : new CommandError(`Cannot write the result: ${fileProblem(error)}`, { cause: error });
  onTextsWritten();
}
