/**
 * The packed form of a chunk, in memory and on disk:
 *
 *     packed  = zstd( 0x00 steps lengths data )
 *     steps   = a varint for each record but the first: by how much longer it comes after the one before it than that one
 *               does after the one before that; of the second, how long it comes after the first
 *     lengths = a varint for each record: the bytes of its data
 *     data    = the characters between the quotes of each record's data, one record's after another's
 *
 * How many records there are, and the first one's timestamp, stand beside it. What regular records have in common, all
 * but their data, so takes a bit or two each, and what zstd has to look at is a third shorter. Steps are what the
 * Gorilla paper (Pelkonen et al., VLDB 2015) calls a delta of deltas; as zigzag varints, as in Protocol Buffers.
 *
 * Records that are further apart than 2^51 are packed whole, as all were up to format 2 of collections:
 *
 *     packed  = zstd( lengths text )
 *     lengths = a varint for each record: the bytes of its text, which are never 0
 *     text    = { ',{"ts":' integer ',"data":"' characters '"}' }     in the order of time
 *
 * Level 1 is as small as level 3 on sensor data and the fastest.
 */
import { TIMESTAMP_BYTES_MAX, writeTimestampDigits } from "../protocol/integer_text.ts";
import { timestampToText } from "../protocol/timestamp.ts";
import { Page } from "./page.ts";
import { ENTRY_BYTES, ENTRY_WORDS } from "./page_index.ts";
import {
  DATA_TAIL_BYTES,
  dataStartAt,
  dataStartNear,
  RECORD_FRAME_BYTES,
  readTimestampAt,
  writeDataHead,
  writeDataTail,
  writeRecordHead,
} from "./record_text.ts";
import type { SlabAllocator } from "./slab.ts";
import { COPIED_HERE_BYTES_MAX, copyText } from "./text_copy.ts";
import { VARINT_BYTES_MAX, VarintReader, writeVarint } from "./varint.ts";

const ZSTD_LEVEL = 1;
const ZSTD_MAGIC_BYTES = 4;
/** What a chunk's bytes begin with where its records are in parts. */
const IN_PARTS = 0;
/** Longer distances of neighbours are not exact once they are doubled, for the sign. */
const DISTANCE_END = 2 ** 51;
const TWO_32 = 0x1_0000_0000;

/** What a chunk of long records made grow is given up at once. */
const SCRATCH_BYTES_KEPT = 1024 * 1024;

/** What stands beside a packed chunk. */
export type PackedBounds = {
  readonly count: number;
  readonly firstHigh: number;
  readonly firstLow: number;
  readonly lastHigh: number;
  readonly lastLow: number;
};

export function packPage(page: Page): Buffer {
  const plain = Buffer.allocUnsafe(plainBytesMax(page));
  return packPlain(plain.subarray(0, writePlain(page, plain, 0)));
}

/** Packs what `writePlain` wrote. */
export function packPlain(plain: Uint8Array): Buffer {
  return Bun.zstdCompressSync(plain, { level: ZSTD_LEVEL });
}

/** In parts each record has less: its step and its length are shorter than what stands around its data. */
export function plainBytesMax(page: Page): number {
  return page.count * VARINT_BYTES_MAX + page.textLength;
}

/** Writes what is to be packed at a place in `target`, and returns where it ends. */
export function writePlain(page: Page, target: Buffer, start: number): number {
  const stepsEnd = writeSteps(page, target, start);
  return stepsEnd < 0 ? writeWhole(page, target, start) : writeData(page, target, stepsEnd);
}

/** Returns where the steps end; -1 where records are too far apart. */
function writeSteps(page: Page, target: Buffer, start: number): number {
  target[start] = IN_PARTS;
  let at = start + 1;
  let high = page.tsHigh(0);
  let low = page.tsLow(0);
  let distance = 0;
  for (let index = 1; index < page.count; index++) {
    const nextHigh = page.tsHigh(index);
    const nextLow = page.tsLow(index);
    const next = (nextHigh - high) * TWO_32 + ((nextLow >>> 0) - (low >>> 0));
    if (next >= DISTANCE_END) return -1;
    const step = next - distance;
    at = writeVarint(target, at, step < 0 ? -2 * step - 1 : 2 * step);
    high = nextHigh;
    low = nextLow;
    distance = next;
  }
  return at;
}

