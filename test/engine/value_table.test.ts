/**
 * The table of key-values against a map: whatever is set and deleted, of any length, in few parts and in many.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { RawText } from "../../src/engine/raw_text.ts";
import { ReplyText } from "../../src/engine/reply_text.ts";
import { ValueTable } from "../../src/engine/value_table.ts";
import { TextWriter } from "../../src/storage/text_list.ts";
import { saveRows } from "./harness.ts";

const raw = (text: string): RawText => RawText.of(text);

/** A table beside the map that it should equal. */
class Tables {
  readonly table = new ValueTable({ isSaved: true });
  readonly model = new Map<string, string>();
  /** What was taken to be saved; what is removed the table does not tell. */
  readonly saved = new Map<string, string>();
  /** Set since it was taken. */
  readonly changed = new Set<string>();
  readonly reply = new ReplyText();

  set(key: string, value: string): void {
    this.table.set(raw(key), raw(value));
    this.model.set(key, value);
    this.changed.add(key);
  }

  delete(key: string): void {
    expect(this.table.delete(raw(key))).toBe(this.model.delete(key));
    expect(this.table.write(raw(key), this.reply)).toBe(false);
    this.changed.delete(key);
    this.saved.delete(key);
  }

  load(key: string, value: string): void {
    this.table.load(raw(key), raw(value));
    this.model.set(key, value);
    this.saved.set(key, value);
    this.changed.delete(key);
  }

  /** `isLost`: it could not be saved. */
  take(bytesMax: number, { isLost }: { isLost: boolean }): void {
    const rows = new TextWriter();
    const hashes = this.table.takeChanged(rows, bytesMax);
    if (isLost) {
      this.table.giveBack(hashes);
      return;
    }
    for (const key of saveRows(this.saved, rows.take())) this.changed.delete(key);
  }

  check(): void {
    expect(this.table.size).toBe(this.model.size);
    expect(this.table.keys().sort()).toEqual([...this.model.keys()].sort());
    for (const [key, value] of this.model) {
      expect(this.table.write(raw(key), this.reply)).toBe(true);
      expect(this.reply.take()).toBe(JSON.stringify(value));
      expect(this.table.entryText(raw(key))).toBe(`${JSON.stringify(key)}:${JSON.stringify(value)}`);
    }
    this.take(Number.POSITIVE_INFINITY, { isLost: false });
    expect(this.changed.size).toBe(0);
    expect(this.saved).toEqual(this.model);
  }
}

const text = fc.oneof(
  fc.constantFrom("", "a", "b", "c", 'quote"', "back\\slash", "é", "😀", "\ud800", "\u0000", "\u007f"),
  fc.string({ unit: "binary", maxLength: 100 }),
  fc.integer({ min: 1, max: 6000 }).map((length) => "x".repeat(length)),
);
const step = fc.record({
  what: fc.constantFrom("set", "set", "set", "delete", "take", "lose", "load"),
  key: fc.oneof(fc.constantFrom("a", "b", "c", "ä"), text),
  value: text,
});

test("a table is what a map says, whatever is set and deleted", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const tables = new Tables();
      for (const { what, key, value } of steps) {
        if (what === "set") tables.set(key, value);
        else if (what === "delete") tables.delete(key);
        else if (what === "load") tables.load(key, value);
        else tables.take(value.length * 10, { isLost: what === "lose" });
      }
      tables.check();
      for (const key of [...tables.model.keys()]) tables.delete(key);
      tables.check();
      expect(tables.table.bytes).toBe(0);
    }),
    { numRuns: 300 },
  );
});

test("many keys, and keys of any length of value, come and go in parts", () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 1, max: 400 }), (seed, valueLength) => {
      const tables = new Tables();
      let state = seed | 1;
      const random = (below: number): number => {
        state ^= state << 13;
        state ^= state >>> 17;
        state ^= state << 5;
        return (state >>> 0) % below;
      };
      for (let step = 0; step < 20_000; step++) {
        const key = `key ${random(8000)}`;
        // More comes than goes at first, and then the other way round.
        if (random(10) < (step < 12_000 ? 8 : 2)) tables.set(key, "v".repeat(random(valueLength)));
        else tables.delete(key);
        if (step % 1000 === 0) tables.take(10_000, { isLost: step % 3000 === 0 });
      }
      tables.check();
    }),
    { numRuns: 5 },
  );
});

test("large values leave no more behind than they take", () => {
  const tables = new Tables();
  for (let index = 0; index < 200; index++) tables.set(`key ${index}`, "small");
  for (let round = 0; round < 20; round++) tables.set("key 7", "x".repeat(round % 2 === 0 ? 1e6 : 10));
  tables.check();
  for (let index = 0; index < 199; index++) tables.delete(`key ${index}`);
  tables.check();
  expect(tables.table.bytes).toBeLessThan(20_000);
});

test("what is set again and again takes no more memory", () => {
  const table = new ValueTable({ isSaved: false });
  for (let index = 0; index < 100_000; index++) {
    table.set(raw(`key ${index % 50}`), raw("x".repeat(index % 400)));
  }
  expect(table.size).toBe(50);
  expect(table.bytes).toBeLessThan(100_000);
});
