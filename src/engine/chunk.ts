/**
 * A run of up to a few hundred records of one document: open as a page, packed, or both.
 *
 * - page only: the newest chunk of a document, and whatever was changed lately;
 * - packed only: what nobody has touched for a while, and what a start has loaded;
 * - both: a packed chunk that was unpacked to be read; the page is then a copy that may be dropped.
 *
 * Counts and bounds are known in every form. ChunkStore moves chunks between the forms.
 */
import type { Page } from "./page.ts";
import type { Slab } from "./slab.ts";

/** Where the packed bytes are. */
export type PackedBlock = { readonly slab: Slab; readonly start: number; readonly length: number };

/** A document as its chunks see it: the number it has on disk, and whether it is deleted and its chunks with it. */
export type ChunkOwner = { readonly id: number; readonly isGone: boolean };

const TWO_32 = 0x1_0000_0000;

export class Chunk {
  readonly owner: ChunkOwner;
  /** Its number on disk, unique in the collection; 0 for one that was never saved. */
  id = 0;
  count = 0;
  firstHigh = 0;
  firstLow = 0;
  lastHigh = 0;
  lastLow = 0;
  page: Page | undefined = undefined;
  packed: PackedBlock | undefined = undefined;
  /** Changed since it was last handed to a checkpoint. */
  isDirty = false;
  /** No longer part of its document: whoever still holds it lets it go. */
  isGone = false;
  /** Has a page that is only a copy of the packed form. */
  isCopy = false;
  /** Waits in the store's queue to be packed. */
  isQueued = false;
  /** When it was last read or changed, in the store's seconds. */
  touchedAt = 0;

  constructor(owner: ChunkOwner) {
    this.owner = owner;
  }

  /** Takes count and bounds over from the page, after a change of it. */
  measure(page: Page): void {
    this.count = page.count;
    if (page.count === 0) return;
    this.firstHigh = page.tsHigh(0);
    this.firstLow = page.tsLow(0);
    this.lastHigh = page.tsHigh(page.count - 1);
    this.lastLow = page.tsLow(page.count - 1);
  }

  /** Where a time between its first and last record is to be expected if the records are evenly spaced. */
  indexNear(high: number, low: number): number {
    const span = (this.lastHigh - this.firstHigh) * TWO_32 + (this.lastLow >>> 0) - (this.firstLow >>> 0);
    const offset = (high - this.firstHigh) * TWO_32 + (low >>> 0) - (this.firstLow >>> 0);
    return Math.floor((offset / span) * (this.count - 1));
  }

  startsAfter(high: number, low: number): boolean {
    return this.firstHigh > high || (this.firstHigh === high && this.firstLow >>> 0 > low >>> 0);
  }

  endsBefore(high: number, low: number): boolean {
    return this.lastHigh < high || (this.lastHigh === high && this.lastLow >>> 0 < low >>> 0);
  }
}
