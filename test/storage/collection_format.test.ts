/**
 * A collection's file of an older format is read as it is, and raised by its next checkpoint.
 */
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { join } from "node:path";
import { InsertBatch } from "../../src/engine/insert_batch.ts";
import { TIMESTAMP_MAX, TIMESTAMP_MIN } from "../../src/protocol/timestamp.ts";
import { textOf } from "../engine/harness.ts";
import { World } from "./world.ts";

const fileOf = (world: World, name: string): string => join(world.directory, "collections", `${name}.db`);

function formatOf(world: World, name: string): number {
  using database = new Database(fileOf(world, name), { readonly: true });
  return (database.query("PRAGMA user_version").get() as { user_version: number }).user_version;
}

function makeFormat2(world: World, name: string): void {
  using database = new Database(fileOf(world, name));
  database.run("PRAGMA user_version = 2");
}

async function insert(world: World, col: string, ts: number): Promise<void> {
  const batch = new InsertBatch();
  for (let at = 0; at < 20; at++) {
    batch.add({ col, doc: "d", ts: { high: 0, low: ts + at }, data: `value ${ts + at}` });
  }
  await world.database.insert(batch);
}

function timesIn(world: World, col: string): number[] {
  const range = { from: TIMESTAMP_MIN, to: TIMESTAMP_MAX };
  const rest = { limit: 0, reverse: false, where: "", filter: "" };
  const answer = world.database.history({ col, doc: "d", ...range, ...rest });
  return (JSON.parse(textOf(answer)) as { ts: number }[]).map(({ ts }) => ts);
}

const numbers = (from: number, count: number): number[] =>
  Array.from({ length: count }, (_, at) => from + at);

test("format 2 is read, and raised where something is saved", async () => {
  await using world = await World.open();
  for (const col of ["a", "b"]) await insert(world, col, 100);
  await world.close();
  for (const name of ["a", "b"]) {
    expect(formatOf(world, name)).toBe(3);
    makeFormat2(world, name);
  }
  await world.open();
  for (const col of ["a", "b"]) expect(timesIn(world, col)).toEqual(numbers(100, 20));
  await insert(world, "a", 120);
  await world.close();
  expect([formatOf(world, "a"), formatOf(world, "b")]).toEqual([3, 2]);
  await world.open();
  expect(timesIn(world, "a")).toEqual(numbers(100, 40));
  expect(timesIn(world, "b")).toEqual(numbers(100, 20));
});
