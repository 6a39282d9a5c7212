/**
 * Lists of parts against the obvious version, which looks through all parts for the one whose bits a hash begins with.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { depthOf, halfOf, partOf, putHalves, putPart } from "../../src/engine/hash_parts.ts";

/** Bits as text: what the hashes of a part begin with. */
type Part = { readonly bits: string; readonly number: number };

const bitsOf = (hash: number): string => (hash >>> 0).toString(2).padStart(32, "0");
const hashes = fc.oneof(fc.integer(), fc.constantFrom(0, -1, -(2 ** 31), 2 ** 31 - 1, 1));

test("each hash is in the part that was put there, whatever was cut in two or replaced", () => {
  const change = fc.record({ hash: hashes, isCut: fc.boolean() });
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 60 }),
      fc.array(hashes, { minLength: 20 }),
      (changes, asked) => {
        let number = 0;
        let parts: Part[] = [{ bits: "", number }];
        let model: readonly Part[] = parts;
        for (const { hash, isCut } of changes) {
          const { bits } = partOf(parts, hash) as Part;
          const others = model.filter((part) => part.bits !== bits);
          if (isCut && bits.length < 12) {
            const halves: [Part, Part] = [
              { bits: `${bits}0`, number: ++number },
              { bits: `${bits}1`, number: ++number },
            ];
            parts = putHalves(parts, hash, bits.length, halves);
            model = [...others, ...halves];
            expect(partOf(parts, hash)).toBe(halves[halfOf(hash, bits.length)]);
          } else {
            const part = { bits, number: ++number };
            putPart(parts, hash, bits.length, part);
            model = [...others, part];
          }
          expect(depthOf(parts)).toBe(Math.max(...model.map((part) => part.bits.length)));
        }
        for (const hash of asked) {
          expect(partOf(parts, hash)).toBe(model.find(({ bits }) => bitsOf(hash).startsWith(bits)) as Part);
        }
      },
    ),
  );
  expect(partOf([], 5)).toBeUndefined();
});
