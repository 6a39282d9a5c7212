/**
 * What a server did to the files of a folder and what it sent, in order, as recorder.c has written it down.
 */
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";

/** As in recorder.c. */
const KINDS = [
  undefined,
  "write",
  "truncate",
  "sync begun",
  "synced",
  "create",
  "unlink",
  "rename",
  "mkdir",
  "rmdir",
  "send",
] as const;
const HEAD_BYTES = 16;

export type Entry = {
  readonly kind: NonNullable<(typeof KINDS)[number]>;
  /** From the folder on; empty for the folder itself. */
  readonly path: string;
  /** An offset, a size, or what tells one sync from another. */
  readonly number: number;
  readonly payload: Buffer;
};

/** Why no library can be preloaded into a server here; undefined when it can. */
export const whyNoLibrary = (): string | undefined => {
  if (process.platform !== "linux") return "only Linux has LD_PRELOAD";
  return Bun.which("cc") === null ? "there is no C compiler (cc)" : undefined;
};

/** Builds a library in a folder, and returns where it is. */
export function buildLibrary(source: string, folder: string): string {
  const library = join(folder, `${basename(source, ".c")}.so`);
  const { exitCode, stderr } = Bun.spawnSync([
    ...["cc", "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, source, "-ldl"],
  ]);
  if (exitCode !== 0) throw new Error(`cc failed:\n${stderr}`);
  return library;
}

/** The recorder, built in a folder. */
export const buildRecorder = (folder: string): string =>
  buildLibrary(join(import.meta.dir, "recorder.c"), folder);

/** What a server's environment must be. */
export const recorderEnvironment = (options: {
  recorder: string;
  log: string;
  folder: string;
}): Record<string, string> => ({
  LD_PRELOAD: options.recorder,
  RECORDER_LOG: options.log,
  RECORDER_FOLDER: options.folder,
});

/** The last entry may be cut off by the end of the process: it is left out then. */
export function readRecording({ log, folder }: { log: string; folder: string }): Entry[] {
  const bytes = readFileSync(log);
  const entries: Entry[] = [];
  for (let at = 0; at + HEAD_BYTES <= bytes.length; ) {
    const pathEnd = at + HEAD_BYTES + bytes.readUIntLE(at + 1, 3);
    const end = pathEnd + bytes.readUInt32LE(at + 4);
    if (end > bytes.length) break;
    const kind = KINDS[bytes.readUInt8(at)];
    if (kind === undefined) throw new Error(`The recording has an unknown entry at ${at}`);
    const path = bytes.toString("utf8", at + HEAD_BYTES, pathEnd).slice(folder.length + 1);
    const number = Number(bytes.readBigUInt64LE(at + 8));
    // Where a file is moved to, from the folder on, too.
    const payload = bytes.subarray(kind === "rename" ? pathEnd + folder.length + 1 : pathEnd, end);
    if (!isUnrecorded(path)) entries.push({ kind, path, number, payload });
    at = end;
  }
  return entries;
}

/** Bun writes it past the C library, and nobody needs it after a power cut. */
export const isUnrecorded = (path: string): boolean => path.endsWith("server.pid") || path.endsWith("-shm");
