/**
 * A command's result: a table on a terminal, JSON in a pipe or with `--json`.
 */
import { rawNumber } from "../protocol/json.ts";
import { bold, isTerminal, terminalWidth, writeOutput } from "./output.ts";
import { type Cell, renderTable } from "./table.ts";

export type Table = { readonly head: readonly string[]; readonly rows: readonly (readonly Cell[])[] };

export type ResultOptions = {
  /** Whatever it is written to. */
  readonly json: boolean;
  /** Instead of an empty table. */
  readonly empty?: string;
};

/** `table` is only called for a terminal. */
export function writeResult(
  value: unknown,
  table: () => Table | string,
  { json, empty }: ResultOptions,
): void {
  if (json || !isTerminal()) {
    writeOutput(`${jsonText(value, 2)}\n`);
    return;
  }
  const shown = table();
  if (typeof shown === "string") writeOutput(shown);
  else if (shown.rows.length === 0 && empty !== undefined) writeOutput(`${empty}\n`);
  else writeOutput(withBoldHead(renderTable(shown.head, shown.rows, { widthMax: terminalWidth() })));
}

export function withBoldHead(table: string): string {
  const end = table.indexOf("\n");
  return bold(table.slice(0, end)) + table.slice(end);
}

/** JSON with times beyond 2^53 digit for digit. */
export function jsonText(value: unknown, indent?: number): string {
  return JSON.stringify(
    value,
    (_key, inner: unknown) => (typeof inner === "bigint" ? rawNumber(String(inner)) : inner),
    indent,
  );
}
