/**
 * The folders of an archive:
 *
 *     DIR/COLLECTION/DOCUMENT.jsonl     records, a line each, oldest first
 *     DIR/COLLECTION/key_value.json     {"k":"v"}, where there are any
 *     DIR/COLLECTION/collection.json    {"collection":NAME}, only where the folder's name cannot tell it
 *     DIR/apikeys.json                  [{"key":"abc","scope":"readonly","deletable":true}]
 *
 * The older tool writes a collection `a/b` as nested folders; here it is one, `a%2Fb`, and both are read.
 */
import { type Dirent, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ArchiveError } from "./archive_error.ts";
import { nameOf } from "./archive_name.ts";
import { BadInput, checkName, parseObject } from "./record_line.ts";

export const RECORDS_ENDING = ".jsonl";
export const KEY_VALUES_FILE = "key_value.json";
export const COLLECTION_FILE = "collection.json";
export const API_KEYS_FILE = "apikeys.json";

export type CollectionFolder = {
  readonly collection: string;
  readonly path: string;
  /** Names of files of records, by code unit. */
  readonly recordFiles: readonly string[];
  readonly hasKeyValues: boolean;
};

/** All collections of an archive, by the paths of their folders. @throws ArchiveError */
export function findCollections(directory: string): CollectionFolder[] {
  const found: CollectionFolder[] = [];
  walk(directory, [], found);
  return found;
}

/** The collections of the older layout, `DIR/COLLECTION/DOCUMENT/…`: each folder is one. @throws ArchiveError */
export function findLegacyCollections(directory: string): CollectionFolder[] {
  const folders = readFolder(directory).filter((entry) => entry.isDirectory());
  return folders.map(({ name }) => {
    const path = join(directory, name);
    const hasKeyValues = readFolder(path).some((entry) => entry.isFile() && entry.name === KEY_VALUES_FILE);
    return { collection: nameOf(name), path, recordFiles: [], hasKeyValues };
  });
}

function walk(path: string, names: readonly string[], found: CollectionFolder[]): void {
  const entries = readFolder(path);
  const files = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
  const recordFiles = files.filter((name) => name.endsWith(RECORDS_ENDING));
  const hasKeyValues = files.includes(KEY_VALUES_FILE);
  if (recordFiles.length > 0 || hasKeyValues) {
    if (names.length === 0) {
      throw new ArchiveError(
        `${path} holds records itself: give the folder above, which holds one a collection`,
      );
    }
    const collection = files.includes(COLLECTION_FILE)
      ? readCollectionFile(join(path, COLLECTION_FILE))
      : names.map(nameOf).join("/");
    found.push({ collection, path, recordFiles, hasKeyValues });
  }
  for (const entry of entries) {
    if (entry.isDirectory()) walk(join(path, entry.name), [...names, entry.name], found);
  }
}

/** What it holds, by name. @throws ArchiveError also for what leads out of the archive */
export function readFolder(path: string): Dirent[] {
  let entries: Dirent[];
  try {
    entries = readdirSync(path, { withFileTypes: true });
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const problem =
      code === "ENOENT" ? "there is no such folder" : code === "ENOTDIR" ? "it is no folder" : message;
    throw new ArchiveError(`Cannot read ${path}: ${problem}`, { cause });
  }
  for (const entry of entries) {
    if (!entry.isSymbolicLink()) continue;
    throw new ArchiveError(`${join(path, entry.name)} is a symbolic link, which may lead out of the archive`);
  }
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function readCollectionFile(file: string): string {
  try {
    return checkName(parseObject(readFileSync(file, "utf8")).collection, "collection");
  } catch (error) {
    if (error instanceof BadInput) throw new ArchiveError(`${file}: ${error.message}`);
    throw error;
  }
}
