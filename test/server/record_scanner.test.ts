/**
 * The scanner in WebAssembly: that it is of its source, texts of any shape at any place, frames larger than its window, and
 * what it tells of names. That it means what the schema means is tested with the rest, in insert_scanner.test.ts.
 */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { compiledText, MODULES } from "../../scripts/build_assembly.ts";
import {
  COLUMN_COLLECTION_START,
  COLUMN_DOCUMENT_END,
  COLUMN_DOCUMENT_HASH,
  COLUMN_DOCUMENT_START,
  COLUMNS,
  InsertBatch,
} from "../../src/engine/insert_batch.ts";
import { hashBytes } from "../../src/engine/name.ts";
import { FRAME_LENGTH_AT_ONCE } from "../../src/protocol/limits.ts";
import { FrameScanner, SCANNED_INS } from "../../src/server/frame_scanner.ts";
import { Scratch, SPARE_BYTES } from "../../src/server/json_bytes.ts";
import { RECORD_MODULE, WINDOW_BYTES } from "../../src/server/scanner_module.ts";
import { checkFrame } from "./frame_check.ts";

const ROOT = join(import.meta.dir, "../..");
const reading = { ts: 1_747_604_423, doc: "device-1", data: '{"t":1}', col: "sensors" };
const frameOf = (records: unknown): string => frameWith(JSON.stringify(records));
/** Its records in a string, as clients in the field send them; or as the list that they are. */
const frameWith = (list: string): string => JSON.stringify({ id: "m1", type: "ins", data: list });
const listFrameWith = (list: string): string => `{"id":"m1","type":"ins","data":${list}}`;
const FRAMES = [frameWith, listFrameWith];

/** Scanners of frames in the shared window, and in memory of their own, as that of large frames. */
const scanners = [new FrameScanner(), new FrameScanner(new Scratch())] as const;

test.each(MODULES)(
  "$compiled is what `npm run assembly` makes of the source",
  async (module) => {
    const committed = readFileSync(join(ROOT, module.compiled), "utf8");
    expect(committed).toBe(await compiledText(module));
  },
  60_000,
);

test("special characters may stand anywhere, next to each other or far apart", () => {
  const size = 40;
  const specials = ['"', "\\", "\n", "é", '""', '\\"', '"\\'];
  for (const one of specials) {
    for (const other of specials) {
      for (let at = 0; at < size; at++) {
        const texts = Array.from({ length: size }, (_, next) => {
          const letters = [..."abcdefghijklmnopqrstuvwxyz0123456789ABCD"];
          letters[at] = one;
          letters[next] = other;
          return letters.join("").slice(0, 20 + next);
        });
        const list = JSON.stringify(texts.map((data) => ({ ...reading, data })));
        for (const frame of FRAMES) expect(checkFrame(frame(list))).toBe(true);
      }
    }
  }
});

const text = fc.string({
  unit: fc.constantFrom('"', '"', "\\", "\n", "\t", "a", "b", " ", "/", "é", "😀", "{", "\u2028"),
  maxLength: 200,
});
const anyOrder = fc
  .constantFrom("ts,doc,data,col", "col,data,doc,ts", "data,ts,col,doc")
  .map((order) => order.split(","));
const record = fc
  .tuple(
    anyOrder,
    fc.oneof(fc.integer(), fc.maxSafeInteger(), fc.nat({ max: 9 })),
    fc.oneof(text, fc.record({ text, t: fc.integer() }, { noNullPrototype: true })),
    fc.constantFrom("d", "device-12", "ein Gerät mit einem langen Namen, länger als sechzehn Bytes"),
    fc.constantFrom("c", "sensors"),
  )
  .map(([order, ts, data, doc, col]) => {
    const fields: Record<string, unknown> = { ts, data, doc, col };
    return Object.fromEntries(order.map((name) => [name, fields[name]]));
  });

test("texts of any length, and fields in any order, are taken and mean the same", () => {
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 8 }), (records) => {
      for (const frame of FRAMES) {
        for (const scanner of scanners)
          expect(checkFrame(frame(JSON.stringify(records)), scanner)).toBe(true);
      }
    }),
    { numRuns: 2000 },
  );
}, 60_000);

