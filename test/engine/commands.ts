/**
 * Random commands for model tests: few names and times, so that they meet, and every kind of text that JSON carries.
 */
import fc from "fast-check";
import type { Command } from "../../src/engine/journal_entry.ts";
import type { Request } from "../../src/protocol/messages.ts";
import { type Timestamp, timestampFromBigInt } from "../../src/protocol/timestamp.ts";
import type { InsertedRecord } from "./model.ts";

export type ModelCommand =
  | { type: "ins"; request: InsertedRecord[] }
  | { type: "qry"; request: Request<"qry"> }
  | { type: "qdoc"; request: Request<"qdoc"> }
  | { type: "rest" }
  | { type: "shortage" }
  | Command;

export const collectionName = fc.constantFrom("a", "b", 'ü"\\', "\ud800", "../x");
export const documentName = fc.constantFrom(
  "d1",
  "d2",
  "d3",
  "device-ü",
  "tab\tnul\u0000",
  "😀",
  "half\udc00",
  "__proto__",
);
const key = fc.constantFrom("k1", "k2", "__proto__", "\ud83d", "");

export const timestamp: fc.Arbitrary<Timestamp> = fc
  .oneof(
    { weight: 6, arbitrary: fc.bigInt({ min: 0n, max: 60n }) },
    { weight: 2, arbitrary: fc.bigInt({ min: -5n, max: 5n }) },
    { weight: 1, arbitrary: fc.bigInt({ min: 2n ** 53n, max: 2n ** 53n + 6n }) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(-(2n ** 63n), 2n ** 63n - 1n, -(2n ** 32n), 2n ** 32n, 2n ** 31n),
    },
  )
  .map(timestampFromBigInt);

export const data = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('{"t":1}', '{"state":"landed"}', '{"state":"flying","n":12}', "") },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 12 }) },
  {
    weight: 1,
    arbitrary: fc.string({
      unit: fc.constantFrom(
        "\\",
        '"',
        "n",
        "u",
        "0",
        "1",
        "\n",
        "\u0001",
        "\ud83d",
        "\ude00",
        "😀",
        "é",
        "/",
      ),
      maxLength: 12,
    }),
  },
  { weight: 1, arbitrary: fc.nat({ max: 300 }).map((length) => "x".repeat(length)) },
);

const textPredicate = fc.oneof(
  { weight: 5, arbitrary: fc.constant("") },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      "landed",
      '"',
      "\\",
      "n",
      "u00",
      "1",
      "ts",
      "data",
      "}",
      '"}',
      "\n",
      "é",
      "\ud83d",
      "😀",
      "0001",
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom("/state.*(landed|x)/", "/LANDED/i", "/^x+$/", "/[", "/a/z", "/\\u0001|\\//s"),
  },
);

const record = fc.record({ col: collectionName, doc: documentName, ts: timestamp, data });
const range = fc.tuple(timestamp, timestamp).map(([a, b]) => {
  const isOrdered = a.high === b.high ? a.low >>> 0 <= b.low >>> 0 : a.high < b.high;
  return isOrdered ? { from: a, to: b } : { from: b, to: a };
});

/** A run of records of one document, rising or falling in time: what fills and splits chunks. */
const run = fc
  .record({
    col: collectionName,
    doc: documentName,
    first: fc.integer({ min: 0, max: 40 }),
    size: fc.integer({ min: 1, max: 20 }),
    step: fc.constantFrom(1, -1, 3),
    data,
  })
  .map(({ col, doc, first, size, step, data }) =>
    Array.from({ length: size }, (_, index) => ({
      col,
      doc,
      ts: timestampFromBigInt(BigInt(first + index * step)),
      data: `${data}${index}`,
    })),
  );

export const command: fc.Arbitrary<ModelCommand> = fc.oneof(
  { weight: 6, arbitrary: run.map((request) => ({ type: "ins" as const, request })) },
  {
    weight: 3,
    arbitrary: fc.array(record, { maxLength: 6 }).map((request) => ({ type: "ins" as const, request })),
  },
  {
    weight: 3,
    arbitrary: fc
      .record({
        col: collectionName,
        ts: timestamp,
        doc: fc.oneof(fc.constant(""), documentName, fc.constantFrom("/d[12]/", "/DEVICE/i", "/")),
        from: timestamp,
        where: textPredicate,
        filter: textPredicate,
      })
      .map((request) => ({ type: "qry" as const, request })),
  },
  {
    weight: 5,
    arbitrary: fc
      .record({
        col: collectionName,
        doc: documentName,
        range,
        limit: fc.integer({ min: -1, max: 12 }),
        reverse: fc.boolean(),
        where: textPredicate,
        filter: textPredicate,
      })
      .map(({ range, ...rest }) => ({ type: "qdoc" as const, request: { ...rest, ...range } })),
  },
  {
    weight: 2,
    arbitrary: fc
      .record({ doc: documentName, col: fc.oneof(fc.constant(""), collectionName) })
      .map((request) => ({ type: "ddoc" as const, request })),
  },
  {
    weight: 1,
    arbitrary: fc.record({ col: collectionName }).map((request) => ({ type: "dcol" as const, request })),
  },
  {
    weight: 2,
    arbitrary: fc
      .array(fc.record({ col: collectionName, doc: documentName, ts: timestamp }), { maxLength: 8 })
      .map((request) => ({ type: "dmrec" as const, request })),
  },
  {
    weight: 2,
    arbitrary: fc.record({ col: collectionName, doc: documentName, range }).map(({ col, doc, range }) => ({
      type: "drrng" as const,
      request: { col, doc, fromTs: range.from, toTs: range.to },
    })),
  },
  {
    weight: 2,
    arbitrary: fc
      .record({ col: collectionName, key, value: data })
      .map((request) => ({ type: "sval" as const, request })),
  },
  {
    weight: 1,
    arbitrary: fc.record({ col: collectionName, key }).map((request) => ({ type: "rval" as const, request })),
  },
  { weight: 2, arbitrary: fc.constantFrom({ type: "rest" as const }, { type: "shortage" as const }) },
);
