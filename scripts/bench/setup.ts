/**
 * What all sections share: the programs that are measured, how much is asked of them, and where results go.
 */
import { join } from "node:path";
import { type Cell, renderTable } from "../../src/cli/table.ts";
import { KEY, type Load } from "./measured_server.ts";

export type Setup = {
  /** Our executable. */
  readonly binary: string;
  readonly rounds: number;
  readonly json: boolean;
  /** Sizes so small that all of it takes seconds: it shows that the benchmark works, and measures nothing. */
  readonly isTiny: boolean;
  /** Also what takes many minutes and gigabytes. */
  readonly isLarge: boolean;
};

export type ServerOptions = { readonly data?: string; readonly args?: readonly string[] };

export function ownServer({ binary }: Setup, { data, args = [] }: ServerOptions = {}): string[] {
  return [binary, "serve", "-p", "0", "-s", KEY, ...(data === undefined ? [] : ["-d", data]), ...args];
}

const scriptServer = (name: string): string[] => [process.execPath, join(import.meta.dir, name)];
export const YARDSTICK = scriptServer("yardstick.ts");
export const ECHO = scriptServer("echo.ts");

export function loadOf(setup: Setup, changes: Partial<Load> = {}): Load {
  const size = setup.isTiny ? { records: 2_000, documents: 20, scale: 0.005 } : {};
  return {
    records: 1_000_000,
    documents: 1_000,
    collections: 1,
    kind: "sensor",
    order: "ascending",
    scale: 1,
    connections: 2,
    ...size,
    ...changes,
  };
}

export function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN;
}

/** Prints a section's rows: as a table, or one line of JSON each. */
export function report(
  setup: Setup,
  section: string,
  { head, rows }: { head: readonly string[]; rows: readonly (readonly Cell[])[] },
): void {
  if (!setup.json) {
    process.stdout.write(`\n${section}\n${renderTable(head, rows)}`);
    return;
  }
  for (const row of rows) {
    const fields = head.map((name, column) => [name, row[column] ?? null]);
    process.stdout.write(`${JSON.stringify({ section, ...Object.fromEntries(fields) })}\n`);
  }
}

/** What goes on, for whoever watches. */
export function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}
