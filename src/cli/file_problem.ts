/**
 * What the system says of a file or a folder, in words for whoever typed its name, with what to do.
 */
import { CommandError } from "./command_error.ts";

type SystemError = Pick<NodeJS.ErrnoException, "code" | "message" | "path"> & { readonly dest?: string };

const PROBLEMS: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full. Make room, or write somewhere else",
  EDQUOT: "this user's part of the disk is full. Make room, or write somewhere else",
  EFBIG: "the file would be larger than the system allows. Write somewhere else",
  EROFS: "it is on a disk that takes no writes. Give another place",
  EACCES: "this user may not open or write it. Change its permissions, or give another place",
  EPERM: "this user may not open or write it. Change its permissions, or give another place",
  EISDIR: "it is a folder. Give a file, or move the folder away",
  ENOTDIR: "a part of it is a file, not a folder. Give another place",
  EEXIST: "there is a file of that name. Give a folder",
  ENOENT: "there is no such file or folder. Check how it is spelled",
};

/** Without the file's name; as the system says it where there are no better words. */
export const fileProblem = ({ code, message }: SystemError): string => PROBLEMS[code ?? ""] ?? message;

/** What the system says of a file (no room, no access) is told without a stack. */
export async function explainingFiles<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    if (!isSystemError(cause)) throw cause;
    // Of a rename, the name that the file was to get is what was typed.
    const place = cause.dest ?? cause.path;
    const problem = fileProblem(cause);
    const text = place === undefined ? problem.replace(/^./, (first) => first.toUpperCase()) : problem;
    throw new CommandError(place === undefined ? text : `${place}: ${text}`, { cause });
  }
}

/** Some come without a `syscall`. */
const isSystemError = (cause: unknown): cause is Error & SystemError =>
  cause instanceof Error && /^E[A-Z0-9]+$/.test(String((cause as NodeJS.ErrnoException).code));
