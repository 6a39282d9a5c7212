import { expect, test } from "bun:test";
import { copyPlain, plainEnd } from "../../src/server/byte_word.ts";

const isSpecial = (byte: number): boolean => byte < 0x20 || byte === 0x22 || byte === 0x5c;

/** Bytes next to those that count, and some others. */
const BYTES = [
  0x00, 0x01, 0x1f, 0x20, 0x21, 0x22, 0x23, 0x5b, 0x5c, 0x5d, 0x61, 0x7f, 0x80, 0xa2, 0xdc, 0xff,
];

test("a string's plain part ends at its first special byte, whatever stands around it", () => {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  const copy = new DataView(new ArrayBuffer(16));
  let ends = 0;
  for (let combination = 0; combination < BYTES.length ** 4; combination++) {
    for (let at = 0; at < 4; at++) {
      bytes[at] = BYTES[Math.floor(combination / BYTES.length ** at) % BYTES.length] as number;
    }
    const expected = bytes.findIndex(isSpecial);
    if (plainEnd(view, 0) !== expected) throw new Error(`${bytes} ends at ${plainEnd(view, 0)}`);
    const isCopied = copyPlain(view, 0, copy, 3) === expected;
    for (let at = 0; at < expected; at++) {
      if (!isCopied || copy.getUint8(3 + at) !== bytes[at]) throw new Error(`${bytes} is not copied`);
    }
    if (expected < 4) ends++;
  }
  expect(ends).toBeGreaterThan(BYTES.length ** 3);
});

test("a byte is special or plain at any place of a word", () => {
  for (let byte = 0; byte < 256; byte++) {
    for (let at = 0; at < 12; at++) {
      const bytes = new Uint8Array(16).fill(0x61);
      bytes[at] = byte;
      bytes[12] = 0x22;
      expect(plainEnd(new DataView(bytes.buffer), 0)).toBe(isSpecial(byte) ? at : 12);
    }
  }
});
