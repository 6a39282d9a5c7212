/**
 * File names for names of any kind: reversible, safe, and different on file systems that ignore case.
 *
 *     file name = encoded | prefix "~" sha256            the second for what would be too long for a file name
 *     encoded   = { a-z 0-9 - _ | "%" hex hex | "%u" hex hex hex hex }
 *
 * Every other character is written as its UTF-8 bytes, half a surrogate pair as `%uD800`. A long name's file holds
 * the whole name in its `meta` table, as every file does.
 */

/** Where collections are, in a data directory. */
export const COLLECTIONS_FOLDER = "collections";

const PLAIN = /^[a-z0-9_-]$/;
/** With room for an ending and SQLite's suffixes within the 255 bytes that file systems allow. */
const ENCODED_LENGTH_MAX = 200;
const PREFIX_LENGTH = 120;
/** Names that are devices on Windows, whatever their ending. */
const DEVICE = /^(con|prn|aux|nul|com[0-9]|lpt[0-9])$/;

/** The file name, without an ending, for a collection's name. */
export function encodeFileName(name: string): string {
  const characters = Array.from(name, encodeCharacter);
  const encoded = characters.join("");
  if (DEVICE.test(encoded)) return percent(encoded.charCodeAt(0)) + encoded.slice(1);
  if (encoded.length <= ENCODED_LENGTH_MAX) return encoded;
  let prefix = "";
  for (const character of characters) {
    if (prefix.length + character.length > PREFIX_LENGTH) break;
    prefix += character;
  }
  return `${prefix}~${new Bun.CryptoHasher("sha256").update(JSON.stringify(name)).digest("hex")}`;
}

/** The name, or undefined for a file name that no name has, or that does not tell the whole name. */
export function decodeFileName(fileName: string): string | undefined {
  if (fileName.includes("~")) return undefined;
  const name = fileName
    .replace(/%u([0-9a-f]{4})/g, (_, unit: string) => String.fromCharCode(Number.parseInt(unit, 16)))
    .replace(/(?:%[0-9a-f]{2})+/g, (bytes) => Buffer.from(bytes.replaceAll("%", ""), "hex").toString("utf8"));
  return encodeFileName(name) === fileName ? name : undefined;
}

function encodeCharacter(character: string): string {
  if (PLAIN.test(character)) return character;
  if (!character.isWellFormed()) return `%u${character.charCodeAt(0).toString(16)}`;
  return Array.from(Buffer.from(character), percent).join("");
}

const percent = (byte: number): string => `%${byte.toString(16).padStart(2, "0")}`;
