/**
 * What is wrong with a collection's file, seen from SQLite and from each of its tables by itself: a start stops at the
 * first thing that is wrong, and this goes on.
 */
import { constants, Database } from "bun:sqlite";
import { existsSync } from "node:fs";
import { CollectionFile } from "./collection_file.ts";
import { explainError } from "./sqlite_error.ts";
import { StorageError } from "./storage.ts";

const ROWS_A_PORTION = 10_000;
/** Of one file: where so much is wrong, more tells nothing. */
const MESSAGES_MAX = 20;
/** Bodies are looked at by whoever reads chunks; these belong to none. */
const ORPHANS = `
  SELECT count(*) AS count FROM (SELECT id FROM bodies UNION ALL SELECT id FROM growing)
  WHERE id NOT IN (SELECT id FROM chunks)`;

export type CheckedFile = { readonly name: string; readonly file: string };

/** Nobody may write to it meanwhile. */
export function problemsOfCollection({ name, file }: CheckedFile): string[] {
  if (!existsSync(file)) return [`${file} is missing: it holds the collection ${JSON.stringify(name)}`];
  const problems: string[] = [];
  noting(problems, file, () => problems.push(...problemsOfFile(file)));
  noting(problems, file, () => {
    const opened = CollectionFile.openBesideWriter(file);
    try {
      noting(problems, file, () => opened.state(name));
      for (const table of ["documents", "values"] as const)
        noting(problems, file, () => drain(opened[table]()));
      noting(problems, file, () => drain(opened.chunks(ROWS_A_PORTION)));
    } finally {
      opened.close();
    }
  });
  // One damaged page is met by all who read it.
  return [...new Set(problems)];
}

function problemsOfFile(file: string): string[] {
  const database = new Database(file, constants.SQLITE_OPEN_READONLY);
  try {
    const problems = sqliteProblems(database, file);
    const { count } = database.query(ORPHANS).get() as { count: number };
    if (count > 0) problems.push(`${file} is damaged: ${count} bodies belong to no chunk`);
    return problems;
  } finally {
    database.close();
  }
}

/** What SQLite finds: pages that are lost or used twice, rows out of order. */
export function sqliteProblems(database: Database, file: string): string[] {
  const rows = database.query(`PRAGMA main.integrity_check(${MESSAGES_MAX})`).values() as [string][];
  return rows.filter(([text]) => text !== "ok").map(([text]) => `${file} is damaged: ${text}`);
}

/** Reads on after what cannot be read. */
function noting(problems: string[], file: string, work: () => unknown): void {
  try {
    work();
  } catch (error) {
    const problem = explainError(error, file);
    if (!(problem instanceof StorageError)) throw error;
    problems.push(problem.message);
  }
}

function drain(rows: Iterable<unknown>): void {
  for (const _ of rows);
}
