/**
 * Large batches in the order of documents and of time: the same records as in any other, and never more runs.
 */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { inDocumentOrder } from "../../src/engine/batch_order.ts";
import { InsertBatch } from "../../src/engine/insert_batch.ts";
import { hashBytes } from "../../src/engine/name.ts";
import { timestampFromBigInt } from "../../src/protocol/timestamp.ts";
import { type BatchRecord, recordsOf } from "./batch_records.ts";
import { documentName, timestamp } from "./commands.ts";
import type { InsertedRecord } from "./model.ts";

function batchOf(records: readonly InsertedRecord[]): InsertBatch {
  const batch = new InsertBatch();
  for (const record of records) batch.add(record);
  return batch;
}

const keyOf = ({ col, doc }: BatchRecord): string => JSON.stringify([col, doc]);

/** What is stored of a batch: of those at the same time the last. */
function stored(records: readonly BatchRecord[]): Map<string, BatchRecord> {
  return new Map(records.map((record) => [`${keyOf(record)}${record.ts}`, record]));
}

function runsOf(batch: InsertBatch): number[] {
  const ends: number[] = [];
  for (let end = 0; end < batch.count; ) {
    end = batch.runEnd(end);
    ends.push(end);
  }
  return ends;
}

// With its collection behind it, "d" is the same bytes as another.
const plainName = fc.constantFrom("device-1", "device-2", "é", "d", "da");
const records = (doc: fc.Arbitrary<string>) =>
  fc.array(
    fc.record({
      col: fc.constantFrom("a", "aa"),
      doc,
      ts: fc.oneof(fc.bigInt({ min: -3n, max: 12n }).map(timestampFromBigInt), timestamp),
      data: fc.constantFrom("", "1", "😀", "x".repeat(600)),
    }),
    { minLength: 1, maxLength: 120, size: "max" },
  );

test("a run is as long as one document's records come in the order of time", () => {
  fc.assert(
    fc.property(records(fc.oneof(plainName, documentName)), (all) => {
      const batch = batchOf(all);
      const found = recordsOf(batch);
      const expected = found.flatMap((record, index) => {
        const next = found[index + 1];
        const goesOn = next !== undefined && keyOf(next) === keyOf(record) && next.ts > record.ts;
        return goesOn ? [] : [index + 1];
      });
      expect(runsOf(batch)).toEqual(expected);
    }),
    { numRuns: 2000 },
  );
});

describe("records in the order of their documents", () => {
  test("are those that would be stored in any other, and know where they stood", () => {
    let ordered = 0;
    fc.assert(
      fc.property(records(plainName), (all) => {
        const before = recordsOf(batchOf(all));
        const batch = inDocumentOrder(batchOf(all));
        const after = recordsOf(batch);
        expect(stored(after)).toEqual(stored(before));
        expect(after.length).toBe(before.length);
        if (batch.places === undefined) {
          expect(after).toEqual(before);
          return;
        }
        ordered++;
        expect([...batch.places].map((place) => before[place] as BatchRecord)).toEqual(after);
        // Each document once; of the same time each stands in a run of its own.
        const documents = after.map(keyOf).filter((key, index, keys) => key !== keys[index - 1]);
        expect(new Set(documents).size).toBe(documents.length);
        const repeated = after.length - stored(after).size;
        expect(runsOf(batch).length).toBe(documents.length + repeated);
      }),
      { numRuns: 2000 },
    );
    expect(ordered).toBeGreaterThan(100);
  });

  const mixed = (count: number, nameOf: (index: number) => string): InsertedRecord[] =>
    Array.from({ length: count }, (_, index) => ({
      col: "c",
      doc: nameOf(index),
      ts: { high: 0, low: index },
      data: String(index),
    }));

  test.each<[string, InsertedRecord[]]>([
    ["there are a few of each", mixed(60, (index) => `d${index % 20}`)],
    ["they are in runs already", mixed(60, (index) => `d${Math.floor(index / 4) % 5}`)],
    ["a name has escapes, of which there are several forms", mixed(60, (index) => `"${index % 3}`)],
  ])("stay as they are where %s", (_, all) => {
    const batch = batchOf(all);
    expect(inDocumentOrder(batch)).toBe(batch);
    expect(batch.places).toBeUndefined();
  });

  test("stay as they are where names collide", () => {
    const names = collidingNames(36);
    const batch = batchOf(mixed(2000, (index) => names[index % 36] as string));
    expect(inDocumentOrder(batch)).toBe(batch);
    const few = batchOf(mixed(2000, (index) => names[index % 30] as string));
    expect(inDocumentOrder(few).places).toBeDefined();
  });
});

/** Documents of the collection `c` that have the same place in a table for up to 2,047 records. */
function collidingNames(count: number): string[] {
  const names: string[] = [];
  const hashOf = (name: string): number => hashBytes(Buffer.from(name), 0, name.length);
  for (let number = 0; names.length < count; number++) {
    const place = (hashOf(`d${number}`) ^ Math.imul(hashOf("c"), 31)) & 4095;
    if (place === 7) names.push(`d${number}`);
  }
  return names;
}
