/**
 * Writes what a server holds into a folder.
 *
 * A live server goes on changing: each document is as of when it was read, between the two times of the result.
 * Memory is bounded by pages of histories, a few of them at a time.
 */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { FluxionError } from "../client/fluxion_error.ts";
import type { FluxionDB } from "../client/fluxiondb.ts";
import type { ApiKey, CallOptions } from "../client/types.ts";
import { ArchiveError } from "./archive_error.ts";
import { ArchiveFile } from "./archive_file.ts";
import {
  API_KEYS_FILE,
  COLLECTION_FILE,
  KEY_VALUES_FILE,
  RECORDS_ENDING,
  readFolder,
} from "./archive_folder.ts";
import { fileNamesOf, isReversible } from "./archive_name.ts";
import { listDocuments } from "./document_list.ts";
import { recordLine } from "./record_line.ts";

export type ExportClient = Pick<
  FluxionDB,
  "apiKeys" | "collections" | "historyPages" | "latest" | "value" | "valueKeys" | "values"
>;

export type ExportOptions = {
  readonly directory: string;
  /** Which: all, these, or none. */
  readonly collections: "all" | readonly string[];
  readonly apiKeys: boolean;
  readonly onProgress?: (progress: ExportProgress) => void;
  readonly signal?: AbortSignal;
};

export type ExportProgress = {
  readonly collection: string;
  readonly documents: number;
  /** Of all collections whose documents are known by now. */
  readonly documentsKnown: number;
  readonly records: number;
};

/** As the older tool prints it. */
export type ExportSummary = {
  readonly outputDir: string;
  readonly collections: readonly {
    readonly collection: string;
    readonly documents: number;
    readonly records: number;
    readonly outputDir: string;
  }[];
  readonly apiKeys?: { readonly keys: number; readonly outputFile: string };
};

export type ExportResult = {
  readonly summary: ExportSummary;
  readonly startedAt: Date;
  readonly endedAt: Date;
  /** What whoever asked for it should know. */
  readonly notes: readonly string[];
};

/** Documents that are read at a time. */
const DOCUMENTS_AT_A_TIME = 8;
/** Values of keys that are asked for at a time, where they do not come in one reply. */
const VALUES_AT_A_TIME = 64;
/** For its owner only. */
const KEYS_MODE = 0o600;
/** A key that the server itself cannot read any more, since its secret key has changed. */
const FINGERPRINT = /^sha256:[0-9a-f]{16}$/;

/**
 * Writes collections and API keys into a folder, which is made when it is not there. Files that are there already and
 * are not of a document that the server has are left alone.
 *
 * @throws ArchiveError for a collection that is not there and for a folder that cannot be written to; FluxionError
 */
export async function exportArchive(client: ExportClient, options: ExportOptions): Promise<ExportResult> {
  const startedAt = new Date();
  const exporter = new Exporter(client, options);
  const summary = await exporter.run();
  return { summary, startedAt, endedAt: new Date(), notes: exporter.notes };
}

class Exporter {
  readonly notes: string[] = [];
  readonly #client: ExportClient;
  readonly #options: ExportOptions;
  readonly #call: CallOptions;
  #documents = 0;
  #documentsKnown = 0;
  #records = 0;

  constructor(client: ExportClient, options: ExportOptions) {
    this.#client = client;
    this.#options = options;
    this.#call = options.signal === undefined ? {} : { signal: options.signal };
  }

