/**
 * Lists of key-values against a map: in order, whatever was set and deleted, at once and in pieces.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { KeyValues } from "../../src/engine/key_values.ts";
import { LongWork } from "../../src/engine/long_work.ts";
import { RawText } from "../../src/engine/raw_text.ts";
import { TextWriter } from "../../src/storage/text_list.ts";
import { AT_ONCE, IN_PIECES, saveRows } from "./harness.ts";

const toolsFor = (options: typeof AT_ONCE, replyBytesMax = 1e6) => ({
  longWork: new LongWork(options),
  replyBytesMax,
});
const set = (values: KeyValues, key: string, value: string): void =>
  values.set(RawText.of(key), RawText.of(value));
const keyValues = (memory = { objectBytes: 0 }): KeyValues => new KeyValues(memory, { isSaved: true });
const sortedObject = (model: ReadonlyMap<string, string>): Record<string, string> =>
  Object.fromEntries([...model].sort(([a], [b]) => (a < b ? -1 : 1)));

const key = fc.oneof(fc.constantFrom("a", "b", "c", "d"), fc.string({ unit: "binary", maxLength: 4 }));
const step = fc.oneof(
  fc.record({ what: fc.constant("set" as const), key, value: fc.string() }),
  fc.record({ what: fc.constant("delete" as const), key, value: fc.constant("") }),
  fc.record({ what: fc.constant("list" as const), key, value: fc.constant("") }),
);

test.each([
  ["at once", AT_ONCE],
  ["in pieces", IN_PIECES],
])("lists are what a map says, %s", async (_, options) => {
  const tools = toolsFor(options);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const values = keyValues();
      const model = new Map<string, string>();
      const check = async (): Promise<void> => {
        const expected = sortedObject(model);
        const [text, keys] = await Promise.all([values.render(tools), values.renderKeys(tools)]);
        // Not of a parsed object, which would have its own order of numbers.
        expect(text).toBe(
          `{${[...model.keys()]
            .sort()
            .map((each) => `${JSON.stringify(each)}:${JSON.stringify(model.get(each))}`)
            .join(",")}}`,
        );
        expect(JSON.parse(text)).toEqual(expected);
        expect(JSON.parse(keys)).toEqual([...model.keys()].sort());
        expect(await values.render(tools)).toBe(text);
        expect(values.size).toBe(model.size);
      };
      for (const each of steps) {
        if (each.what === "list") await check();
        else if (each.what === "set") {
          set(values, each.key, each.value);
          model.set(each.key, each.value);
        } else expect(values.delete(RawText.of(each.key))).toBe(model.delete(each.key));
      }
      await check();
    }),
    { numRuns: 150 },
  );
});

test("a list in pieces has each value as it is when its part is read, and others are served meanwhile", async () => {
  const values = keyValues();
  for (let index = 0; index < 1000; index++) set(values, `k${1000 + index}`, "before");
  const tools = toolsFor(IN_PIECES);
  await values.prepareKeys(tools.longWork);
  const listing = values.render(tools);
  expect(listing).toBeInstanceOf(Promise);
  set(values, "k1999", "after");
  set(values, "k9999", "new");
  values.delete(RawText.of("k1998"));
  const list = JSON.parse(await listing) as Record<string, string>;
  expect([list.k1000, list.k1999, list.k1998, list.k9999]).toEqual(["before", "after", undefined, undefined]);
  // What is kept is never what was half read.
  expect(JSON.parse(await values.render(tools))).toMatchObject({ k1999: "after", k9999: "new" });
});

test("the first list of many keys has all that are there all the while, whatever comes and goes", async () => {
  const values = keyValues();
  const stays = Array.from({ length: 60_000 }, (_, index) => `stays ${index}`);
  for (const each of stays) set(values, each, "");
  const { longWork } = toolsFor(IN_PIECES);
  let isListed = false;
  const preparing = values.prepareKeys(longWork)?.then(() => {
    isListed = true;
  });
  let turns = 0;
  for (; !isListed; turns++) {
    for (let index = 0; index < 40; index++) set(values, `comes ${turns} ${index}`, "");
    if (turns % 2 === 0)
      for (let index = 0; index < 30; index++) values.delete(RawText.of(`comes ${turns} ${index}`));
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  await preparing;
  expect(turns).toBeGreaterThan(10);
  const keys = values.keys();
  expect(keys.length).toBe(values.size);
  expect(new Set(keys).size).toBe(keys.length);
  expect(keys).toEqual([...keys].sort());
  expect(keys.filter((each) => each.startsWith("stays"))).toEqual([...stays].sort());
});

test("what is taken to be saved, and what of it was not, add up to what there is", () => {
  const steps = fc.array(
    fc.record({
      what: fc.constantFrom("set", "set", "delete", "take", "lose"),
      key,
      value: fc.string(),
      bytesMax: fc.integer({ min: 1, max: 500 }),
    }),
    { maxLength: 100 },
  );
  fc.assert(
    fc.property(steps, (steps) => {
      const values = keyValues();
      const model = new Map<string, string>();
      const saved = new Map<string, string>();
      const rows = new TextWriter();
      for (const { what, key, value, bytesMax } of steps) {
        if (what === "set") {
          set(values, key, value);
          model.set(key, value);
        } else if (what === "delete") {
          expect(values.delete(RawText.of(key))).toBe(model.delete(key));
        } else {
          const taken = values.takeChanges(rows, bytesMax);
          const list = rows.take();
          if (what === "take") saveRows(saved, list);
          else values.giveBackChanges(taken);
        }
      }
      values.takeChanges(rows, Number.POSITIVE_INFINITY);
      saveRows(saved, rows.take());
      expect(saved).toEqual(model);
      expect(values.changeCount).toBe(0);
    }),
    { numRuns: 500 },
  );
});

test("what is set and deleted again and again leaves nothing", () => {
  const values = keyValues();
  set(values, "stays", "");
  for (let index = 0; index < 100_000; index++) {
    set(values, `key ${index % 7}`, "");
    values.delete(RawText.of(`key ${index % 7}`));
  }
  expect(values.keys()).toEqual(["stays"]);
});

test("a list that is too large is refused as soon as that is known", async () => {
  const values = keyValues();
  for (let index = 0; index < 1000; index++) set(values, `k${index}`, "x".repeat(100));
  const refused = expect.objectContaining({ code: "reply_too_large" });
  const outcomes = [AT_ONCE, IN_PIECES].map(async (options) => values.render(toolsFor(options, 10_000)));
  for (const outcome of outcomes) expect(await outcome.catch((error: unknown) => error)).toEqual(refused);
});

test("what they take in memory is counted, lists too, and all of it is given back", async () => {
  const memory = { objectBytes: 5 };
  const values = keyValues(memory);
  for (let index = 0; index < 5000; index++) set(values, `key ${index}`, "x".repeat(100));
  const withoutLists = memory.objectBytes;
  expect(withoutLists).toBeGreaterThan(5000 * 110);
  const list = await values.render(toolsFor(AT_ONCE));
  expect(memory.objectBytes).toBeGreaterThan(withoutLists + list.length);
  for (let index = 0; index < 4990; index++) values.delete(RawText.of(`key ${index}`));
  values.keys();
  // What waits to be saved is counted too.
  expect(memory.objectBytes).toBeGreaterThan(100_000);
  values.takeChanges(new TextWriter(), Number.POSITIVE_INFINITY);
  expect(memory.objectBytes).toBeLessThan(20_000);
  values.end();
  expect(memory.objectBytes).toBe(5);
});
