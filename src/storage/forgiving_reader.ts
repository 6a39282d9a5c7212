/**
 * Reads tables of a damaged SQLite database: what can be read of them, around what cannot.
 */
import { Database } from "bun:sqlite";

/** What stands for a row that cannot be read. */
export type Unread = { readonly problem: string };

/** A damaged page may tell of any numbers: no more are looked for. */
const LOOKUPS_MAX = 1_000_000;

export class ForgivingReader implements Disposable {
  readonly #database: Database;

  /** @throws when the file is no database at all */
  constructor(file: string) {
    this.#database = new Database(file, { create: false, readwrite: true });
  }

  /** One row, undefined when there is none. */
  row<Row>(statement: string, ...values: (number | string)[]): Row | Unread | undefined {
    try {
      return (this.#database.query(statement).get(...values) as Row | null) ?? undefined;
    } catch (error) {
      return { problem: messageOf(error) };
    }
  }

  /** All rows in the order of a column, up to the first that cannot be read, and from the end down to the last such. */
  rows<Row>(table: string, order: string): { rows: Row[]; problem: string | undefined } {
    const { rows, problem } = this.#scan<Row>(`SELECT * FROM ${table} ORDER BY ${order}`);
    if (problem === undefined) return { rows, problem };
    const { rows: fromEnd } = this.#scan<Row>(`SELECT * FROM ${table} ORDER BY ${order} DESC`);
    return { rows: [...rows, ...fromEnd.reverse()], problem };
  }

  /** The same of a table that numbers its rows: those between what cannot be read are found one by one. */
  numberedRows<Row>(table: string, number: keyof Row & string): { rows: Row[]; problem: string | undefined } {
    const { rows, problem } = this.#scan<Row>(`SELECT * FROM ${table} ORDER BY ${number}`);
    if (problem === undefined) return { rows, problem };
    const { rows: fromEnd } = this.#scan<Row>(`SELECT * FROM ${table} ORDER BY ${number} DESC`);
    const found = new Map([...fromEnd, ...rows].map((row) => [Number(row[number]), row]));
    const first = Number(rows.at(-1)?.[number] ?? 0) + 1;
    const end = Math.min(Number(fromEnd.at(-1)?.[number] ?? first), first + LOOKUPS_MAX);
    for (let at = first; at < end; at++) {
      const row = this.row<Row>(`SELECT * FROM ${table} WHERE ${number} = ?`, at);
      if (row !== undefined && !isUnread(row)) found.set(at, row);
    }
    return { rows: [...found.entries()].sort(([a], [b]) => a - b).map(([, row]) => row), problem };
  }

  /** What SQLite finds in the pages, such as room that is given out twice: rows can all be read, and not be added to. */
  pageProblem(): string | undefined {
    const found = this.row<{ integrity_check: string }>("PRAGMA main.integrity_check(1)");
    if (isUnread(found)) return found.problem;
    return found === undefined || found.integrity_check === "ok" ? undefined : found.integrity_check;
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }

  #scan<Row>(statement: string): { rows: Row[]; problem: string | undefined } {
    const rows: Row[] = [];
    try {
      for (const row of this.#database.query(statement).iterate()) rows.push(row as Row);
      return { rows, problem: undefined };
    } catch (error) {
      return { rows, problem: messageOf(error) };
    }
  }
}

/** Says of a file of which nothing else is left out that it is to be written anew, if its pages are damaged. */
export function notePageProblem(reader: ForgivingReader, leftOut: string[]): void {
  if (leftOut.length > 0) return;
  const problem = reader.pageProblem();
  if (problem !== undefined)
    leftOut.push(`nothing; its pages were damaged (${problem}), and it is written anew`);
}

/** Whether a row passes its check; one whose values are not even of the right types does not. */
export function passes(check: () => boolean): boolean {
  try {
    return check();
  } catch {
    return false;
  }
}

export const isUnread = (row: unknown): row is Unread =>
  typeof row === "object" && row !== null && "problem" in row;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
