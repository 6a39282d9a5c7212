/**
 * JSON at the level of bytes: white space and escapes. What the scanner of frames is made of.
 */
import { writeUtf8 } from "../engine/utf8.ts";
import { BACKSLASH, COLON, ESCAPES, LETTER_A, LETTER_U, QUOTE, SPACE, ZERO } from "../protocol/ascii.ts";
import { copyPlain } from "./byte_word.ts";

const BYTES_AT_FIRST = 256 * 1024;
/** A buffer that a large frame made grow is given up when so many frames have not needed it. */
const FRAMES_KEPT = 1000;
/** So much room is left behind what is used: for the zero, and for reads of more than a byte. */
export const SPARE_BYTES = 16;

/** A UTF-16 code unit takes this many bytes at most. */
const UTF8_BYTES_MAX = 3;

/** Bytes to scan, as a Buffer for its methods and as a plain array for the loops. A zero stands behind what is used. */
export class Scratch {
  buffer: Buffer;
  /** The text that the bytes are of, where each character is one byte; a part of it is had without copying. */
  #text: string | undefined;
  /** How many bytes `unescapeString` has put there. */
  used = 0;
  bytes: Uint8Array;
  /** The same memory, to read four bytes at a time: SPARE_BYTES may be read behind what is used. */
  view: DataView;
  /** What is used as long as there is room in it. */
  readonly #first: Buffer;
  /** How many frames in a row have not needed what is there. */
  #spareFrames = 0;

  constructor(first: Buffer = Buffer.alloc(BYTES_AT_FIRST)) {
    const { buffer, byteOffset, length } = first;
    this.#first = first;
    this.buffer = first;
    this.bytes = new Uint8Array(buffer, byteOffset, length);
    this.view = new DataView(buffer, byteOffset, length);
  }

  /** Takes a text's bytes; returns how many they are. */
  fill(text: string): number {
    // Counting the bytes is left out where even the longest encoding fits.
    if (text.length * UTF8_BYTES_MAX + SPARE_BYTES > this.buffer.length)
      this.makeRoom(Buffer.byteLength(text));
    const size = writeUtf8(this.buffer, text, 0);
    this.bytes[size] = 0;
    this.#text = size === text.length ? text : undefined;
    return size;
  }

  /** Whether each character of the text that was filled in is one byte. */
  get isAscii(): boolean {
    return this.#text !== undefined;
  }

  /** The text of `bytes[start, end)`, which may keep all of the text that was filled in. */
  part(start: number, end: number): string {
    return this.#text === undefined ? this.buffer.toString("utf8", start, end) : this.#text.slice(start, end);
  }

  makeRoom(size: number): void {
    if (size + SPARE_BYTES <= this.buffer.length) return;
    this.#use(Buffer.alloc(Math.max(size + SPARE_BYTES, this.buffer.length * 2)));
  }

  get isGrown(): boolean {
    return this.buffer !== this.#first;
  }

  /**
   * Gives up what is no longer needed, at the end of a frame of so many bytes.
   *
   * Not at once: memory that is new to the process costs more than the scan that runs over it.
   */
  shrink(size: number): void {
    if (!this.isGrown) return;
    if (size + SPARE_BYTES > this.#first.length) this.#spareFrames = 0;
    else if (++this.#spareFrames >= FRAMES_KEPT) this.#use(this.#first);
  }

  #use(memory: Buffer): void {
    const { buffer, byteOffset, length } = memory;
    this.#spareFrames = 0;
    this.buffer = memory;
    this.bytes = new Uint8Array(buffer, byteOffset, length);
    this.view = new DataView(buffer, byteOffset, length);
  }
}

/**
 * Copies the inside of the JSON string that begins at a place, without its escapes.
 *
 * @returns where the string ends in the source, behind its quote; -1 for one with a control character, with half a
 * surrogate pair, or without an end.
 */
export function unescapeString({ bytes, view }: Scratch, start: number, into: Scratch): number {
  const { bytes: target, view: targetView } = into;
  let size = 0;
  let at = start;
  for (;;) {
    const plain = copyPlain(view, at, targetView, size);
    at += plain;
    size += plain;
    const byte = bytes[at++];
    if (byte === QUOTE) break;
    if (byte !== BACKSLASH) return -1;
    const escaped = ESCAPES[bytes[at++] as number] as number;
    if (escaped !== 0) target[size++] = escaped;
    else {
      const codePoint = readCodePoint(bytes, at - 1);
      if (codePoint < 0) return -1;
      at += codePointBytes(codePoint) - 1;
      size = writeCodePoint(target, size, codePoint);
    }
  }
  // No loop gets past a zero, so none reads what an older frame left behind.
  target[size] = 0;
  into.used = size;
  return at;
}

export function skipSpace(bytes: Uint8Array, start: number): number {
  let at = start;
  for (; ; at++) {
    const byte = bytes[at] as number;
    if (byte > SPACE || (byte !== SPACE && byte !== 0x0a && byte !== 0x0d && byte !== 0x09)) return at;
  }
}

/** Where the value begins behind a key that ends at a place; without a colon 0, where no value of a frame begins. */
export function valueAfter(bytes: Uint8Array, keyEnd: number): number {
  const at = bytes[keyEnd] === COLON ? keyEnd : skipSpace(bytes, keyEnd);
  if (bytes[at] !== COLON) return 0;
  return bytes[at + 1] === QUOTE ? at + 1 : skipSpace(bytes, at + 1);
}

/** Four hexadecimal digits, or -1. */
export function readHex(bytes: Uint8Array, start: number): number {
  let value = 0;
  for (let at = start; at < start + 4; at++) {
    const byte = bytes[at] as number;
    const letter = byte | 0x20;
    const isDigit = byte >= ZERO && byte <= 0x39;
    if (!isDigit && !(letter >= LETTER_A && letter <= 0x66)) return -1;
    value = value * 16 + (isDigit ? byte - ZERO : letter - LETTER_A + 10);
  }
  return value;
}

/** The code point of the escape `uXXXX` at a place, or of a pair of them; -1 for half a pair and for anything else. */
function readCodePoint(bytes: Uint8Array, at: number): number {
  if (bytes[at] !== LETTER_U) return -1;
  const unit = readHex(bytes, at + 1);
  if (unit < 0xd800 || unit > 0xdfff) return unit;
  if (unit > 0xdbff || bytes[at + 5] !== BACKSLASH || bytes[at + 6] !== LETTER_U) return -1;
  const second = readHex(bytes, at + 7);
  return second >= 0xdc00 && second <= 0xdfff ? 0x10000 + ((unit & 0x3ff) << 10) + (second & 0x3ff) : -1;
}

/** How many bytes that is, from the first `u` on. */
function codePointBytes(codePoint: number): number {
  return codePoint > 0xffff ? 11 : 5;
}

/** Writes it in UTF-8; returns where it ends. */
function writeCodePoint(target: Uint8Array, start: number, codePoint: number): number {
  let at = start;
  if (codePoint < 0x80) target[at++] = codePoint;
  else {
    if (codePoint < 0x800) target[at++] = 0xc0 | (codePoint >> 6);
    else {
      if (codePoint < 0x10000) target[at++] = 0xe0 | (codePoint >> 12);
      else {
        target[at++] = 0xf0 | (codePoint >> 18);
        target[at++] = 0x80 | ((codePoint >> 12) & 0x3f);
      }
      target[at++] = 0x80 | ((codePoint >> 6) & 0x3f);
    }
    target[at++] = 0x80 | (codePoint & 0x3f);
  }
  return at;
}
