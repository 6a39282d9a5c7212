/**
 * A file of the journal, and how its name tells its place.
 *
 *     DIR/journal/SERIAL-FIRST.log     its groups are numbered from FIRST on
 *     DIR/journal/SERIAL.spare         one that a checkpoint has cut, kept to be written over
 *     DIR/journal/SERIAL.partial       one that is being copied
 *
 * Serials ascend and are never used twice while a file is left. A segment ends where one with a higher serial begins:
 * what it has beyond that was never acknowledged, or is there again.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";

/** Below the data directory. */
export const JOURNAL_FOLDER = "journal";

export type SegmentName = { readonly path: string; readonly serial: number; readonly first: number };

export type Segment = SegmentName & {
  /** Undefined when it is not open. */
  handle: number | undefined;
  /** What is written; of a segment from before the start, what there is. */
  length: number;
  isSynced: boolean;
};

const SEGMENT = /^(\d{10})-(\d{16})\.log$/;
const SPARE = /^(\d{10})\.spare$/;
const PARTIAL = /^(\d{10})\.partial$/;

export const segmentPath = (folder: string, serial: number, first: number): string =>
  join(folder, `${pad(serial, 10)}-${pad(first, 16)}.log`);
export const sparePath = (folder: string, serial: number): string => join(folder, `${pad(serial, 10)}.spare`);
export const partialPath = (folder: string, serial: number): string =>
  join(folder, `${pad(serial, 10)}.partial`);

const pad = (value: number, digits: number): string => String(value).padStart(digits, "0");

/** A number that looks like no other, of which each serial has its own. */
export const saltOf = (serial: number): number => Math.imul(serial, 0x9e3779b1) >>> 0;

export type FolderContents = {
  /** By their serials. */
  readonly segments: readonly SegmentName[];
  readonly spares: readonly string[];
  /** What a copy that was not finished has left. */
  readonly partials: readonly string[];
  readonly lastSerial: number;
};

/** A folder that is not there is empty. */
export function readJournalFolder(folder: string): FolderContents {
  const segments: SegmentName[] = [];
  const spares: string[] = [];
  const partials: string[] = [];
  let lastSerial = 0;
  for (const name of namesIn(folder)) {
    const path = join(folder, name);
    const [segment, spare, partial] = [SEGMENT, SPARE, PARTIAL].map((pattern) => pattern.exec(name));
    const serial = Number((segment ?? spare ?? partial)?.[1] ?? 0);
    lastSerial = Math.max(lastSerial, serial);
    if (segment) segments.push({ path, serial, first: Number(segment[2]) });
    else if (spare) spares.push(path);
    else if (partial) partials.push(path);
  }
  segments.sort((a, b) => a.serial - b.serial);
  return { segments, spares, partials, lastSerial };
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
}

/** The last number that a segment may hold: later ones have what follows. */
export function boundOf(segments: readonly SegmentName[], index: number): number {
  let bound = Number.POSITIVE_INFINITY;
  for (let later = index + 1; later < segments.length; later++) {
    bound = Math.min(bound, (segments[later] as SegmentName).first - 1);
  }
  return bound;
}

/** Where the next group goes. */
export const placeIn = ({ handle, length }: Segment): { handle: number; position: number } => ({
  handle: handle as number,
  position: length,
});
