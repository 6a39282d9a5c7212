/**
 * A backup as a stream of bytes: the files of a data directory as of one moment, each with its checksum.
 *
 *     backup := head { file } tail
 *     head   := {"format":"fluxiondb backup","version":2,"takenAt":"2026-03-01T12:00:00.000Z","files":2} LF
 *     file   := {"path":"collections/a.db","bytes":4096} LF  the bytes  {"sha256":HEX} LF
 *     tail   := {"end":true} LF
 *
 * Without its tail it is not whole.
 */
import { createHash } from "node:crypto";
import { closeSync, fdatasyncSync, mkdirSync, openSync, readdirSync, statSync, writeSync } from "node:fs";
import { dirname, join, sep } from "node:path";
import { StorageError } from "./storage.ts";

const FORMAT = "fluxiondb backup";
/** Version 1 had the journal in catalog.db. */
const VERSION = 2;
const BLOCK_BYTES = 256 * 1024;
const LINE_FEED = 10;
const LINE_BYTES_MAX = 64 * 1024;
/** What a data directory consists of; nothing else is written, wherever a backup says it is. */
const PATH = /^(?:catalog\.db|collections\/[a-zA-Z0-9%_~-]{1,255}\.db|journal\/[0-9]{10}-[0-9]{16}\.log)$/;
const PRIVATE = 0o600;

export type BackupHead = { readonly takenAt: string; readonly files: number };

/** The files below a folder. */
export async function* writeBackup(folder: string, takenAt: Date): AsyncGenerator<Uint8Array> {
  const paths = (readdirSync(folder, { recursive: true }) as string[])
    .filter((path) => statSync(join(folder, path)).isFile())
    .sort();
  yield line({ format: FORMAT, version: VERSION, takenAt: takenAt.toISOString(), files: paths.length });
  for (const path of paths) {
    const file = Bun.file(join(folder, path));
    yield line({ path: path.split(sep).join("/"), bytes: file.size });
    const hash = createHash("sha256");
    for await (const bytes of file.stream()) {
      hash.update(bytes);
      yield bytes;
    }
    yield line({ sha256: hash.digest("hex") });
  }
  yield line({ end: true });
}

const line = (value: unknown): Uint8Array => Buffer.from(`${JSON.stringify(value)}\n`);

export type ReadBackupOptions = {
  /** Where its files are written; without, they are only checked. */
  readonly directory?: string;
  readonly onBytes?: (bytes: number) => void;
};

/** Reads a backup to its end. @throws StorageError that says what is wrong with it */
export async function readBackup(
  stream: AsyncIterable<Uint8Array>,
  { directory, onBytes = () => {} }: ReadBackupOptions = {},
): Promise<BackupHead> {
  const reader = new BackupReader(stream, onBytes);
  const head = await reader.line();
  if (head.format !== FORMAT) throw damaged("it is none");
  if (head.version !== 1 && head.version !== VERSION) {
    throw new StorageError(
      `The backup has format ${head.version}; this version of FluxionDB reads 1 and ${VERSION}`,
    );
  }
  for (;;) {
    const next = await reader.line();
    if (next.end === true) return { takenAt: String(head.takenAt), files: Number(head.files) };
    const { path, bytes } = next;
    if (typeof path !== "string" || !PATH.test(path))
      throw damaged(`${JSON.stringify(path)} is no file of a backup`);
    if (typeof bytes !== "number" || !Number.isSafeInteger(bytes) || bytes < 0) {
      throw damaged(`${path} has no length`);
    }
    const target = directory === undefined ? undefined : join(directory, path);
    const digest = await copy(reader, bytes, target);
    if ((await reader.line()).sha256 !== digest) throw damaged(`${path} is not as it was when it was saved`);
  }
}

/** Returns the digest of what was copied. */
async function copy(reader: BackupReader, bytes: number, target: string | undefined): Promise<string> {
  const hash = createHash("sha256");
  if (target !== undefined) mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
  const handle = target === undefined ? undefined : openSync(target, "wx", PRIVATE);
  try {
    for (let left = bytes; left > 0; ) {
      const block = await reader.atMost(Math.min(left, BLOCK_BYTES));
      hash.update(block);
      if (handle !== undefined) for (let at = 0; at < block.length; ) at += writeSync(handle, block, at);
      left -= block.length;
    }
    if (handle !== undefined) fdatasyncSync(handle);
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
  return hash.digest("hex");
}

class BackupReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #onBytes: (bytes: number) => void;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(stream: AsyncIterable<Uint8Array>, onBytes: (bytes: number) => void) {
    this.#chunks = stream[Symbol.asyncIterator]();
    this.#onBytes = onBytes;
  }

  async line(): Promise<Readonly<Record<string, unknown>>> {
    const parts: Uint8Array[] = [];
    let length = 0;
    for (;;) {
      await this.#fill();
      const end = this.#rest.indexOf(LINE_FEED);
      const part = end < 0 ? this.#rest : this.#rest.subarray(0, end);
      parts.push(part);
      length += part.length;
      this.#rest = this.#rest.subarray(end < 0 ? part.length : end + 1);
      if (length > LINE_BYTES_MAX) throw damaged("it is none");
      if (end >= 0) return parseLine(Buffer.concat(parts).toString("utf8"));
    }
  }

  /** At least one byte. */
  async atMost(bytes: number): Promise<Uint8Array> {
    await this.#fill();
    const block = this.#rest.subarray(0, bytes);
    this.#rest = this.#rest.subarray(block.length);
    return block;
  }

  async #fill(): Promise<void> {
    while (this.#rest.length === 0) {
      const { value, done } = await this.#chunks.next();
      if (done) throw damaged("its end is missing");
      this.#onBytes(value.length);
      this.#rest = value;
    }
  }
}

function parseLine(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as Readonly<Record<string, unknown>>;
  } catch {
    // As below.
  }
  throw damaged("it is none");
}

const damaged = (problem: string): StorageError => new StorageError(`The backup is damaged: ${problem}`);
