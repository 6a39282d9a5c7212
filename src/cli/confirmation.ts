/**
 * Asks before something is deleted for good, where there is somebody to ask.
 */
import { createInterface } from "node:readline/promises";
import { CommandError } from "./command_error.ts";
import { isNoteTerminal } from "./output.ts";
import { escapeControls } from "./table.ts";

/** In a pipe nobody is asked: scripts mean what they say. @throws CommandError when the answer is no */
export async function confirm(
  question: string,
  { isYes, signal }: { readonly isYes: boolean; readonly signal: AbortSignal },
): Promise<void> {
  if (isYes || process.stdin.isTTY !== true || !isNoteTerminal()) return;
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question(`${escapeControls(question)} [y/N] `, { signal });
    if (/^y(es)?$/i.test(answer.trim())) return;
  } finally {
    terminal.close();
  }
  throw new CommandError("Nothing was deleted");
}
