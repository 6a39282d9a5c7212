/**
 * Sends an archive to a server: first all of it is checked, then it is sent.
 *
 * Records replace those at the same times, so an import that was interrupted is simply run again.
 */
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { FluxionDB } from "../client/fluxiondb.ts";
import type { ApiKey, CallOptions, Scope } from "../client/types.ts";
import { readScope } from "../protocol/scope.ts";
import { ArchiveError } from "./archive_error.ts";
import {
  API_KEYS_FILE,
  type CollectionFolder,
  findCollections,
  findLegacyCollections,
  KEY_VALUES_FILE,
} from "./archive_folder.ts";
import { InputCheck } from "./input_check.ts";
import { BadInput, checkName, parseObject, show } from "./record_line.ts";
import { type ReadRecords, readLegacyFiles, readRecordFiles } from "./record_source.ts";
import { SendWindow } from "./send_window.ts";

export type ImportClient = Pick<FluxionDB, "addApiKey" | "insert" | "setValue">;

export type ImportOptions = {
  readonly directory: string;
  readonly collections: "all" | readonly string[];
  /** `if there`: without the file there is nothing to do. */
  readonly apiKeys: boolean | "if there";
  /** Folders of JSON files, as the older tool once wrote them. */
  readonly legacy?: boolean;
  /** Leaves out what is wrong, and counts it. */
  readonly skipBad?: boolean;
  /** Checks and counts, and sends nothing. */
  readonly dryRun?: boolean;
  readonly onProgress?: (progress: ImportProgress) => void;
  readonly signal?: AbortSignal;
  /** For each reply, also while there is no connection; the client's own time starts when there is one. */
  readonly timeoutMs?: number;
};

export type ImportProgress = {
  readonly phase: "checking" | "sending";
  readonly records: number;
  readonly bytes: number;
  readonly totalBytes: number;
};

/** As the older tool prints it; the last two only when they were asked for. */
export type ImportSummary = {
  readonly inputDir: string;
  readonly collections: readonly {
    readonly collection: string;
    readonly documents: number;
    readonly records: number;
    readonly keyValues: number;
    readonly inputDir: string;
  }[];
  readonly apiKeys?: { readonly keys: number; readonly inputFile: string };
  readonly skipped?: number;
  readonly dryRun?: true;
};

export type ImportResult = { readonly summary: ImportSummary; readonly notes: readonly string[] };

type KeyLimitValues = Pick<ApiKey, "expiresAt" | "collections">;
type ApiKeyLine = { readonly key: string; readonly scope: Scope; readonly limits: KeyLimitValues };

/** What an archive holds, as far as memory should. */
type Content = {
  readonly folder: CollectionFolder;
  readonly documents: number;
  readonly records: number;
  readonly keyValues: ReadonlyMap<string, string>;
};

/** Between two of these, others have their turn. */
const BLOCKS_A_TURN = 4;

/**
 * @throws ArchiveError when something in the archive is wrong, unless it is to be skipped: nothing was sent then.
 * FluxionError when the server does not take it; what was sent until then is in.
 */
export async function importArchive(client: ImportClient, options: ImportOptions): Promise<ImportResult> {
  return new Importer(client, options).run();
}

class Importer {
  readonly #client: ImportClient;
  readonly #options: ImportOptions;
  readonly #call: CallOptions;
  readonly #readRecords: ReadRecords;
  readonly #check = new InputCheck();
  readonly #notes: string[] = [];
  #totalBytes = 0;

  constructor(client: ImportClient, options: ImportOptions) {
    this.#client = client;
    this.#options = options;
    const { signal, timeoutMs } = options;
    this.#call = { ...(signal && { signal }), ...(timeoutMs !== undefined && { timeoutMs }) };
    this.#readRecords = options.legacy ? readLegacyFiles : readRecordFiles;
  }

  async run(): Promise<ImportResult> {
    const { directory, skipBad = false, dryRun = false } = this.#options;
    const folders = this.#findFolders();
    const apiKeys = this.#readApiKeys(join(directory, API_KEYS_FILE));
    for (const folder of folders) this.#totalBytes += bytesOf(folder);
    const contents = await this.#checkAll(folders);
    if (skipBad) this.#notes.push(...this.#check.lines.map((line) => `Skipped ${line}`));
    else this.#check.refuse();
    const skipped = this.#check.count;
    if (!dryRun) await this.#sendAll(contents, apiKeys?.lines ?? []);
    const summary: ImportSummary = {
      inputDir: directory,
      collections: contents.map(({ folder, documents, records, keyValues }) => ({
        collection: folder.collection,
        documents,
        records,
        keyValues: keyValues.size,
        inputDir: folder.path,
      })),
      ...(apiKeys && { apiKeys: { keys: apiKeys.lines.length, inputFile: apiKeys.file } }),
      ...(skipBad && { skipped }),
      ...(dryRun && { dryRun }),
    };
    return { summary, notes: this.#notes };
  }

  #findFolders(): CollectionFolder[] {
    const { directory, collections, legacy } = this.#options;
    const all = legacy ? findLegacyCollections(directory) : findCollections(directory);
    if (collections === "all") return all;
    for (const name of collections) {
      if (all.some(({ collection }) => collection === name)) continue;
      throw new ArchiveError(`${directory} holds no collection ${JSON.stringify(name)}`);
    }
    return all.filter(({ collection }) => collections.includes(collection));
  }

