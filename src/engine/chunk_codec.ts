/**
 * The packed form of a chunk, in memory and on disk:
 *
 *     packed  = zstd( lengths text )
 *     lengths = a LEB128 varint for each record: the bytes of its text
 *     text    = { ',{"ts":' integer ',"data":"' characters '"}' }     in the order of time
 *
 * How many records there are stands beside it. Timestamps are not stored a second time: they are read from the text.
 * Level 1 is as small as level 3 on sensor data (5.7 against 5.6 bytes a record) and the fastest.
 */
import { Page } from "./page.ts";
import { ENTRY_BYTES } from "./page_index.ts";
import type { SlabAllocator } from "./slab.ts";

const ZSTD_LEVEL = 1;
const ZSTD_MAGIC_BYTES = 4;
const VARINT_BYTES_MAX = 5;

export function packPage(page: Page): Buffer {
  const plain = Buffer.allocUnsafe(plainBytesMax(page));
  return packPlain(plain.subarray(0, writePlain(page, plain, 0)));
}

/** Packs what `writePlain` wrote. */
export function packPlain(plain: Uint8Array): Buffer {
  return Bun.zstdCompressSync(plain, { level: ZSTD_LEVEL });
}

export function plainBytesMax(page: Page): number {
  return page.count * VARINT_BYTES_MAX + page.textLength;
}

/** Writes what is to be packed at a place in `target`, and returns where it ends. */
export function writePlain(page: Page, target: Buffer, start: number): number {
  let at = start;
  for (let index = 0; index < page.count; index++) {
    at = writeVarint(target, at, page.recordEnd(index) - page.recordStart(index));
  }
  return at + page.slab.bytes.copy(target, at, page.recordStart(0), page.start + page.textEnd);
}

/**
 * Makes a page of a packed chunk of `count` records.
 *
 * @throws Error when `packed` is not such a chunk.
 */
export function unpackPage(slabs: SlabAllocator, packed: Uint8Array, count: number): Page {
  const plain = Bun.zstdDecompressSync(packed);
  const lengths = new Int32Array(count);
  let at = 0;
  for (let index = 0; index < count; index++) {
    let value = 0;
    let byte = 0;
    let shift = 0;
    do {
      byte = plain[at++] ?? 0;
      value |= (byte & 0x7f) << shift;
      shift += 7;
    } while (byte >= 0x80 && shift < 35);
    lengths[index] = value;
  }
  const text = plain.subarray(at);
  const page = new Page(slabs, text.length + count * ENTRY_BYTES);
  try {
    page.fill(text, lengths);
  } catch (error) {
    page.free(slabs);
    throw error;
  }
  return page;
}

/**
 * What a packed chunk is when it is unpacked, lengths and text, without doing so: the head of a zstd frame says it
 * (RFC 8878, 3.1.1.1).
 */
export function unpackedBytes(packed: Buffer): number {
  const descriptor = packed.readUInt8(ZSTD_MAGIC_BYTES);
  const isSingle = (descriptor & 0x20) !== 0;
  // Chunks have neither a dictionary nor, as they are compressed in one piece, a size that is not said.
  const at = ZSTD_MAGIC_BYTES + (isSingle ? 1 : 2);
  const sizeKind = descriptor >> 6;
  if (sizeKind === 0) return packed.readUInt8(at);
  if (sizeKind === 1) return packed.readUInt16LE(at) + 256;
  return packed.readUInt32LE(at);
}

function writeVarint(target: Buffer, at: number, value: number): number {
  let rest = value;
  let next = at;
  while (rest >= 0x80) {
    target[next++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  target[next++] = rest;
  return next;
}
