/**
 * The packed form of a chunk: what comes back from it, and what it says of itself.
 */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  type PackedBounds,
  packPage,
  packPlain,
  plainBytes,
  unpackedBytesMax,
  unpackPage,
} from "../../src/engine/chunk_codec.ts";
import { Page } from "../../src/engine/page.ts";
import { noRecord, takeSource } from "../../src/engine/rendered.ts";
import { SlabAllocator } from "../../src/engine/slab.ts";
import { timestampFromBigInt, timestampToBigInt } from "../../src/protocol/timestamp.ts";

type Row = { readonly ts: bigint; readonly data: string };

const slabs = new SlabAllocator();
const textOf = ({ ts, data }: Row): string => `,{"ts":${ts},"data":${JSON.stringify(data)}}`;

function pageOf(rows: readonly Row[]): Page {
  const page = new Page(slabs, 64);
  const record = noRecord();
  for (const row of rows) {
    const source = Buffer.from(textOf(row));
    takeSource(record, source);
    page.append(slabs, Object.assign(record, { from: 0, to: source.length, ...timestampFromBigInt(row.ts) }));
  }
  return page;
}

function boundsOf(page: Page): PackedBounds {
  const last = page.count - 1;
  const [firstHigh, firstLow] = [page.tsHigh(0), page.tsLow(0)];
  return { count: page.count, firstHigh, firstLow, lastHigh: page.tsHigh(last), lastLow: page.tsLow(last) };
}

function rowsOf(page: Page): Row[] {
  return Array.from({ length: page.count }, (_, index) => {
    const text = page.slab.bytes.toString("utf8", page.recordStart(index) + 1, page.recordEnd(index));
    const ts = timestampToBigInt({ high: page.tsHigh(index), low: page.tsLow(index) });
    const { data } = JSON.parse(text) as { data: string };
    expect(text).toBe(textOf({ ts, data }).slice(1));
    return { ts, data };
  });
}

/** Packs and unpacks; both pages' memory is given back. */
function throughPacking(rows: readonly Row[]): { back: Row[]; isInParts: boolean } {
  const page = pageOf(rows);
  const packed = packPage(page);
  const unpacked = unpackPage(slabs, packed, boundsOf(page));
  const back = rowsOf(unpacked);
  expect(unpackedBytesMax(packed, boundsOf(page))).toBeGreaterThanOrEqual(unpacked.textLength);
  page.free(slabs);
  unpacked.free(slabs);
  return { back, isInParts: Bun.zstdDecompressSync(packed)[0] === 0 };
}

const MIN = -(2n ** 63n);
const MAX = 2n ** 63n - 1n;
const EDGES = [MIN, MIN + 1n, -(2n ** 53n), -1n, 0n, 1n, 10n ** 9n, 2n ** 53n - 1n, 2n ** 53n, MAX - 1n, MAX];
const data = fc.oneof(
  fc.string({ unit: "binary", maxLength: 20 }),
  fc.string({ minLength: 500, maxLength: 600 }),
  fc.constant(""),
);
const distances = fc.array(fc.oneof(fc.constantFrom(1, 2, 60, 2 ** 50), fc.nat(), fc.maxSafeNat()), {
  minLength: 0,
  maxLength: 30,
});

/** Times that begin anywhere, each later than the one before. */
const rows = fc
  .tuple(fc.oneof(fc.constantFrom(...EDGES), fc.bigInt({ min: MIN, max: MAX })), distances, data)
  .chain(([first, steps, text]) => {
    const times = [first];
    for (const step of steps) {
      const next = (times[times.length - 1] as bigint) + BigInt(step || 1);
      if (next <= MAX) times.push(next);
    }
    return fc.tuple(
      ...times.map((ts) => fc.oneof(data, fc.constant(text)).map((value) => ({ ts, data: value }))),
    );
  });

