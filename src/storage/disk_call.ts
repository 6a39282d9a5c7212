/**
 * What may wait for a disk, done in the system's thread pool: the few calls that the journal needs, as promises.
 */
import { close, fdatasync, fsync, open, read, rename, unlink, write } from "node:fs";

type Done = (error: Error | null) => void;

export function openFile(path: string, flags: string | number): Promise<number> {
  return new Promise((resolve, reject) => {
    open(path, flags, 0o600, (error, handle) => (error ? reject(error) : resolve(handle)));
  });
}

export const closeFile = (handle: number): Promise<void> => settled((done) => close(handle, done));
export const syncData = (handle: number): Promise<void> => settled((done) => fdatasync(handle, done));
export const renameFile = (from: string, to: string): Promise<void> =>
  settled((done) => rename(from, to, done));
/** A file that is gone already is as good. */
export const unlinkFile = (path: string): Promise<void> =>
  settled((done) => unlink(path, (error) => done(error?.code === "ENOENT" ? null : error)));

/** With all that is known of the file: what is in a folder, if it is one. */
export const syncAll = (handle: number): Promise<void> => settled((done) => fsync(handle, done));

/** Waits until the disk knows what is in a folder. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await openFile(path, "r");
  try {
    await syncAll(handle);
  } finally {
    await closeFile(handle);
  }
}

/** Writes `bytes` up to `length` at a place in the file; the system may take it in pieces. */
export async function writeAt(
  handle: number,
  bytes: Uint8Array,
  { length, position }: { readonly length: number; readonly position: number },
): Promise<void> {
  for (let from = 0; from < length; ) from += await writePart(handle, bytes, from, length, position);
}

function writePart(
  handle: number,
  bytes: Uint8Array,
  from: number,
  length: number,
  position: number,
): Promise<number> {
  return new Promise((resolve, reject) => {
    write(handle, bytes, from, length - from, position + from, (error, count) =>
      error ? reject(error) : resolve(count),
    );
  });
}

/** Reads what there is at a place in the file, to `bytes` from `from` on; returns how much: 0 at the end. */
export function readAt(
  handle: number,
  bytes: Uint8Array,
  { from, position }: { readonly from: number; readonly position: number },
): Promise<number> {
  return new Promise((resolve, reject) => {
    read(handle, bytes, from, bytes.length - from, position, (error, count) =>
      error ? reject(error) : resolve(count),
    );
  });
}

function settled(call: (done: Done) => void): Promise<void> {
  return new Promise((resolve, reject) => call((error) => (error ? reject(error) : resolve())));
}
