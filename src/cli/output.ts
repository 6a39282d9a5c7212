/**
 * The one place that writes to the terminal: results to standard output, everything else to standard error.
 */

/** Nobody reads standard output any more (`fluxiondb … | head`): there is nothing left to do, and nothing wrong. */
export class OutputClosed extends Error {
  override readonly name = "OutputClosed";
}

let isOutputClosed = false;

// A reader that has gone away must not end a server that only wanted to log something.
process.stdout.on("error", () => {
  isOutputClosed = true;
});
process.stderr.on("error", () => {});

/** Whether a person reads the result, who wants a table. */
export const isTerminal = (): boolean => process.stdout.isTTY === true;
/** Whether a person sees notes, who wants to see progress and can be asked. */
export const isNoteTerminal = (): boolean => process.stderr.isTTY === true;

export const terminalWidth = (): number => process.stdout.columns || Number.POSITIVE_INFINITY;

/** What was asked for. */
export function writeOutput(text: string): void {
  process.stdout.write(text);
}

/** The same for a result of any length: resolves when more may be written. @throws OutputClosed */
export async function streamOutput(text: string): Promise<void> {
  if (isOutputClosed) throw new OutputClosed();
  if (process.stdout.write(text)) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      process.stdout.off("drain", done).off("error", done).off("close", done);
      resolve();
    };
    process.stdout.on("drain", done).on("error", done).on("close", done);
  });
  if (isOutputClosed) throw new OutputClosed();
}

/** What a person should know: errors, notes, the log. */
export function writeNote(text: string): void {
  process.stderr.write(text);
}

/** For a terminal that shows it, and a person who has not asked for none (https://no-color.org). */
export function bold(text: string): string {
  return isTerminal() && !process.env.NO_COLOR ? `\u001b[1m${text}\u001b[22m` : text;
}

/** Resolves when all that was written is with its reader; ending the process earlier would cut it off. */
export async function flushOutput(): Promise<void> {
  await Promise.all([flush(process.stdout), flush(process.stderr)]);
}

function flush(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.write("", () => resolve());
  });
}
