/**
 * Takes over the database of an older server, `fluxion.db`:
 *
 *     records     (collection, doc, ts, data)
 *     key_values  (collection, key, value)
 *     api_keys    (api_key, scope, deletable)
 *
 * First all of it is checked and counted, then it is sent. A table that is not
 * there holds nothing, as long as one of the first two is.
 */
import type { Database } from "bun:sqlite";
import type { CallOptions, Scope, Timestamp } from "../client/types.ts";
import { readScope } from "../protocol/scope.ts";
import { ArchiveError } from "./archive_error.ts";
import type { ImportClient, ImportProgress } from "./importing.ts";
import { InputCheck } from "./input_check.ts";
import { OlderFile } from "./older_file.ts";
import { BadInput, checkName, checkSize, checkTime, show } from "./record_line.ts";
import { SendWindow } from "./send_window.ts";

export type OlderImportOptions = {
  readonly file: string;
  /** Leaves out what is wrong, and counts it. */
  readonly skipBad?: boolean;
  /** Checks and counts, and sends nothing. */
  readonly dryRun?: boolean;
  readonly onProgress?: (progress: ImportProgress) => void;
  readonly signal?: AbortSignal;
  /** For each reply, also while there is no connection; the client's own time starts when there is one. */
  readonly timeoutMs?: number;
};

export type OlderImportSummary = {
  readonly inputFile: string;
  readonly collections: readonly {
    readonly collection: string;
    readonly documents: number;
    readonly records: number;
    readonly keyValues: number;
  }[];
  readonly apiKeys: { readonly keys: number };
  readonly skipped?: number;
  readonly dryRun?: true;
};

type RecordRow = {
  readonly collection: unknown;
  readonly doc: unknown;
  readonly ts: unknown;
  readonly data: unknown;
};
type ValueRow = { readonly collection: unknown; readonly key: unknown; readonly value: unknown };
type KeyRow = { readonly api_key: unknown; readonly scope: unknown; readonly deletable: unknown };
type OlderRecord = {
  readonly collection: string;
  readonly document: string;
  readonly ts: Timestamp;
  readonly data: string;
};
type Counts = { readonly documents: Set<string>; records: number; keyValues: number };

const TABLES = { records: ["collection", "doc", "ts", "data"], key_values: ["collection", "key", "value"] };
const RECORDS = "SELECT collection, doc, ts, data FROM records ORDER BY collection, doc";
const ROWS_A_TURN = 10_000;

/** @throws ArchiveError when it is no such file, or something in it is wrong; FluxionError */
export async function importOlderDatabase(
  client: ImportClient,
  options: OlderImportOptions,
): Promise<{ summary: OlderImportSummary; notes: readonly string[] }> {
  using older = OlderFile.open(options.file);
  const problem = problemOfTables(older.database);
  if (problem !== undefined) throw new ArchiveError(`${options.file} is no fluxion.db: ${problem}`);
  return await new OlderImport(client, older, options).run();
}

class OlderImport {
  readonly #client: ImportClient;
  readonly #older: OlderFile;
  readonly #database: Database;
  readonly #options: OlderImportOptions;
  readonly #call: CallOptions;
  readonly #check = new InputCheck();
  readonly #counts = new Map<string, Counts>();
  #total = 0;
  #repeated = 0;

  constructor(client: ImportClient, older: OlderFile, options: OlderImportOptions) {
    this.#client = client;
    this.#older = older;
    this.#database = older.database;
    this.#options = options;
    const { signal, timeoutMs } = options;
    this.#call = { ...(signal && { signal }), ...(timeoutMs !== undefined && { timeoutMs }) };
  }

  async run(): Promise<{ summary: OlderImportSummary; notes: readonly string[] }> {
    const { file, skipBad = false, dryRun = false } = this.#options;
    this.#total = this.#countRows("records");
    const keys = await this.#checkAll();
    this.#older.ensureUnchanged();
    if (!skipBad) this.#check.refuse();
    if (!dryRun) {
      await this.#sendAll(keys);
      this.#older.ensureUnchanged();
    }
    const summary: OlderImportSummary = {
      inputFile: file,
      collections: [...this.#counts]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([collection, { documents, records, keyValues }]) => ({
          collection,
          documents: documents.size,
          records,
          keyValues,
        })),
      apiKeys: { keys: keys.length },
      ...(skipBad && { skipped: this.#check.count }),
      ...(dryRun && { dryRun }),
    };
    return { summary, notes: this.#notes(skipBad) };
  }

  #notes(skipBad: boolean): string[] {
    const notes = skipBad ? this.#check.lines.map((line) => `Skipped ${line}`) : [];
    if (this.#repeated > 0) {
      notes.push(
        `Records at the same document and time as another, which are one record here: ${this.#repeated}`,
      );
    }
    return notes;
  }

