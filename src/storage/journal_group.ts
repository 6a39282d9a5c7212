/**
 * How a group of the journal lies in its file.
 *
 *     segment = { group | mark }                                                   integers are little-endian
 *     group   = checksum:u32 salt:u32 size:u32 number:u64 synced:u64 body[size]    body: see engine/journal_entry.ts
 *     mark    = the head of a group with size 0                                    number is the group's before it
 *
 * The checksum is CRC-32 over all that follows it. The salt belongs to the segment: what an older use of the file has
 * left behind the end is told by it. `synced` is the newest group that was known to be on the disk when this one was
 * written; so what is missing up to there is damage, and what is missing after it, a write that was cut off. A mark
 * says the same when no group follows.
 */
import { GROUP_HEAD_BYTES } from "./storage.ts";

const SALT = 4;
const SIZE = 8;
const NUMBER = 12;
const SYNCED = 20;
const TWO_32 = 0x1_0000_0000;

export type GroupHead = { readonly size: number; readonly number: number; readonly synced: number };
export type GroupStamp = { readonly salt: number; readonly number: number; readonly synced: number };

/** Fills in the head before a body that lies in `bytes` from GROUP_HEAD_BYTES up to `length`. */
export function sealGroup(bytes: Buffer, length: number, { salt, number, synced }: GroupStamp): void {
  bytes.writeUInt32LE(salt, SALT);
  bytes.writeUInt32LE(length - GROUP_HEAD_BYTES, SIZE);
  writeNumber(bytes, number, NUMBER);
  writeNumber(bytes, synced, SYNCED);
  bytes.writeUInt32LE(Bun.hash.crc32(bytes.subarray(SALT, length)), 0);
}

export function sealMark(stamp: GroupStamp): Buffer {
  const mark = Buffer.alloc(GROUP_HEAD_BYTES);
  sealGroup(mark, GROUP_HEAD_BYTES, stamp);
  return mark;
}

/** What the head at a place says, if it is one of this segment; the rest is to be checked. */
export function readHead(bytes: Buffer, at: number, salt: number): GroupHead | undefined {
  if (at + GROUP_HEAD_BYTES > bytes.length || bytes.readUInt32LE(at + SALT) !== salt) return undefined;
  return {
    size: bytes.readUInt32LE(at + SIZE),
    number: readNumber(bytes, at + NUMBER),
    synced: readNumber(bytes, at + SYNCED),
  };
}

/** Whether a group that lies in `bytes` with its head and its whole body is as it was written. */
export function isWhole(bytes: Buffer, at: number, size: number): boolean {
  const end = at + GROUP_HEAD_BYTES + size;
  return end <= bytes.length && Bun.hash.crc32(bytes.subarray(at + SALT, end)) === bytes.readUInt32LE(at);
}

/** The places where a head of this segment may be, from a place on. */
export function* placesOfHeads(bytes: Buffer, from: number, salt: number): Generator<number> {
  const pattern = Buffer.alloc(4);
  pattern.writeUInt32LE(salt);
  for (let at = from + SALT; ; at++) {
    at = bytes.indexOf(pattern, at);
    if (at < 0) return;
    yield at - SALT;
  }
}

function writeNumber(bytes: Buffer, value: number, at: number): void {
  bytes.writeUInt32LE(value % TWO_32, at);
  bytes.writeUInt32LE(Math.floor(value / TWO_32), at + 4);
}

function readNumber(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * TWO_32;
}
