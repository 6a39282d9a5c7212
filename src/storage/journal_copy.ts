/**
 * A copy of the journal as of a moment, for a backup.
 */
import { basename, join } from "node:path";
import { JOURNAL_FOLDER } from "./journal_segment.ts";
import { explaining } from "./sqlite_error.ts";

/** How far its segments reach, in their order. */
export type JournalExtent = readonly { readonly path: string; readonly length: number }[];

/** Copies what was written at that moment to another data directory. Nothing may be cut since; writes go on. */
export async function copyJournal(extent: JournalExtent, directory: string): Promise<void> {
  for (const { path, length } of extent) {
    const target = join(directory, JOURNAL_FOLDER, basename(path));
    await explaining(path, () => Bun.write(target, Bun.file(path).slice(0, length), { mode: 0o600 }));
  }
}
