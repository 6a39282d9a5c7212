/**
 * Patterns that are asked again and again while documents come and go, against a filter over all names.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { InsertBatch } from "../../src/engine/insert_batch.ts";
import { MemoryDatabase } from "../../src/engine/memory_database.ts";
import { timestampFromBigInt } from "../../src/protocol/timestamp.ts";
import { AT_ONCE, IN_PIECES, textLater } from "./harness.ts";

const ZERO = timestampFromBigInt(0n);
const batch = new InsertBatch();

class Fleet {
  readonly database: MemoryDatabase;
  readonly names = new Set<string>();

  constructor(longWork: typeof AT_ONCE) {
    this.database = new MemoryDatabase({ longWork });
    this.add("there");
  }

  add(...names: readonly string[]): void {
    batch.clear();
    for (const doc of names) {
      batch.add({ col: "c", doc, ts: ZERO, data: "" });
      this.names.add(doc);
    }
    this.database.insert(batch);
  }

  delete(name: string): void {
    this.database.deleteDocument({ col: "c", doc: name });
    this.names.delete(name);
  }

  /** Which names the database says match. */
  async ask(pattern: string): Promise<string[]> {
    const query = { col: "c", doc: `/${pattern}/`, ts: ZERO, from: ZERO, where: "", filter: "" };
    const found = JSON.parse(await textLater(this.database.latest(query))) as Record<string, unknown>;
    return Object.keys(found).sort();
  }

  async check(pattern: string): Promise<void> {
    expect(await this.ask(pattern)).toEqual([...this.names].filter((name) => name.match(pattern)).sort());
  }
}

const step = fc.oneof(
  fc.record({ what: fc.constantFrom("add", "delete"), number: fc.nat(40) }),
  fc.record({ what: fc.constant("ask"), number: fc.nat(25) }),
);

test.each([
  ["at once", AT_ONCE],
  ["in pieces", IN_PIECES],
])("what a pattern matches is what a filter says, %s", async (_, longWork) => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 100 }), async (steps) => {
      const fleet = new Fleet(longWork);
      for (const { what, number } of steps) {
        if (what === "add") fleet.add(`device ${number}`);
        else if (what === "delete") fleet.delete(`device ${number}`);
        // More patterns than are remembered.
        else await fleet.check(`${number}$`);
      }
      await fleet.check("[0-9]");
      await fleet.database.close();
    }),
    { numRuns: 150 },
  );
});

test("few that come and go, and many at once, are found and missed by a pattern that was asked before", async () => {
  const fleet = new Fleet(AT_ONCE);
  fleet.add(...Array.from({ length: 3000 }, (_, at) => `device ${at}`));
  await fleet.check("7$");
  for (const count of [1, 2, 500, 1024, 1025, 3000]) {
    fleet.add(...Array.from({ length: count }, (_, at) => `new ${count} ${at}`));
    await fleet.check("7$");
    for (let at = 0; at < count; at++) fleet.delete(`new ${count} ${at}`);
    // Gone, and there again.
    fleet.add(`new ${count} 7`);
    await fleet.check("7$");
  }
});

test("what is remembered is counted as memory, and goes with the collection", async () => {
  const fleet = new Fleet(AT_ONCE);
  fleet.add(...Array.from({ length: 1000 }, (_, at) => `device ${at}`));
  const { usedBytes } = fleet.database.memory();
  await fleet.ask("device");
  expect(fleet.database.memory().usedBytes).toBeGreaterThan(usedBytes + 8000);
  fleet.database.deleteCollection({ col: "c" });
  expect(fleet.database.memory().usedBytes).toBe(0);
});
