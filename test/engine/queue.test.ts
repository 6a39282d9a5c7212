/**
 * First in, first out, also over many of the arrays that a queue is made of.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { Queue } from "../../src/engine/queue.ts";

test("a queue is what an array with push and shift is", () => {
  const steps = fc.array(fc.tuple(fc.nat(3000), fc.nat(3000)), { maxLength: 12 });
  fc.assert(
    fc.property(steps, (rounds) => {
      const queue = new Queue<number>();
      const model: number[] = [];
      let next = 0;
      for (const [pushed, shifted] of rounds) {
        for (let count = 0; count < pushed; count++) {
          queue.push(next);
          model.push(next++);
        }
        const taken = Array.from({ length: shifted }, () => queue.shift());
        const expected: (number | undefined)[] = model.splice(0, shifted);
        expect(taken).toEqual([...expected, ...new Array(shifted - expected.length).fill(undefined)]);
        expect(queue.length).toBe(model.length);
      }
    }),
    { numRuns: 50 },
  );
});
