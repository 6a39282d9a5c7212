/**
 * SQLite's and the system's errors in words for an operator: which file, what is wrong, what to do.
 */
import { StorageError } from "./storage.ts";

/** What to do about damage. */
export const ADVICE = "Restore it from a backup, or start with --recover to leave out what is damaged";

/** What to say of an error code; codes are matched by their beginning, since SQLite refines them. */
const EXPLANATIONS: readonly (readonly [code: string, problem: string])[] = [
  ["SQLITE_FULL", "the disk is full. Make room; writes are taken again by themselves"],
  ["ENOSPC", "the disk is full. Make room; writes are taken again by themselves"],
  ["EDQUOT", "the disk's quota is used up. Make room; writes are taken again by themselves"],
  ["EROFS", "it cannot be written to. Check how the disk is mounted"],
  ["EACCES", "access is denied. Check its permissions and owner"],
  ["EPERM", "access is denied. Check its owner and attributes"],
  ["EEXIST", "a file is in the way. Give a folder, or move the file away"],
  ["ENOTDIR", "a part of its path is a file. Give a folder that can be made"],
  ["EMFILE", "the process may open no more files. Raise its limit (ulimit -n), or lower --max-connections"],
  ["EIO", "the disk failed to read or write it. Check the disk and the system's log"],
  ["SQLITE_READONLY", "it cannot be written to. Check its permissions and how the disk is mounted"],
  ["SQLITE_CANTOPEN", "it cannot be opened. Check that it exists, and its folder's permissions"],
  ["SQLITE_PERM", "access is denied. Check its permissions and owner"],
  // The index of a WAL, which SQLite keeps in a file beside the database.
  ["SQLITE_IOERR_SHMSIZE", "the disk is full. Make room; writes are taken again by themselves"],
  ["SQLITE_IOERR", "the disk failed to read or write it. Check the disk and the system's log"],
  ["SQLITE_NOTADB", `it is damaged: this is no SQLite database. ${ADVICE}`],
  ["SQLITE_CORRUPT", `it is damaged: SQLite cannot read it. ${ADVICE}`],
];

/** A StorageError for whatever went wrong with a file; a StorageError stays as it is. */
export function explainError(error: unknown, file: string): StorageError {
  if (error instanceof StorageError) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const known = EXPLANATIONS.find(([beginning]) => code.startsWith(beginning));
  const reason = error instanceof Error ? error.message : String(error);
  return new StorageError(`${file}: ${known?.[1] ?? reason}`, { cause: error });
}

/** Does something with a file. @throws StorageError for whatever goes wrong */
export async function explaining<Result>(file: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw explainError(error, file);
  }
}

/** A file whose content is not what it must be. */
export function damagedFile(file: string, problem: string): StorageError {
  return new StorageError(`${file} is damaged: ${problem}. ${ADVICE}`);
}