  async #checkAll(): Promise<readonly { key: string; scope: Scope }[]> {
    let before: OlderRecord | undefined;
    for await (const record of this.#records(this.#check, "checking")) {
      const counts = this.#countsOf(record.collection);
      counts.documents.add(record.document);
      if (before !== undefined && isSamePlace(before, record)) this.#repeated++;
      else counts.records++;
      before = record;
    }
    for (const { collection } of this.#keyValues(this.#check)) this.#countsOf(collection).keyValues++;
    return [...this.#apiKeys(this.#check)];
  }

  async #sendAll(keys: readonly { key: string; scope: Scope }[]): Promise<void> {
    const window = new SendWindow(this.#client, this.#call);
    // What is wrong has been told.
    const check = new InputCheck();
    for await (const record of this.#records(check, "sending")) if (window.add(record)) await window.room();
    for (const { collection, key, value } of this.#keyValues(check)) {
      window.track(this.#client.setValue(collection, key, value, window.call));
      await window.room();
    }
    await window.finish();
    for (const { key, scope } of keys) await this.#client.addApiKey(key, scope, this.#call);
  }

  async *#records(check: InputCheck, phase: ImportProgress["phase"]): AsyncGenerator<OlderRecord> {
    if (!hasTable(this.#database, "records")) return;
    let number = 0;
    for (const row of this.#rows<RecordRow>(`${RECORDS}, ${this.#timeOrder()}`)) {
      number++;
      const record = check.attempt(
        () => `${this.#options.file}, records, ${show(row.collection)} ${show(row.doc)}`,
        () => readRecord(row),
      );
      if (record !== undefined) yield record;
      if (number % ROWS_A_TURN !== 0) continue;
      const bytes = number;
      this.#options.onProgress?.({ phase, records: number, bytes, totalBytes: this.#total });
      await new Promise<void>((done) => setImmediate(done));
      this.#options.signal?.throwIfAborted();
    }
  }

  *#keyValues(check: InputCheck) {
    if (!hasTable(this.#database, "key_values")) return;
    for (const row of this.#rows<ValueRow>(
      "SELECT collection, key, value FROM key_values ORDER BY collection, key",
    )) {
      const pair = check.attempt(
        () => `${this.#options.file}, key_values, ${show(row.collection)} ${show(row.key)}`,
        () => ({
          collection: checkName(row.collection, "collection"),
          key: checkText(row.key, "key"),
          value: checkText(row.value, "value"),
        }),
      );
      if (pair !== undefined) yield pair;
    }
  }

  /** But for the master key, which the new server has of its own. */
  *#apiKeys(check: InputCheck) {
    if (!hasTable(this.#database, "api_keys")) return;
    for (const { api_key: key, scope: text, deletable } of this.#rows<KeyRow>("SELECT * FROM api_keys")) {
      if (deletable !== undefined && Number(deletable) === 0) continue;
      const apiKey = check.attempt(
        () => `${this.#options.file}, api_keys`,
        () => {
          const scope = readScope(text);
          if (scope === undefined) throw new BadInput(`scope: expected one of an API key, got ${show(text)}`);
          // The text of a key is never quoted.
          if (typeof key !== "string" || key === "") throw new BadInput("api_key: expected a non-empty text");
          return { key, scope };
        },
      );
      if (apiKey !== undefined) yield apiKey;
    }
  }

  /** Where the column takes any type, a time as text would stand behind all numbers. */
  #timeOrder(): string {
    const columns = this.#database.query("PRAGMA table_info(records)").all() as {
      name: string;
      type: string;
    }[];
    const isInteger = columns.some(({ name, type }) => name === "ts" && /int/i.test(type));
    return isInteger ? "ts" : "CAST(ts AS INTEGER)";
  }

  #countRows(table: string): number {
    if (!hasTable(this.#database, table)) return 0;
    const { count } = this.#database.query(`SELECT count(*) AS count FROM ${table}`).get() as {
      count: number;
    };
    return count;
  }

  #rows<Row>(sql: string): IterableIterator<Row> {
    // Times keep their digits.
    return this.#database.query(sql).safeIntegers(true).iterate() as IterableIterator<Row>;
  }

  #countsOf(collection: string): Counts {
    const known = this.#counts.get(collection);
    if (known !== undefined) return known;
    const counts: Counts = { documents: new Set(), records: 0, keyValues: 0 };
    this.#counts.set(collection, counts);
    return counts;
  }
}

function readRecord({ collection, doc, ts, data }: RecordRow): OlderRecord {
  return {
    collection: checkName(collection, "collection"),
    document: checkName(doc, "doc"),
    ts: checkTime(ts, "ts"),
    data: checkSize(checkText(data, "data")),
  };
}

/** They come in order, so the same place comes twice in a row. */
const isSamePlace = (a: OlderRecord, b: OlderRecord): boolean =>
  a.ts === b.ts && a.document === b.document && a.collection === b.collection;

function checkText(value: unknown, field: string): string {
  if (typeof value === "string") return value;
  const kind = value === null ? "nothing" : value instanceof Uint8Array ? "bytes" : String(value);
  throw new BadInput(`${field}: expected a text, got ${kind}`);
}

function problemOfTables(database: Database): string | undefined {
  const tables = Object.entries(TABLES).filter(([table]) => hasTable(database, table));
  if (tables.length === 0) return "it has neither a table records nor one key_values";
  for (const [table, columns] of tables) {
    const found = database.query(`PRAGMA table_info(${table})`).all() as { name: string }[];
    const missing = columns.find((column) => !found.some(({ name }) => name === column));
    if (missing !== undefined) return `the table ${table} has no column ${missing}`;
  }
  return undefined;
}

function hasTable(database: Database, name: string): boolean {
  return database.query("SELECT 1 FROM sqlite_schema WHERE name = ?").get(name) !== null;
}
