/**
 * Why an archive cannot be read or written, in words for whoever asked for it: the file, what is wrong, what to do.
 */
export class ArchiveError extends Error {
  override readonly name = "ArchiveError";
}
