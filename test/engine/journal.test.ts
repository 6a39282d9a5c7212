/**
 * Group commit over a storage that refuses.
 */
import { expect, test } from "bun:test";
import { Journal } from "../../src/engine/journal.ts";
import { RawText } from "../../src/engine/raw_text.ts";

test("at the end, a last group that the disk does not take is an error, and nobody waits for it", async () => {
  const journal = new Journal({
    lastGroup: 0,
    durableGroup: 0,
    beginSegment() {},
    commitGroup: () => Promise.reject(new Error("the disk is full")),
  });
  const written = Promise.resolve(journal.value(RawText.of("c"), RawText.of("k"), RawText.of("v"))).catch(
    (error: Error) => error.message,
  );
  // Not `expect(…).rejects`, which would wait for ever, past the test's own limit, if this does not end.
  expect(await journal.drain().catch((error: Error) => error.message)).toBe("the disk is full");
  expect(await written).toBe("The disk does not take writes: the disk is full");
});
