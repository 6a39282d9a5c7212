/**
 * Names of collections and documents as names of folders and files: reversible, and harmless on any file system.
 *
 *     file name = encoded | prefix "~" 16 hex digits of the name's SHA-256
 *     encoded   = { A-Z a-z 0-9 - _ . ~ $ & + = : @ | "%" hex hex }
 *
 * Encoded is how URLs have it (and Go's url.PathEscape, which the older tool uses). The second form is for names that
 * would be too long, or the same as another one where a file system takes capital letters for small ones. It cannot be
 * read back: records hold the name of their document, and a collection's folder has a `collection.json` then.
 */
import { createHash } from "node:crypto";

const PLAIN = /[A-Za-z0-9\-_.~$&+=:@]/;
/** With room for `.jsonl.partial` within the 255 bytes that file systems allow. */
const ENCODED_LENGTH_MAX = 240;
const PREFIX_LENGTH = 100;
const DIGEST_DIGITS = 16;
/** Names that are devices on Windows, whatever their ending. */
const DEVICE = /^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)/i;

/** The file name of each of these names, without an ending. It depends on all of them, but not on their order. */
export function fileNamesOf(names: Iterable<string>): Map<string, string> {
  const taken = new Set<string>();
  const fileNames = new Map<string, string>();
  // Sorted by code unit: who keeps its plain name must not depend on who came first.
  for (const name of [...names].sort()) {
    const encoded = encode(name);
    const isFree = isReversible(name, encoded) && !taken.has(encoded.toLowerCase());
    if (isFree) taken.add(encoded.toLowerCase());
    fileNames.set(name, isFree ? encoded : hashed(name, encoded));
  }
  return fileNames;
}

/** The name that a file name stands for, which may be one of the older tool; what cannot be decoded stands for itself. */
export function nameOf(fileName: string): string {
  try {
    return decodeURIComponent(fileName);
  } catch {
    return fileName;
  }
}

/** Whether the name can be told from its file name alone. */
export const isReversible = (name: string, fileName: string): boolean =>
  fileName.length <= ENCODED_LENGTH_MAX && nameOf(fileName) === name;

function encode(name: string): string {
  // A folder or an ending of its own, or nothing, for some file system or other.
  const isSpecial = name === "." || name === ".." || DEVICE.test(name);
  const text = Array.from(name, encodeCharacter).join("");
  const safe = isSpecial ? `${percent(name.charCodeAt(0))}${text.slice(1)}` : text;
  return safe.endsWith(".") ? `${safe.slice(0, -1)}%2E` : safe;
}

function encodeCharacter(character: string): string {
  if (PLAIN.test(character)) return character;
  return Array.from(Buffer.from(character, "utf8"), percent).join("");
}

const percent = (byte: number): string => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;

function hashed(name: string, encoded: string): string {
  // Not in the middle of a character's bytes.
  const prefix = encoded.slice(0, PREFIX_LENGTH).replace(/(%[0-9A-F]?|(%[89A-F][0-9A-F])+)$/, "");
  const digest = createHash("sha256").update(JSON.stringify(name)).digest("hex").slice(0, DIGEST_DIGITS);
  return `${prefix}~${digest}`;
}
