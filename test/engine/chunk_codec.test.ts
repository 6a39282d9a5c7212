/**
 * What the packed form of a chunk says of itself.
 */
import { expect, test } from "bun:test";
import { packPlain, unpackedBytes } from "../../src/engine/chunk_codec.ts";
import { SlabAllocator } from "../../src/engine/slab.ts";

test.each([0, 1, 100, 255, 256, 300, 5000, 65_791, 65_792, 70_000, 3_000_000])(
  "how large it is unpacked: %d bytes, alike or of all kinds",
  (size) => {
    for (const plain of [
      Buffer.alloc(size, "ab"),
      crypto.getRandomValues(Buffer.alloc(Math.min(size, 65_536))),
    ]) {
      const packed = packPlain(plain);
      const slab = new SlabAllocator().slabFor(packed.length);
      slab.take();
      slab.bytes.set(packed, 0);
      expect(unpackedBytes({ slab, start: 0, length: packed.length })).toBe(plain.length);
    }
  },
);
