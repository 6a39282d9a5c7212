/**
 * The records of a collection's folder, in blocks: lines of `*.jsonl`, or the JSON files of the older layout.
 */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Timestamp } from "../client/types.ts";
import { parseJson } from "../protocol/json.ts";
import { FRAME_BYTES_MAX } from "../protocol/limits.ts";
import { type CollectionFolder, RECORDS_ENDING, readFolder } from "./archive_folder.ts";
import { nameOf } from "./archive_name.ts";
import type { InputCheck } from "./input_check.ts";
import { readLines } from "./line_reader.ts";
import {
  BadInput,
  checkName,
  checkSize,
  checkTime,
  compactJson,
  type LineRecord,
  readRecordLine,
  show,
} from "./record_line.ts";

/** What was read at once; files without records have empty blocks. */
export type RecordBlock = { readonly records: readonly LineRecord[]; readonly bytes: number };

/** `check` is told what is wrong; without records for what is not. */
export type ReadRecords = (folder: CollectionFolder, check: InputCheck) => Iterable<RecordBlock>;

/** Escapes within a line can take more room than what they stand for, though hardly twice as much. */
const LINE_BYTES_MAX = 2 * FRAME_BYTES_MAX;
const LEGACY_FILE_BYTES_MAX = 256 * 1024 * 1024;
const LEGACY_ENDING = ".json";
const TIME_FIELDS = ["ts", "timestamp", "time"] as const;

export function* readRecordFiles(folder: CollectionFolder, check: InputCheck): Generator<RecordBlock> {
  for (const name of folder.recordFiles) {
    const path = join(folder.path, name);
    const document = nameOf(name.slice(0, -RECORDS_ENDING.length));
    for (const { lines, bytes } of readLines(path, { lineBytesMax: LINE_BYTES_MAX })) {
      const records: LineRecord[] = [];
      for (const { number, text } of lines) {
        try {
          if (text instanceof BadInput) throw text;
          records.push(readRecordLine(text, document));
        } catch (error) {
          if (!(error instanceof BadInput)) throw error;
          check.add(`${path}:${number}`, error);
        }
      }
      yield { records, bytes };
    }
  }
}

// `COL/DOC/`, and below it `*.json` at any depth, in the order of their paths; the folder is the document.
export function* readLegacyFiles(folder: CollectionFolder, check: InputCheck): Generator<RecordBlock> {
  for (const entry of readFolder(folder.path)) {
    if (!entry.isDirectory()) continue;
    const document = nameOf(entry.name);
    for (const path of jsonFilesBelow(join(folder.path, entry.name))) {
      yield {
        records: readLegacyFile(path, document, check),
        bytes: statSync(path).size,
      };
    }
  }
}

export const isLegacyFile = (name: string): boolean => name.endsWith(LEGACY_ENDING);

function jsonFilesBelow(path: string): string[] {
  const files = readFolder(path).flatMap((entry) => {
    const inner = join(path, entry.name);
    if (entry.isDirectory()) return jsonFilesBelow(inner);
    return entry.isFile() && isLegacyFile(entry.name) ? [inner] : [];
  });
  return files.sort();
}

function readLegacyFile(path: string, document: string, check: InputCheck): LineRecord[] {
  const values = check.attempt(
    () => path,
    () => {
      checkName(document, "the folder's name");
      return readValues(path);
    },
  );
  const records: LineRecord[] = [];
  for (const [index, value] of (values ?? []).entries()) {
    const record = check.attempt(
      () => `${path}[${index}]`,
      () => readLegacyRecord(value, document, path),
    );
    if (record !== undefined) records.push(record);
  }
  return records;
}

function readValues(path: string): readonly unknown[] {
  const bytes = readFileSync(path);
  if (bytes.length > LEGACY_FILE_BYTES_MAX) {
    throw new BadInput(`expected at most ${LEGACY_FILE_BYTES_MAX / 2 ** 20} MiB, got ${bytes.length} bytes`);
  }
  const text = bytes.toString("utf8");
  try {
    const value = parseJson(text.startsWith("\ufeff") ? text.slice(1) : text);
    return Array.isArray(value) ? value : [value];
  } catch (cause) {
    if (cause instanceof RangeError) throw new BadInput("nested too deep");
    throw new BadInput(`expected JSON, got ${show(text)}`);
  }
}

function readLegacyRecord(value: unknown, document: string, path: string): LineRecord {
  if (typeof value !== "object" || value === null || Array.isArray(value) || "rawJSON" in value) {
    throw new BadInput(`expected an object, got ${show(value)}`);
  }
  const fields = value as Readonly<Record<string, unknown>>;
  const data = fields.data === undefined ? value : fields.data;
  return {
    ts: legacyTime(fields, path),
    document,
    data: checkSize(typeof data === "string" ? data : compactJson(data, "data")),
  };
}

function legacyTime(fields: Readonly<Record<string, unknown>>, path: string): Timestamp {
  for (const name of TIME_FIELDS) if (fields[name] !== undefined) return checkTime(fields[name], name);
  const [, digits] = /(?:^|[/\\])(-?[0-9]+)\.json$/.exec(path) ?? [];
  if (digits !== undefined) return checkTime(digits, "the file's name");
  throw new BadInput(`expected a time in one of ${TIME_FIELDS.join(", ")} or as the file's name, got none`);
}
