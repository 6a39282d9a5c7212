/**
 * Reads the journal's segments one after another, in blocks.
 *
 * It ends with the first group that is not whole: a kill or a power cut came in between. If something that was written
 * later says that the group was known to be on the disk, it is damaged instead, which is an error.
 */
import { readFileSync } from "node:fs";
import { closeFile, openFile, readAt } from "./disk_call.ts";
import { fileBytes } from "./file_size.ts";
import { isWhole, placesOfHeads, readHead } from "./journal_group.ts";
import { boundOf, type SegmentName, saltOf } from "./journal_segment.ts";
import { damagedFile } from "./sqlite_error.ts";
import { GROUP_HEAD_BYTES, type JournalGroup } from "./storage.ts";

const BLOCK_BYTES = 4 * 1024 * 1024;

/** Where a segment's groups have ended. */
export type SegmentEnd = { readonly number: number; readonly position: number };

/**
 * The groups after a number, in order; bodies hold until the next portion is asked for.
 *
 * @throws StorageError that names the damaged file
 */
export async function* readJournal(
  segments: readonly SegmentName[],
  after: number,
): AsyncGenerator<readonly JournalGroup[], void> {
  let last = after;
  for (const [index, segment] of segments.entries()) {
    const bound = boundOf(segments, index);
    if (bound < segment.first || bound <= last) continue;
    const end =
      segment.first > last + 1
        ? { number: last, position: 0 }
        : yield* readSegment(segment, { after: last, bound });
    last = Math.max(last, end.number);
    if (last === bound) continue;
    checkEnd(segments, index, { number: last, position: end.position });
    return;
  }
}

/** Where a group that a segment holds ends in it, if all before it are whole. */
export async function endOfGroup(segment: SegmentName, number: number): Promise<number> {
  // It yields nothing: there are none after that one.
  const { value } = await readSegment(segment, { after: number, bound: number }).next();
  return (value as SegmentEnd).position;
}

async function* readSegment(
  { path, serial, first }: SegmentName,
  { after, bound }: { readonly after: number; readonly bound: number },
): AsyncGenerator<readonly JournalGroup[], SegmentEnd> {
  const salt = saltOf(serial);
  let bytes: Buffer = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  let position = 0;
  let number = first - 1;
  const fileSize = fileBytes(path);
  const handle = await openFile(path, "r");
  try {
    for (let held = 0; number < bound; ) {
      const count = await readAt(handle, bytes, { from: held, position: position + held });
      const block = bytes.subarray(0, held + count);
      const groups: JournalGroup[] = [];
      let at = 0;
      let needed = 0;
      while (number < bound) {
        const head = readHead(block, at, salt);
        if (head === undefined) break;
        const isMark = head.size === 0;
        if (head.number !== (isMark ? number : number + 1)) break;
        needed = GROUP_HEAD_BYTES + head.size;
        // A length that is damaged, or was cut off, is not waited for.
        if (position + at + needed > fileSize) needed = 0;
        if (!isWhole(block, at, head.size)) break;
        const start = at + GROUP_HEAD_BYTES;
        at = start + head.size;
        needed = 0;
        if (isMark) continue;
        number++;
        if (number > after) groups.push({ number, body: block.subarray(start, at) });
      }
      if (groups.length > 0) yield groups;
      position += at;
      held = block.length - at;
      // Nothing more of the file, or what follows is no group, however much of it was read.
      if (count === 0 || (at === 0 && held >= Math.max(needed, GROUP_HEAD_BYTES))) break;
      if (needed > bytes.length) bytes = enlarged(block, at, needed);
      else block.copy(bytes, 0, at);
    }
  } finally {
    await closeFile(handle);
  }
  return { number, position };
}

function enlarged(block: Buffer, from: number, size: number): Buffer {
  const larger = Buffer.allocUnsafeSlow(size);
  block.copy(larger, 0, from);
  return larger;
}

/** @throws StorageError when a later group knows that the one after the end was on the disk */
function checkEnd(segments: readonly SegmentName[], index: number, end: SegmentEnd): void {
  const missing = end.number + 1;
  for (const [later, segment] of segments.slice(index).entries()) {
    const position = later === 0 ? end.position : 0;
    if (newestSynced(segment, position) < missing) continue;
    const { path } = segments[index] as SegmentName;
    throw damagedFile(path, `group ${missing} of the journal is missing or fails its checksum`);
  }
}

/** The newest group that anything whole in a segment, from a place on, says was on the disk. */
function newestSynced({ path, serial }: SegmentName, from: number): number {
  if (fileBytes(path) <= from) return 0;
  const bytes = readFileSync(path);
  const salt = saltOf(serial);
  let newest = 0;
  for (const at of placesOfHeads(bytes, from, salt)) {
    const head = readHead(bytes, at, salt);
    if (head !== undefined && head.synced > newest && isWhole(bytes, at, head.size)) newest = head.synced;
  }
  return newest;
}
