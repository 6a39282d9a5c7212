/**
 * What the packed form of a chunk says of itself.
 */
import { expect, test } from "bun:test";
import { packPlain, unpackedBytes } from "../../src/engine/chunk_codec.ts";

test.each([0, 1, 100, 255, 256, 300, 5000, 65_791, 65_792, 70_000, 3_000_000])(
  "how large it is unpacked: %d bytes, alike or of all kinds",
  (size) => {
    for (const plain of [
      Buffer.alloc(size, "ab"),
      crypto.getRandomValues(Buffer.alloc(Math.min(size, 65_536))),
    ]) {
      const packed = packPlain(plain);
      expect(unpackedBytes(packed)).toBe(plain.length);
    }
  },
);
