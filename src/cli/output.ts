/**
 * The one place that writes to the terminal: results to standard output, everything else to standard error.
 */

// A reader that has gone away (`fluxiondb … | head`) must not end a server that only wanted to log something.
process.stdout.on("error", () => {});
process.stderr.on("error", () => {});

/** What was asked for. */
export function writeOutput(text: string): void {
  process.stdout.write(text);
}

/** What a person should know: errors, notes, the log. */
export function writeNote(text: string): void {
  process.stderr.write(text);
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
