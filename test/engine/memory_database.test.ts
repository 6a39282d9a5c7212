/**
 * The engine against the obvious version, over chunks so small that they split, seal, pack and re-open all the time.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { MemoryDatabase } from "../../src/engine/memory_database.ts";
import { command } from "./commands.ts";
import { AT_ONCE, compareWhole, runCommand, SMALL_CHUNKS } from "./harness.ts";
import { ModelDatabase } from "./model.ts";

test("random commands leave the same database as a sorted map", () => {
  fc.assert(
    fc.property(fc.array(command, { minLength: 1, maxLength: 60 }), (commands) => {
      const database = new MemoryDatabase({ chunks: SMALL_CHUNKS, longWork: AT_ONCE });
      const model = new ModelDatabase();
      for (const each of commands) runCommand(each, database, model);
      compareWhole(database, model);
    }),
    { numRuns: 3000 },
  );
}, 120_000);

test("a database that lost everything again holds no memory but its spare slabs", () => {
  const database = new MemoryDatabase({ chunks: SMALL_CHUNKS, longWork: AT_ONCE });
  const model = new ModelDatabase();
  for (const each of fc.sample(command, { numRuns: 2000, seed: 7 })) runCommand(each, database, model);
  for (const col of model.collections()) database.deleteCollection({ col });
  expect(database.memory().blockBytes).toBe(0);
});