  async #checkAll(folders: readonly CollectionFolder[]): Promise<Content[]> {
    const contents: Content[] = [];
    const turns = new Turns(this.#options.signal);
    let records = 0;
    let bytes = 0;
    for (const folder of folders) {
      this.#check.attempt(
        () => folder.path,
        () => checkName(folder.collection, "the folder's name"),
      );
      const documents = new Set<string>();
      const before = records;
      for (const block of this.#readRecords(folder, this.#check)) {
        for (const { document } of block.records) documents.add(document);
        records += block.records.length;
        bytes += block.bytes;
        this.#options.onProgress?.({ phase: "checking", records, bytes, totalBytes: this.#totalBytes });
        await turns.next();
      }
      const keyValues = folder.hasKeyValues
        ? this.#readKeyValues(join(folder.path, KEY_VALUES_FILE))
        : new Map();
      contents.push({ folder, documents: documents.size, records: records - before, keyValues });
    }
    return contents;
  }

  /** Files that have changed since they were checked are checked again; what is wrong with them now is left out. */
  async #sendAll(contents: readonly Content[], apiKeys: readonly ApiKeyLine[]): Promise<void> {
    const window = new SendWindow(this.#client, this.#call);
    const check = new InputCheck();
    let bytes = 0;
    for (const { folder, keyValues } of contents) {
      const { collection } = folder;
      for (const block of this.#readRecords(folder, check)) {
        for (const { document, ts, data } of block.records) {
          if (window.add({ collection, document, ts, data })) await window.room();
        }
        bytes += block.bytes;
        const { records } = window;
        this.#options.onProgress?.({ phase: "sending", records, bytes, totalBytes: this.#totalBytes });
      }
      for (const [key, value] of keyValues) {
        window.track(this.#client.setValue(collection, key, value, window.call));
        await window.room();
      }
    }
    await window.finish();
    for (const { key, scope, limits } of apiKeys) {
      await this.#client.addApiKey(key, scope, { ...limits, ...this.#call });
    }
    if (check.count > this.#check.count) {
      throw new ArchiveError(`The archive changed while it was imported:\n  ${check.lines.join("\n  ")}`);
    }
  }

  #readKeyValues(path: string): Map<string, string> {
    const values = new Map<string, string>();
    const object = this.#check.attempt(
      () => path,
      () => parseObject(readFileSync(path, "utf8")),
    );
    for (const [key, value] of Object.entries(object ?? {})) {
      this.#check.attempt(
        () => path,
        () => {
          if (key !== "") checkName(key, "key");
          if (typeof value !== "string") {
            throw new BadInput(`value of ${show(key)}: expected a string, got ${show(value)}`);
          }
          values.set(key, value);
        },
      );
    }
    return values;
  }

  #readApiKeys(file: string): { lines: ApiKeyLine[]; file: string } | undefined {
    const { apiKeys } = this.#options;
    if (apiKeys === false) return undefined;
    if (!existsSync(file)) {
      if (apiKeys === "if there") return undefined;
      throw new ArchiveError(`${file} is not there`);
    }
    const lines: ApiKeyLine[] = [];
    const values = this.#check.attempt(
      () => file,
      () => parseArray(readFileSync(file, "utf8")),
    );
    const now = Date.now();
    let expired = 0;
    for (const [index, value] of (values ?? []).entries()) {
      const line = this.#check.attempt(
        () => `${file}[${index}]`,
        () => readApiKey(value, now),
      );
      if (line === "master")
        this.#notes.push("The master key in the archive is left out: a server has its own");
      else if (line === "expired") expired++;
      else if (line !== undefined) lines.push(line);
    }
    if (expired > 0) this.#notes.push(`${expired} API keys in the archive are left out: they have expired`);
    return { lines, file };
  }
}

/** The older tool writes the master key, too. */
function readApiKey(value: unknown, nowMs: number): ApiKeyLine | "master" | "expired" {
  if (typeof value !== "object" || value === null)
    throw new BadInput(`expected an object, got ${show(value)}`);
  const fields = value as Readonly<Record<string, unknown>>;
  const { key, scope: text, deletable } = fields;
  if (deletable === false) return "master";
  // The text of a key is never quoted.
  if (typeof key !== "string" || key === "") throw new BadInput("key: expected a non-empty string");
  const scope = readScope(text);
  const limits = readLimits(fields);
  if (limits.expiresAt !== undefined && limits.expiresAt <= nowMs) return "expired";
  if (scope !== undefined) return { key, scope, limits };
  throw new BadInput(`scope: expected readonly, read_write or read_write_delete, got ${show(text)}`);
}

/** Only those that the archive has: older servers know of none, and a key that is there already keeps its own. */
function readLimits({ expiresAt, collections }: Readonly<Record<string, unknown>>): KeyLimitValues {
  if ((expiresAt ?? undefined) !== undefined && !Number.isSafeInteger(expiresAt)) {
    throw new BadInput(`expiresAt: expected milliseconds since 1970, got ${show(expiresAt)}`);
  }
  const isNames = Array.isArray(collections) && collections.every((name) => typeof name === "string");
  if ((collections ?? undefined) !== undefined && !isNames) {
    throw new BadInput(`collections: expected an array of names, got ${show(collections)}`);
  }
  return {
    ...(typeof expiresAt === "number" && { expiresAt }),
    ...(isNames && { collections }),
  };
}

function parseArray(text: string): readonly unknown[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Its text may hold keys, so it is not quoted.
    throw new BadInput("expected JSON, got something else");
  }
  if (Array.isArray(value)) return value;
  throw new BadInput("expected an array of API keys");
}

const bytesOf = ({ path, recordFiles }: CollectionFolder): number =>
  recordFiles.reduce((bytes, name) => bytes + statSync(join(path, name)).size, 0);

/** Lets others have their turn now and then, and looks whether the work is to end. */
class Turns {
  readonly #signal: AbortSignal | undefined;
  #count = 0;

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  async next(): Promise<void> {
    if (++this.#count % BLOCKS_A_TURN !== 0) return;
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#signal?.throwIfAborted();
  }
}
