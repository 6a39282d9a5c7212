/**
 * How large files are.
 */
import { statSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

/** So many are asked for at a time. */
const FILES_AT_A_TIME = 64;

/** Of all files in a folder, in bytes. */
export async function bytesInFolder(folder: string): Promise<number> {
  const names = await readdir(folder);
  return sumOfSizes(names.map((name) => join(folder, name)));
}

/** Of one, without a promise: at a start. */
export const fileBytes = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

/** In bytes; a file that is not there has none. */
export async function sumOfSizes(paths: readonly string[]): Promise<number> {
  let bytes = 0;
  for (let at = 0; at < paths.length; at += FILES_AT_A_TIME) {
    const sizes = await Promise.all(paths.slice(at, at + FILES_AT_A_TIME).map(sizeOf));
    bytes += sizes.reduce((sum, size) => sum + size, 0);
  }
  return bytes;
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return 0;
    throw error;
  }
}
