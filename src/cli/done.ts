/**
 * The result of a command that has none: that it is done.
 */
import { isNoteTerminal, isTerminal, writeNote, writeOutput } from "./output.ts";
import { jsonText } from "./result.ts";
import { escapeControls } from "./table.ts";

export type DoneOptions = {
  /** Whatever it is written to; a person gets the sentence as a note then. */
  readonly json: boolean;
  /** Before and behind the status. */
  readonly members?: Readonly<Record<string, unknown>>;
  readonly last?: Readonly<Record<string, unknown>>;
};

/** A sentence on a terminal; `{"status":"ok"}` and more in a pipe. */
export function writeDone(sentence: string, { json, members = {}, last = {} }: DoneOptions): void {
  const shown = `${escapeControls(sentence)}\n`;
  if (!json && isTerminal()) {
    writeOutput(shown);
    return;
  }
  if (isNoteTerminal()) writeNote(shown);
  writeOutput(`${jsonText({ ...members, status: "ok", ...last }, 2)}\n`);
}
