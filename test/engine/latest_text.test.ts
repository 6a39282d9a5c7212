/**
 * Polls of all documents, which are answered with text that is kept: against the obvious version, while everything that
 * may change it does.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { InsertBatch } from "../../src/engine/insert_batch.ts";
import { BLOCK_DOCUMENTS } from "../../src/engine/latest_block.ts";
import { MemoryDatabase } from "../../src/engine/memory_database.ts";
import type { Request } from "../../src/protocol/messages.ts";
import { TIMESTAMP_MAX, TIMESTAMP_ZERO, timestampFromBigInt } from "../../src/protocol/timestamp.ts";
import { data, type ModelCommand, timestamp } from "./commands.ts";
import { AT_ONCE, compareWhole, IN_PIECES, runCommand, SMALL_CHUNKS, textLater, textOf } from "./harness.ts";
import { type InsertedRecord, ModelDatabase } from "./model.ts";

/** More than three blocks of documents, the last one not full. */
const DOCUMENTS = 3 * BLOCK_DOCUMENTS + 40;
const COL = "fleet";

const poll = (change: Partial<Request<"qry">> = {}): Request<"qry"> => ({
  ...{ col: COL, doc: "", ts: TIMESTAMP_MAX, from: TIMESTAMP_ZERO, where: "", filter: "" },
  ...change,
});
const nameOf = (index: number): string => `device ${index}`;
const fleet: InsertedRecord[] = Array.from({ length: DOCUMENTS }, (_, index) => ({
  col: COL,
  doc: nameOf(index),
  ts: timestampFromBigInt(BigInt(index % 50)),
  data: "x".repeat(index % 7),
}));

/** Few that are written to all the time, and any other, also one that is not there yet. */
const doc = fc.oneof(
  fc.oneof(fc.nat(3), fc.nat(DOCUMENTS + 10)).map(nameOf),
  fc.nat(DOCUMENTS).map((index) => `${nameOf(index)} more`),
);
const record = fc.record({ col: fc.constant(COL), doc, ts: timestamp, data });
const runOf = (doc: string, first: number, count: number): InsertedRecord[] =>
  Array.from({ length: count }, (_, index) => ({
    ...{ col: COL, doc, data: `run ${index}` },
    ts: timestampFromBigInt(BigInt(first + index)),
  }));
const step: fc.Arbitrary<ModelCommand> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.array(record, { maxLength: 5 }).map((request): ModelCommand => ({ type: "ins", request })),
  },
  {
    weight: 3,
    arbitrary: fc
      .record({ doc, first: fc.integer({ min: -20, max: 60 }), count: fc.integer({ min: 4, max: 9 }) })
      .map(({ doc, first, count }): ModelCommand => ({ type: "ins", request: runOf(doc, first, count) })),
  },
  { weight: 8, arbitrary: fc.constant<ModelCommand>({ type: "qry", request: poll() }) },
  {
    weight: 5,
    arbitrary: fc
      .record({ ts: timestamp, from: timestamp })
      .map((times): ModelCommand => ({ type: "qry", request: poll(times) })),
  },
  {
    weight: 1,
    // What looks like a pattern may be a bad one.
    arbitrary: data
      .filter((text) => !text.startsWith("/"))
      .map((where): ModelCommand => ({ type: "qry", request: poll({ where }) })),
  },
  {
    weight: 2,
    arbitrary: fc
      .record({ doc, ts: timestamp })
      .map((one): ModelCommand => ({ type: "dmrec", request: [{ col: COL, ...one }] })),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(doc, timestamp).map(
      ([name, fromTs]): ModelCommand => ({
        type: "drrng",
        request: { col: COL, doc: name, fromTs, toTs: TIMESTAMP_MAX },
      }),
    ),
  },
  {
    weight: 1,
    arbitrary: doc.map((name): ModelCommand => ({ type: "ddoc", request: { col: COL, doc: name } })),
  },
  { weight: 1, arbitrary: fc.constantFrom<ModelCommand>({ type: "rest" }, { type: "shortage" }) },
);

/** All that is kept, one block, nothing. */
for (const latestTextBytesMax of [Number.POSITIVE_INFINITY, 1, 0]) {
  test(`polls between random writes are those of a sorted map, with ${latestTextBytesMax} bytes kept`, () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 10, maxLength: 40 }), (steps) => {
        // A run has to fit in a chunk.
        const chunks = { ...SMALL_CHUNKS, chunkRecordsMax: 12 };
        const database = new MemoryDatabase({ chunks, longWork: AT_ONCE, latestTextBytesMax });
        const model = new ModelDatabase();
        const begin: ModelCommand[] = [
          { type: "ins", request: fleet },
          { type: "qry", request: poll() },
        ];
        for (const each of [...begin, ...steps]) runCommand(each, database, model);
        compareWhole(database, model);
      }),
      { numRuns: 120 },
    );
  }, 120_000);
}

const batch = new InsertBatch();

function insert(database: MemoryDatabase, records: readonly InsertedRecord[]): void {
  batch.clear();
  for (const each of records) batch.add(each);
  database.insert(batch);
}

const change = (index: number, data: string): InsertedRecord => ({
  ...{ col: COL, doc: nameOf(index), data },
  ts: timestampFromBigInt(100n),
});

test("polls that take turns with each other and with writes hold what was there when their part was read", async () => {
  const database = new MemoryDatabase({ chunks: SMALL_CHUNKS, longWork: IN_PIECES });
  insert(database, fleet);
  await textLater(database.latest(poll()));
  const whole = await textLater(database.latest(poll()));
  expect(Object.keys(JSON.parse(whole))).toEqual(fleet.map(({ doc }) => doc).sort());
  const [first, second] = [database.latest(poll()), database.latest(poll())];
  // Each has done its first block; both see what is written ahead of it.
  insert(database, [change(0, "behind"), change(99, "ahead")]);
  database.deleteDocument({ col: COL, doc: nameOf(98) });
  for (const answer of [first, second]) {
    const records = JSON.parse(await textLater(answer));
    expect(records[nameOf(0)].data).toBe("");
    expect(records[nameOf(99)].data).toBe("ahead");
    expect(Object.keys(records)).toHaveLength(DOCUMENTS - 1);
  }
  const last = JSON.parse(await textLater(database.latest(poll())));
  expect(last[nameOf(0)].data).toBe("behind");
});

test("the text is kept from the second poll on, counted, and given up when polls stop or the collection ends", () => {
  const database = new MemoryDatabase({ longWork: AT_ONCE, chunks: { restSeconds: 1000 } });
  insert(database, fleet);
  const usedBytes = (): number => database.memory().usedBytes;
  const before = usedBytes();
  const textBytes = textOf(database.latest(poll())).length;
  expect(usedBytes()).toBe(before);
  textOf(database.latest(poll()));
  expect(usedBytes()).toBeGreaterThanOrEqual(before + textBytes);
  database.tidy(60);
  expect(usedBytes()).toBeGreaterThanOrEqual(before + textBytes);
  database.tidy(61);
  expect(usedBytes()).toBe(before);
  textOf(database.latest(poll()));
  textOf(database.latest(poll()));
  expect(usedBytes()).toBeGreaterThanOrEqual(before + textBytes);
  database.deleteCollection({ col: COL });
  expect(usedBytes()).toBe(0);
});