function writeData(page: Page, target: Buffer, start: number): number {
  const { bytes, view } = page.slab;
  const first = page.recordStart(0);
  const dataAt = dataStartAt(bytes, first) - first;
  let at = start;
  for (let index = 0, from = first; index < page.count; index++) {
    const to = page.recordEnd(index);
    at = writeVarint(target, at, to - DATA_TAIL_BYTES - dataStartNear(bytes, from, dataAt));
    from = to;
  }
  const targetView = new DataView(target.buffer, target.byteOffset, target.byteLength);
  for (let index = 0, from = first; index < page.count; index++) {
    const to = page.recordEnd(index);
    const dataStart = dataStartNear(bytes, from, dataAt);
    const size = to - DATA_TAIL_BYTES - dataStart;
    copyData(bytes, view, dataStart, target, targetView, at, size);
    at += size;
    from = to;
  }
  return at;
}

function writeWhole(page: Page, target: Buffer, start: number): number {
  let at = start;
  for (let index = 0; index < page.count; index++) {
    at = writeVarint(target, at, page.recordEnd(index) - page.recordStart(index));
  }
  return at + page.slab.bytes.copy(target, at, page.recordStart(0), page.start + page.textEnd);
}

/** A text and its index on the way into a page, reused for every chunk. */
const scratch = { text: Buffer.alloc(0), view: new DataView(new ArrayBuffer(0)), entries: new Int32Array(0) };

/**
 * Makes a page of a packed chunk.
 *
 * @throws Error when `packed` is not such a chunk.
 */
export function unpackPage(slabs: SlabAllocator, packed: Uint8Array, bounds: PackedBounds): Page {
  const plain = Bun.zstdDecompressSync(packed);
  const { count } = bounds;
  if (scratch.entries.length < count * ENTRY_WORDS) scratch.entries = new Int32Array(count * ENTRY_WORDS);
  if (plain[0] !== IN_PARTS) {
    const text = plain.subarray(readWhole(plain, count));
    return pageOf(slabs, text, text.length, count);
  }
  const textLength = renderParts(plain, bounds);
  const page = pageOf(slabs, scratch.text, textLength, count);
  if (scratch.text.length > SCRATCH_BYTES_KEPT) useScratch(0);
  return page;
}

function pageOf(slabs: SlabAllocator, text: Buffer, textLength: number, count: number): Page {
  const page = new Page(slabs, textLength + count * ENTRY_BYTES);
  page.fill(text, textLength, scratch.entries, count);
  return page;
}

/** Fills the scratch with the records of a chunk in parts; returns how long their text is. */
function renderParts(plain: Buffer, bounds: PackedBounds): number {
  const { count } = bounds;
  const { entries } = scratch;
  const lengths = new VarintReader(plain, readSteps(plain, bounds));
  let dataBytes = 0;
  for (let index = 0; index < count; index++) {
    const size = lengths.next();
    entries[index * ENTRY_WORDS + 2] = size;
    dataBytes += size;
  }
  let from = lengths.at;
  if (from + dataBytes !== plain.length) {
    throw new RangeError(`the records' lengths add up to ${dataBytes}, not ${plain.length - from}`);
  }
  makeRoom(dataBytes + count * (RECORD_FRAME_BYTES + TIMESTAMP_BYTES_MAX));
  const plainView = new DataView(plain.buffer, plain.byteOffset, plain.byteLength);
  const { text, view } = scratch;
  let at = 0;
  for (let index = 0; index < count; index++) {
    const entry = index * ENTRY_WORDS;
    const size = entries[entry + 2] as number;
    at = writeRecordHead(view, at);
    at = writeTimestampDigits(text, at, entries[entry] as number, entries[entry + 1] as number);
    at = writeDataHead(view, at);
    copyData(plain, plainView, from, text, view, at, size);
    from += size;
    at = writeDataTail(view, at + size);
    entries[entry + 2] = at;
  }
  return at;
}