/** As Python writes it: what is not ASCII as `\\u00e9`, an emoji as two of these. */
const inAscii = (json: string): string =>
  json.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);

test("letters that are escaped twice are stored as themselves", () => {
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 4 }), (records) => {
      const list = inAscii(JSON.stringify(records));
      // In names and in data that is no text they are left to others.
      const isTaken = records.every(
        ({ doc, data }) => !String(doc).includes("ä") && typeof data === "string",
      );
      for (const frame of FRAMES) {
        for (const scanner of scanners) expect(checkFrame(frame(list), scanner) || !isTaken).toBe(true);
      }
    }),
    { numRuns: 2000 },
  );
  // Some are stored as escapes, as halves of pairs are.
  const right = ["\\u00E9", "\\uABCD", "\\ud83d\\ude00", "\\u007f", "\\u0022", "\\u005c", "\\u0001"];
  right.push("\\ud83d", "\\ude00", "\\ud83d\\ud83d", "\\ud83dude00", "\\u00e9\\ud83d", "\\u00e9\\n\\u00e9");
  for (const frame of FRAMES) {
    for (const text of right) expect(checkFrame(frame(listOf(text)))).toBe(true);
    for (const wrong of ["\\u00g0", "\\u00", "\\u", "\\u00e9\\u00", "\\ud83d\\u00"]) {
      expect(checkFrame(frame(listOf(wrong)))).toBe(false);
    }
  }
}, 60_000);

const listOf = (text: string): string => `[{"ts":1,"doc":"d","data":"a${text}b","col":"c"}]`;

test("a frame of several windows is read wherever they end", () => {
  fc.assert(
    fc.property(
      fc.array(record, { minLength: 20, maxLength: 40 }),
      fc.nat({ max: 400 }),
      (records, padding) => {
        const first = { ...reading, data: "x".repeat(padding) };
        const enough = 1 + Math.ceil((2.5 * WINDOW_BYTES) / frameOf(records).length);
        const list = JSON.stringify([first, ...Array.from({ length: enough }, () => records).flat()]);
        for (const [index, frame] of FRAMES.entries()) {
          expect(checkFrame(frame(list), scanners[index])).toBe(true);
        }
      },
    ),
    { numRuns: 25 },
  );
}, 60_000);

test("so is one with more records than a window has rows", () => {
  const records = Array.from({ length: 48_000 }, (_, ts) => ({ ts, doc: "d", data: "", col: "c" }));
  const inWindow = records.slice(0, 17_000);
  expect(inWindow.length).toBeGreaterThan((RECORD_MODULE as { ROWS_MAX: { value: number } }).ROWS_MAX.value);
  expect(frameOf(inWindow).length).toBeLessThan(WINDOW_BYTES);
  for (const scanner of scanners) {
    expect(checkFrame(frameOf(inWindow), scanner)).toBe(true);
    expect(checkFrame(frameOf(records), scanner)).toBe(true);
  }
});

test("values that take twice the room when they are stored are whole, and so is what comes after them", () => {
  // As much as a window holds, in one record and in some; as data, and in a field that is forgotten.
  const quotes = (bytes: number): string[] => new Array(Math.floor(bytes / 3)).fill("");
  for (const count of [1, 7]) {
    const each = WINDOW_BYTES / count - 300;
    const asData = Array.from({ length: count }, (_, ts) => ({ ...reading, ts, data: quotes(each) }));
    const forgotten = Array.from({ length: count }, (_, ts) => ({ other: quotes(each), ...reading, ts }));
    for (const records of [asData, forgotten, [...asData, ...asData, ...asData]]) {
      for (const frame of FRAMES) {
        for (const scanner of scanners) {
          expect(checkFrame(frame(JSON.stringify(records)), scanner)).toBe(true);
          expect(checkFrame(frameOf([reading]), scanner)).toBe(true);
        }
      }
    }
  }
}, 60_000);

test("the window holds what is read at once", () => {
  expect(WINDOW_BYTES).toBeGreaterThanOrEqual(FRAME_LENGTH_AT_ONCE + SPARE_BYTES);
});

test("a record that no window holds is read in another way", () => {
  const long = { ...reading, data: '"'.repeat(WINDOW_BYTES) };
  for (const scanner of scanners) {
    expect(checkFrame(frameOf([reading, long, reading]), scanner)).toBe(true);
    expect(checkFrame(frameOf([reading]), scanner)).toBe(true);
  }
});

