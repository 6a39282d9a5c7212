/**
 * A copy of catalog.db, made in steps, so that no commit waits for more than one of them.
 *
 * Groups of the journal only come at its end while nobody cuts it, so those that are there can be copied early. The last
 * step copies the few that came since, with all else, and is the moment that the copy is of.
 */
import type { Database } from "bun:sqlite";

/** A step copies so many groups, and stops earlier at so many bytes: a few milliseconds. */
const GROUPS_MAX = 200;
const GROUP_BYTES_MAX = 4 * 1024 * 1024;

export class CatalogCopy {
  readonly #database: Database;
  #lastGroup = 0;

  /** `file` is a catalog of the same format that holds nothing. */
  constructor(database: Database, file: string) {
    this.#database = database;
    database.run("ATTACH ? AS copy", [file]);
    // It gets its name when it is whole, and is on the disk elsewhere then.
    database.run("PRAGMA copy.journal_mode = OFF");
    database.run("PRAGMA copy.synchronous = OFF");
  }

  /** Copies some groups; returns whether there are more than one step should copy. */
  step(): boolean {
    const rows = this.#database
      .query(
        "SELECT number, length(body) AS bytes FROM main.journal WHERE number > ? ORDER BY number LIMIT ?",
      )
      .all(this.#lastGroup, GROUPS_MAX) as { number: number; bytes: number }[];
    let bytes = 0;
    const end = rows.findIndex((row) => {
      bytes += row.bytes;
      return bytes >= GROUP_BYTES_MAX;
    });
    const last = end < 0 ? rows.at(-1) : rows[end];
    if (last === undefined) return false;
    this.#database.run(
      "INSERT INTO copy.journal SELECT * FROM main.journal WHERE number > ? AND number <= ?",
      [this.#lastGroup, last.number],
    );
    this.#lastGroup = last.number;
    return end >= 0 || rows.length === GROUPS_MAX;
  }

  /** Copies the rest. */
  finish(): void {
    this.#database.transaction(() => {
      while (this.step()) {}
      this.#database.run("INSERT INTO copy.collections SELECT * FROM main.collections");
      this.#database.run("INSERT INTO copy.api_keys SELECT * FROM main.api_keys");
      this.#database.run("INSERT OR REPLACE INTO copy.meta SELECT * FROM main.meta");
    })();
    this.end();
  }

  /** Lets go of the file, whatever it holds. */
  end(): void {
    this.#database.run("DETACH copy");
  }
}