describe("records come back as they were", () => {
  test("whatever their times and data", () => {
    let inParts = 0;
    const before = slabs.usedBytes;
    fc.assert(
      fc.property(rows, (given) => {
        const { back, isInParts } = throughPacking(given);
        expect(back).toEqual(given);
        if (isInParts) inParts++;
      }),
      { numRuns: 500 },
    );
    expect(slabs.usedBytes).toBe(before);
    expect(inParts).toBeGreaterThan(100);
  });

  test.each([
    [
      "a second apart, of any number of digits",
      [-101n, -100n, -10n, -9n, -1n, 0n, 1n, 9n, 10n, 99n, 100n],
      true,
    ],
    ["of nanoseconds", [1747604423123456789n, 1747604424123456790n, 1747604424123456791n], true],
    ["nearly 2^51 apart", [0n, 2n ** 51n - 1n, 2n ** 51n, 2n ** 52n - 1n], true],
    ["2^51 apart", [0n, 2n ** 51n], false],
    ["as far apart as they can be", [MIN, MAX], false],
  ])("%s", (_, times, isInParts) => {
    const given = times.map((ts) => ({ ts, data: "x" }));
    expect(throughPacking(given)).toEqual({ back: given, isInParts });
  });

  test("longer than any that were there before", () => {
    const given = [1n, 2n, 3n].map((ts) => ({ ts, data: "é".repeat(Number(ts) * 400_000) }));
    expect(throughPacking(given).back).toEqual(given);
  });
});

test("a chunk of format 2, which is packed whole, is read", () => {
  const given = Array.from({ length: 300 }, (_, i) => ({
    ts: BigInt(i * 60 - 5000),
    data: `{"n":${i}}`.repeat(i),
  }));
  const page = pageOf(given);
  const lengths = given.flatMap((row) => {
    const size = Buffer.byteLength(textOf(row));
    return size < 128 ? [size] : [(size & 127) | 128, size >> 7];
  });
  const packed = packPlain(Buffer.concat([Buffer.from(lengths), Buffer.from(given.map(textOf).join(""))]));
  expect(rowsOf(unpackPage(slabs, packed, boundsOf(page)))).toEqual(given);
});

describe("what is no such chunk is refused, and takes no memory", () => {
  const given = [1n, 2n, 5n].map((ts) => ({ ts, data: "abc" }));
  const page = pageOf(given);
  const bounds = boundsOf(page);
  const plain = Bun.zstdDecompressSync(packPage(page));

  test.each<[string, Uint8Array, Partial<PackedBounds>]>([
    ["data that is cut off", plain.subarray(0, plain.length - 1), {}],
    ["lengths that are cut off", plain.subarray(0, 4), {}],
    ["steps that are cut off", plain.subarray(0, 2), {}],
    ["nothing", plain.subarray(0, 0), {}],
    ["another number of records", plain, { count: 2 }],
    ["another last time", plain, { lastLow: 6 }],
    ["another first time", plain, { firstLow: 0 }],
    ["a step back", Uint8Array.of(0, 2, 7, 1, 1, 1, 65, 65, 65), { lastLow: -1 }],
    ["text that is no record", Uint8Array.of(9, ...Buffer.from(',{"ts":x}')), { count: 1, lastLow: 1 }],
  ])("%s", (_, bytes, other) => {
    const before = slabs.usedBytes;
    expect(() => unpackPage(slabs, packPlain(bytes), { ...bounds, ...other })).toThrow(RangeError);
    expect(slabs.usedBytes).toBe(before);
  });
});

test.each([0, 1, 100, 255, 256, 300, 5000, 65_791, 65_792, 70_000, 3_000_000])(
  "how much was packed: %d bytes, alike or of all kinds",
  (size) => {
    for (const plain of [
      Buffer.alloc(size, "ab"),
      crypto.getRandomValues(Buffer.alloc(Math.min(size, 65_536))),
    ]) {
      const packed = packPlain(plain);
      expect(plainBytes(packed)).toBe(plain.length);
    }
  },
);
