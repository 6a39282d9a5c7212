/**
 * Asks before something is deleted for good, where there is somebody to ask.
 */
import { createInterface } from "node:readline";
import { CommandError } from "./command_error.ts";
import { isNoteTerminal, writeNote } from "./output.ts";
import { escapeControls } from "./table.ts";

/** In a pipe nobody is asked: scripts mean what they say. @throws CommandError when the answer is not yes */
export async function confirm(
  question: string,
  { isYes, signal }: { readonly isYes: boolean; readonly signal: AbortSignal },
): Promise<void> {
  if (isYes || process.stdin.isTTY !== true || !isNoteTerminal()) return;
  writeNote(`${escapeControls(question)} [y/N] `);
  const answer = await readLine(signal);
  if (answer === undefined) writeNote("\n");
  if (!/^y(es)?$/i.test((answer ?? "").trim())) throw new CommandError("Nothing was deleted");
}

/** The terminal itself edits the line, and makes a signal of Ctrl-C. Undefined for Ctrl-D. */
async function readLine(signal: AbortSignal): Promise<string | undefined> {
  const lines = createInterface({ input: process.stdin, terminal: false });
  try {
    return await new Promise((resolve, reject) => {
      lines.once("line", resolve).once("close", () => resolve(undefined));
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  } finally {
    lines.close();
  }
}