test("what is wrong behind the first window leaves all of a frame to the schema", () => {
  const frame = frameOf(Array.from({ length: 20_000 }, () => reading));
  expect(frame.length).toBeGreaterThan(WINDOW_BYTES);
  for (const scanner of scanners) {
    expect(checkFrame(`${frame.slice(0, -3)}x${frame.slice(-3)}`, scanner)).toBe(false);
    expect(checkFrame(frame.slice(0, -9), scanner)).toBe(false);
    expect(checkFrame(frame, scanner)).toBe(true);
  }
});

test("names come with their hash, and with one place where they are the same as before", () => {
  const names = [
    "a",
    "a",
    "b",
    "device-1",
    "device-1",
    "device-2",
    "größer als sechzehn Bytes",
    "größer als sechzehn Bytes",
  ];
  const batch = new InsertBatch();
  const scanner = new FrameScanner();
  for (let size = 0; size < 70; size++)
    names.push("n".repeat(size), `${"n".repeat(size)}m`, `${"n".repeat(size)}m`);
  const docs = names.filter((name) => name !== "");
  expect(scanner.scan(frameOf(docs.map((doc) => ({ ...reading, doc }))), batch)).toBe(SCANNED_INS);
  expect(batch.count).toBe(docs.length);
  for (const [index, doc] of docs.entries()) {
    const row = batch.columns.subarray(index * COLUMNS, (index + 1) * COLUMNS);
    const [start, end] = [row[COLUMN_DOCUMENT_START] as number, row[COLUMN_DOCUMENT_END] as number];
    expect(batch.names.toString("utf8", start, end)).toBe(doc);
    expect(row[COLUMN_DOCUMENT_HASH]).toBe(hashBytes(batch.names, start, end));
    if (index === 0) continue;
    const before = batch.columns.subarray((index - 1) * COLUMNS, index * COLUMNS);
    expect(before[COLUMN_DOCUMENT_START] === start).toBe(docs[index - 1] === doc);
    expect(before[COLUMN_COLLECTION_START]).toBe(row[COLUMN_COLLECTION_START] as number);
    expect(batch.isSameCollection(index)).toBe(true);
  }
});

test("where the engine has no vectors all is read in another way", async () => {
  const frame = frameOf([reading, { ...reading, data: 'any "text"' }]);
  const script = `
    const { RECORD_MODULE } = await import("./src/server/scanner_module.ts");
    const { FrameScanner } = await import("./src/server/frame_scanner.ts");
    const { InsertBatch } = await import("./src/engine/insert_batch.ts");
    const batch = new InsertBatch();
    const type = new FrameScanner().scan(${JSON.stringify(frame)}, batch);
    const text = batch.text.toString("utf8", 0, batch.textLength);
    console.log(JSON.stringify({ hasVectors: RECORD_MODULE !== undefined, type, count: batch.count, text }));`;
  const outcomes = await Promise.all(
    ["0", "1"].map(async (useWasmSIMD) => {
      const env = { ...process.env, BUN_JSC_useWasmSIMD: useWasmSIMD };
      const child = Bun.spawn([process.execPath, "-e", script], { cwd: ROOT, env, stderr: "inherit" });
      return (await child.stdout.json()) as {
        hasVectors: boolean;
        type: number;
        count: number;
        text: string;
      };
    }),
  );
  const [without, withVectors] = outcomes;
  expect(withVectors).toMatchObject({ hasVectors: true, type: SCANNED_INS, count: 2 });
  expect(without).toEqual({ ...(withVectors as NonNullable<typeof withVectors>), hasVectors: false });
});

test("so it is with other messages", async () => {
  const files = ["fields.test.ts", "fast_request.test.ts"].map((name) => `./test/server/${name}`);
  const child = Bun.spawn([process.execPath, "test", ...files], {
    cwd: ROOT,
    env: { ...process.env, BUN_JSC_useWasmSIMD: "0" },
    stdout: "ignore",
    stderr: "pipe",
  });
  const [code, report] = await Promise.all([child.exited, child.stderr.text()]);
  expect(report).toContain(" 0 fail");
  expect(code).toBe(0);
}, 60_000);