  async run(): Promise<ExportSummary> {
    const { directory, collections: wanted, apiKeys } = this.#options;
    const there = await this.#client.collections(this.#call);
    const folders = fileNamesOf(there);
    const names = wanted === "all" ? [...there].sort() : wanted;
    for (const name of names) {
      if (!folders.has(name)) throw new ArchiveError(`There is no collection ${JSON.stringify(name)}`);
    }
    // Before anything is written: only the master key may read them.
    const keys = apiKeys ? await this.#readApiKeys() : undefined;
    makeFolder(directory);
    const collections: ExportSummary["collections"][number][] = [];
    for (const name of names)
      collections.push(await this.#exportCollection(name, folders.get(name) as string));
    return {
      outputDir: directory,
      collections,
      ...(keys && { apiKeys: await this.#exportApiKeys(keys) }),
    };
  }

  async #exportCollection(collection: string, folder: string): Promise<ExportSummary["collections"][number]> {
    const outputDir = join(this.#options.directory, folder);
    makeFolder(outputDir);
    if (!isReversible(collection, folder)) {
      await writeFile(join(outputDir, COLLECTION_FILE), `${JSON.stringify({ collection })}\n`);
    }
    const documents = await listDocuments(this.#client, collection, this.#call);
    const fileNames = fileNamesOf(documents);
    this.#documentsKnown += documents.length;
    const before = this.#records;
    let written = 0;
    await inParallel(documents, DOCUMENTS_AT_A_TIME, async (document) => {
      const file = join(outputDir, `${fileNames.get(document)}${RECORDS_ENDING}`);
      if (await this.#exportDocument(collection, document, file)) written++;
    });
    await this.#exportKeyValues(collection, join(outputDir, KEY_VALUES_FILE));
    this.#noteOthers(outputDir, new Set(fileNames.values()));
    return { collection, documents: written, records: this.#records - before, outputDir };
  }

  /** Returns false for a document that has been deleted since. */
  async #exportDocument(collection: string, document: string, path: string): Promise<boolean> {
    const name = JSON.stringify(document);
    let file: ArchiveFile | undefined;
    try {
      for await (const page of this.#client.historyPages(collection, document, {}, this.#call)) {
        file ??= new ArchiveFile(path);
        for (const record of page) file.write(recordLine(name, record));
        this.#records += page.length;
        this.#progress(collection);
      }
      await file?.finish();
    } finally {
      file?.discard();
    }
    this.#documents++;
    this.#progress(collection);
    return file !== undefined;
  }

  /** No file where there are none, unless one is there that would be taken for theirs. */
  async #exportKeyValues(collection: string, path: string): Promise<void> {
    const keys = (await this.#client.valueKeys(collection, this.#call)).sort();
    if (keys.length === 0 && !existsSync(path)) return;
    const file = new ArchiveFile(path);
    try {
      file.write("{");
      let isFirst = true;
      for await (const [key, value] of this.#values(collection, keys)) {
        file.write(`${isFirst ? "" : ","}${JSON.stringify(key)}:${JSON.stringify(value)}`);
        isFirst = false;
      }
      file.write("}\n");
      await file.finish();
    } finally {
      file.discard();
    }
  }

  async *#values(collection: string, keys: readonly string[]): AsyncGenerator<readonly [string, string]> {
    const all = await this.#client.values(collection, undefined, this.#call).catch((error: unknown) => {
      if (error instanceof FluxionError && error.code === "reply_too_large") return undefined;
      throw error;
    });
    if (all !== undefined) {
      yield* [...all].sort(([a], [b]) => (a < b ? -1 : 1));
      return;
    }
    for (let at = 0; at < keys.length; at += VALUES_AT_A_TIME) {
      const some = keys.slice(at, at + VALUES_AT_A_TIME);
      const values = await Promise.all(some.map((key) => this.#client.value(collection, key, this.#call)));
      for (const [index, value] of values.entries()) yield [some[index] as string, value];
    }
  }

  async #readApiKeys(): Promise<readonly ApiKey[]> {
    try {
      return await this.#client.apiKeys(this.#call);
    } catch (cause) {
      if (!(cause instanceof FluxionError) || cause.code !== "permission_denied") throw cause;
      const text = "Nothing was exported: the API keys need the master key, collections by name do not";
      throw new FluxionError("permission_denied", text, { cause });
    }
  }

  /** Never the master key: whoever gets hold of the archive must not get hold of the server. */
  async #exportApiKeys(all: readonly ApiKey[]): Promise<NonNullable<ExportSummary["apiKeys"]>> {
    const others = all.filter(({ deletable }) => deletable);
    const keys = others.filter(({ key }) => !FINGERPRINT.test(key));
    const lost = others.length - keys.length;
    if (lost > 0) {
      this.notes.push(
        `${lost} API keys are left out: the server cannot read them, its secret key has changed`,
      );
    }
    const outputFile = join(this.#options.directory, API_KEYS_FILE);
    const lines = keys.map(({ key, scope, deletable, ...limits }) =>
      JSON.stringify({ key, scope, deletable, ...limits }),
    );
    await writeFile(outputFile, `[${lines.join(",\n")}]\n`, KEYS_MODE);
    return { keys: keys.length, outputFile };
  }

  #noteOthers(outputDir: string, fileNames: ReadonlySet<string>): void {
    const others = readFolder(outputDir).filter(
      ({ name }) => name.endsWith(RECORDS_ENDING) && !fileNames.has(name.slice(0, -RECORDS_ENDING.length)),
    );
    if (others.length === 0) return;
    const example = join(outputDir, others[0]?.name as string);
    this.notes.push(
      `${others.length} files of documents that the server does not have are left as they were, such as ${example}`,
    );
  }

  #progress(collection: string): void {
    this.#options.onProgress?.({
      collection,
      documents: this.#documents,
      documentsKnown: this.#documentsKnown,
      records: this.#records,
    });
  }
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
  } catch (cause) {
    throw new ArchiveError(`Cannot make the folder ${path}: ${(cause as Error).message}`, { cause });
  }
}

async function writeFile(path: string, text: string, mode?: number): Promise<void> {
  const file = new ArchiveFile(path, mode === undefined ? {} : { mode });
  try {
    file.write(text);
    await file.finish();
  } finally {
    file.discard();
  }
}

/** The first failure ends the others, as soon as they are done with what they are at. */
async function inParallel<Item>(
  items: readonly Item[],
  count: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  let next = 0;
  let isFailed = false;
  const run = async (): Promise<void> => {
    while (next < items.length && !isFailed) {
      try {
        await work(items[next++] as Item);
      } catch (error) {
        isFailed = true;
        throw error;
      }
    }
  };
  const outcomes = await Promise.allSettled(Array.from({ length: count }, run));
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
}
