import { expect, test } from "bun:test";
import { InsertBatch } from "../../src/engine/insert_batch.ts";

const MIB = 1024 * 1024;

test("a batch keeps the room that large frames need, and gives it up a thousand frames after the last", () => {
  const batch = new InsertBatch();
  const sizeAtFirst = batch.text.length;
  const fill = (data: string): void => {
    batch.clear();
    batch.add({ col: "c", doc: "d", ts: { high: 0, low: 1 }, data });
  };
  for (let round = 0; round < 2; round++) {
    fill("x".repeat(5 * MIB));
    for (let frame = 0; frame < 1000; frame++) fill("small");
    expect(batch.text.length).toBeGreaterThan(5 * MIB);
    fill("small");
    expect(batch.text.length).toBe(sizeAtFirst);
    expect(batch.textBytes.length).toBe(sizeAtFirst);
    expect(batch.text.toString("utf8", 0, batch.textLength)).toBe(',{"ts":1,"data":"small"}');
  }
});

test("a batch shows records that lie elsewhere, takes a copy of them, and has its own room again", () => {
  const recordsOf = (batch: InsertBatch): string => batch.text.toString("utf8", 0, batch.textLength);
  const other = new InsertBatch();
  const batch = new InsertBatch();
  const { columns, text } = batch;
  for (let count = 1; count < 3000; count += 997) {
    other.clear();
    for (let ts = 0; ts < count; ts++) other.add({ col: "c", doc: "d", ts: { high: 0, low: ts }, data: "x" });

    batch.clear();
    batch.show(other, count);
    expect(batch.count).toBe(count);
    expect(recordsOf(batch)).toBe(recordsOf(other));
    expect(batch.columns).toBe(other.columns);

    batch.clear();
    expect(batch.columns).toBe(columns);
    expect(batch.text).toBe(text);
    batch.addRows(other, count);
    expect(batch.count).toBe(count);
    expect(recordsOf(batch)).toBe(recordsOf(other));
    expect(batch.textStart(count)).toBe(batch.textLength);
    if (batch.columns !== columns) break;
  }
  expect(batch.columns).not.toBe(columns);
});
