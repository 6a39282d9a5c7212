/**
 * What is whole of a damaged journal: its groups up to the first one that is damaged or missing.
 *
 * What follows that one is left out, although it may be whole: groups name documents by numbers that groups before them
 * have given, so what a later one means is known only when all are there.
 */
import {
  copyFileSync,
  existsSync,
  constants as fileConstants,
  mkdirSync,
  truncateSync,
  unlinkSync,
} from "node:fs";
import { basename, join } from "node:path";
import { fileBytes } from "./file_size.ts";
import { syncFile, syncFolder } from "./folder.ts";
import { endOfGroup, readJournal } from "./journal_reader.ts";
import { boundOf, readJournalFolder, type SegmentName } from "./journal_segment.ts";
import { StorageError } from "./storage.ts";

export type SalvagedJournal = {
  /** The newest group that is whole, with all before it. */
  readonly lastGroup: number;
  /** In words; undefined when nothing is. */
  readonly leftOut: string | undefined;
};

/** The number before the first group of all; undefined when there is no file. */
export function startOfJournal(folder: string): number | undefined {
  const first = readJournalFolder(folder).segments[0];
  return first === undefined ? undefined : first.first - 1;
}

/** Reads the groups after a number. @throws what the system says when a file cannot be read */
export async function salvageJournal(folder: string, after: number): Promise<SalvagedJournal> {
  const { segments } = readJournalFolder(folder);
  let lastGroup = after;
  try {
    for await (const groups of readJournal(segments, after)) lastGroup = groups.at(-1)?.number ?? lastGroup;
    return { lastGroup, leftOut: undefined };
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    const bytes = await bytesAfter(segments, lastGroup);
    return { lastGroup, leftOut: `all after group ${lastGroup}, ${bytes} bytes: ${error.message}` };
  }
}

/** Copies all files to a folder that is not there yet, as they are. */
export function keepJournal(folder: string, target: string): void {
  mkdirSync(target, { recursive: true, mode: 0o700 });
  for (const { path } of readJournalFolder(folder).segments) {
    const copy = join(target, basename(path));
    copyFileSync(path, copy, fileConstants.COPYFILE_EXCL);
    syncFile(copy);
  }
  syncFolder(target);
}

/** Makes the journal end with a group. */
export async function endJournal(folder: string, lastGroup: number): Promise<void> {
  if (!existsSync(folder)) return;
  const { segments } = readJournalFolder(folder);
  const last = segments.findIndex((_, index) => boundOf(segments, index) > lastGroup);
  if (last < 0) return;
  // The later ones first: without the one that ends, they would be taken for what follows it.
  for (const { path } of segments.slice(last + 1).reverse()) unlinkSync(path);
  const { path, first } = segments[last] as SegmentName;
  truncateSync(path, first > lastGroup ? 0 : await endOfGroup(segments[last] as SegmentName, lastGroup));
  syncFile(path);
  syncFolder(folder);
}

async function bytesAfter(segments: readonly SegmentName[], lastGroup: number): Promise<number> {
  let bytes = 0;
  for (const [index, segment] of segments.entries()) {
    if (boundOf(segments, index) <= lastGroup) continue;
    bytes += fileBytes(segment.path);
    if (segment.first <= lastGroup) bytes -= await endOfGroup(segment, lastGroup);
  }
  return bytes;
}
