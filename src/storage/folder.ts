/**
 * Folders and files that are there after a power cut too: an entry in a folder is on the disk when that folder was synced.
 *
 * Each call waits for the disk: for starts and recoveries; disk_call.ts is for what must not wait.
 */
import { closeSync, fsyncSync, mkdirSync, openSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** What the system says of a folder that may be used, but not read; Windows says it of every folder. */
const NOT_READABLE = new Set(["EACCES", "EPERM"]);

/** For its owner alone; what is missing above it is made too. */
export function makeFolder(path: string): void {
  const folder = resolve(path);
  const first = mkdirSync(folder, { recursive: true, mode: 0o700 });
  // One that was there may have been made by a server that was killed before it was synced.
  syncIfReadable(dirname(first ?? folder));
  if (first === undefined) return;
  for (let above = dirname(folder); above.length >= first.length; above = dirname(above)) {
    syncIfReadable(above);
  }
}

/** Waits until the disk knows which files there are. */
export function syncFolder(path: string): void {
  const handle = openSync(path, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** Waits until the disk has all of a file. */
export function syncFile(path: string): void {
  const handle = openSync(path, "r+");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** The folder above a data directory may be somebody else's. */
function syncIfReadable(path: string): void {
  try {
    syncFolder(path);
  } catch (error) {
    if (!NOT_READABLE.has(String((error as NodeJS.ErrnoException).code))) throw error;
  }
}
