/**
 * Copies groups of the journal to a segment of their own, when the disk has failed to sync those that they are in.
 *
 * It appears under its name when it is whole and on the disk; from then on it is read instead of the others.
 */
import { closeFile, openFile, renameFile, syncData, unlinkFile, writeAt } from "./disk_call.ts";
import { sealGroup } from "./journal_group.ts";
import { readJournal } from "./journal_reader.ts";
import { partialPath, type SegmentName, saltOf, segmentPath } from "./journal_segment.ts";
import { damagedFile } from "./sqlite_error.ts";
import { GROUP_HEAD_BYTES } from "./storage.ts";

export type SegmentCopy = {
  readonly folder: string;
  readonly serial: number;
  readonly first: number;
  readonly upTo: number;
};

/** @throws StorageError, or what the system says; there is no copy then */
export async function copySegments(
  segments: readonly SegmentName[],
  copy: SegmentCopy,
): Promise<SegmentName & { length: number }> {
  const { folder, serial, first } = copy;
  const partial = partialPath(folder, serial);
  const path = segmentPath(folder, serial, first);
  const handle = await openFile(partial, "w");
  try {
    const length = await copyGroups(segments, handle, copy);
    await syncData(handle);
    await renameFile(partial, path);
    return { path, serial, first, length };
  } catch (error) {
    // The first error is the one that tells what happened; what is left is removed by the next start.
    await unlinkFile(partial).catch(() => {});
    throw error;
  } finally {
    await closeFile(handle);
  }
}

/** Returns how long the copy is. */
async function copyGroups(
  segments: readonly SegmentName[],
  handle: number,
  { folder, serial, first, upTo }: SegmentCopy,
): Promise<number> {
  const salt = saltOf(serial);
  let position = 0;
  let last = first - 1;
  for await (const groups of readJournal(segments, last)) {
    for (const { number, body } of groups) {
      const length = GROUP_HEAD_BYTES + body.length;
      const bytes = Buffer.allocUnsafe(length);
      bytes.set(body, GROUP_HEAD_BYTES);
      sealGroup(bytes, length, { salt, number, synced: first - 1 });
      await writeAt(handle, bytes, { length, position });
      position += length;
      last = number;
    }
  }
  if (last === upTo) return position;
  throw damagedFile(folder, `group ${last + 1} of the journal cannot be read back`);
}