/** Fills the scratch's entries with timestamps; returns where the steps end. */
function readSteps(plain: Buffer, bounds: PackedBounds): number {
  const { entries } = scratch;
  const steps = new VarintReader(plain, 1);
  let high = bounds.firstHigh;
  let low = bounds.firstLow;
  let distance = 0;
  entries[0] = high;
  entries[1] = low;
  for (let index = 1; index < bounds.count; index++) {
    const step = steps.next();
    const half = Math.floor(step / 2);
    distance += half * 2 === step ? half : -half - 1;
    if (distance <= 0) throw new RangeError(`record ${index} is not later than the one before`);
    const sum = (low >>> 0) + distance;
    const carry = Math.floor(sum / TWO_32);
    high += carry;
    low = (sum - carry * TWO_32) | 0;
    entries[index * ENTRY_WORDS] = high;
    entries[index * ENTRY_WORDS + 1] = low;
  }
  if (high !== bounds.lastHigh || low !== bounds.lastLow) {
    throw new RangeError("the last record is not of the time that it should be");
  }
  return steps.at;
}

/** Fills the scratch's entries from a chunk that is packed whole; returns where its text begins. */
function readWhole(plain: Buffer, count: number): number {
  const { entries } = scratch;
  const lengths = new VarintReader(plain, 0);
  for (let index = 0; index < count; index++) entries[index * ENTRY_WORDS + 2] = lengths.next();
  const timestamp = { high: 0, low: 0 };
  let end = 0;
  for (let index = 0; index < count; index++) {
    const entry = index * ENTRY_WORDS;
    readTimestampAt(plain, lengths.at + end, timestamp);
    entries[entry] = timestamp.high;
    entries[entry + 1] = timestamp.low;
    end += entries[entry + 2] as number;
    entries[entry + 2] = end;
  }
  if (lengths.at + end !== plain.length)
    throw new RangeError(`the records' lengths add up to ${end}, not ${plain.length - lengths.at}`);
  return lengths.at;
}

/**
 * What the text of a packed chunk takes at most once it is unpacked, without doing so: the head of a zstd frame says how
 * large that is (RFC 8878, 3.1.1.1).
 */
export function unpackedBytesMax(packed: Buffer, bounds: PackedBounds): number {
  const { count, firstHigh, firstLow, lastHigh, lastLow } = bounds;
  // No time between two of them has more digits than both.
  const timestampBytes = Math.max(
    timestampToText({ high: firstHigh, low: firstLow }).length,
    timestampToText({ high: lastHigh, low: lastLow }).length,
  );
  return plainBytes(packed) + count * (RECORD_FRAME_BYTES + timestampBytes);
}

/** What zstd packed, by its head. */
export function plainBytes(packed: Buffer): number {
  const descriptor = packed.readUInt8(ZSTD_MAGIC_BYTES);
  const isSingle = (descriptor & 0x20) !== 0;
  // Chunks have neither a dictionary nor, as they are compressed in one piece, a size that is not said.
  const at = ZSTD_MAGIC_BYTES + (isSingle ? 1 : 2);
  const sizeKind = descriptor >> 6;
  if (sizeKind === 0) return packed.readUInt8(at);
  if (sizeKind === 1) return packed.readUInt16LE(at) + 256;
  return packed.readUInt32LE(at);
}

function makeRoom(bytes: number): void {
  if (scratch.text.length < bytes) useScratch(Math.max(bytes, 2 * scratch.text.length));
}

function useScratch(bytes: number): void {
  scratch.text = Buffer.allocUnsafeSlow(bytes);
  scratch.view = new DataView(scratch.text.buffer);
}

/** The same wherever it is faster: a call of the system's copy costs as much as a hundred bytes. */
function copyData(
  source: Buffer,
  view: DataView,
  from: number,
  target: Buffer,
  targetView: DataView,
  to: number,
  size: number,
): void {
  if (size > COPIED_HERE_BYTES_MAX) source.copy(target, to, from, from + size);
  else if (size >= 8) copyText(view, from, targetView, to, size);
  else for (let at = 0; at < size; at++) target[to + at] = source[from + at] as number;
}
