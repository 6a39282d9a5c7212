/**
 * Makes a catalog what an older server would have left: in format 1 with the journal in a table, and before format 3
 * without limits of API keys.
 */
import type { Database } from "bun:sqlite";

export function toFormat(database: Database, format: 1 | 2): void {
  database.run("ALTER TABLE api_keys DROP COLUMN limits");
  if (format === 1) {
    database.run(
      "CREATE TABLE journal (number INTEGER PRIMARY KEY, is_packed INTEGER NOT NULL, checksum INTEGER NOT NULL, body BLOB NOT NULL) STRICT",
    );
  }
  database.run(`PRAGMA user_version = ${format}`);
}
