/**
 * Patterns over texts and names that are too long for the main thread: against JavaScript's own, and while others write.
 */
import { describe, expect, test } from "bun:test";
import { InsertBatch } from "../../src/engine/insert_batch.ts";
import { MemoryDatabase } from "../../src/engine/memory_database.ts";
import { PATTERN_STEPS_AT_ONCE, PATTERN_STEPS_MAX } from "../../src/protocol/limits.ts";
import type { Request } from "../../src/protocol/messages.ts";
import { timestampFromBigInt } from "../../src/protocol/timestamp.ts";
import { AT_ONCE, IN_PIECES, SMALL_CHUNKS, textLater, textOf } from "./harness.ts";

const MIN = timestampFromBigInt(-(2n ** 63n));
const MAX = timestampFromBigInt(2n ** 63n - 1n);
const history = (change: Partial<Request<"qdoc">>): Request<"qdoc"> => ({
  ...{ col: "c", doc: "d", from: MIN, to: MAX, limit: 0, reverse: false, where: "", filter: "" },
  ...change,
});
const latest = (change: Partial<Request<"qry">>): Request<"qry"> => ({
  ...{ col: "c", doc: "", ts: MAX, from: timestampFromBigInt(0n), where: "", filter: "" },
  ...change,
});

const batch = new InsertBatch();

function insert(database: MemoryDatabase, doc: string, data: readonly string[], col = "c"): void {
  batch.clear();
  data.forEach((text, at) => {
    batch.add({ col, doc, ts: timestampFromBigInt(BigInt(at)), data: text });
  });
  database.insert(batch);
}

/** No literal, and more steps than are taken at once for a text of this length. */
const PATTERN = "a[bc]{40}d";
const LONG = 4000;
const longText = (end: string, at = 0): string => `"\n${"xé😀".repeat(LONG / 4)}${at}${end}`;
const MATCHING = `a${"bc".repeat(20)}d`;
const OTHER = `a${"bc".repeat(20)}`;

const TEXTS = [
  longText(MATCHING),
  "short",
  longText(OTHER),
  MATCHING,
  longText(MATCHING, 1),
  OTHER,
  longText(""),
];
const matches = (text: string): boolean => new RegExp(PATTERN, "u").test(text);

type Kept = { ts: number; data: string };
const recordsOf = async (answer: ReturnType<MemoryDatabase["history"]>): Promise<string[]> =>
  (JSON.parse(await textLater(answer)) as Kept[]).map(({ data }) => data);

describe("long texts", () => {
  test("are longer than what is done at once, for these tests", () => {
    expect(longText("").length * 40).toBeGreaterThan(PATTERN_STEPS_AT_ONCE);
  });

  for (const [title, longWork] of [
    ["with all the time there is", AT_ONCE],
    ["in pieces", IN_PIECES],
  ] as const) {
    test(`are found among short ones, in both directions, ${title}`, async () => {
      for (const chunks of [{}, SMALL_CHUNKS]) {
        const database = new MemoryDatabase({ chunks, longWork });
        insert(database, "d", TEXTS);
        const where = `/${PATTERN}/`;
        const [kept, leftOut] = [TEXTS.filter(matches), TEXTS.filter((text) => !matches(text))];
        const ask = (change: Partial<Request<"qdoc">>): Promise<string[]> =>
          recordsOf(database.history(history(change)));
        expect(await ask({ where })).toEqual(kept);
        expect(await ask({ where, reverse: true })).toEqual([...kept].reverse());
        expect(await ask({ filter: where })).toEqual(leftOut);
        expect(await ask({ filter: where, reverse: true, limit: 2 })).toEqual(leftOut.slice(-2).reverse());
        expect(await ask({ where, limit: 2 })).toEqual(kept.slice(0, 2));
        // A literal, a pattern and one half of a pair, together with the long one.
        expect(await ask({ where, filter: "😀1" })).toEqual(kept.filter((text) => !text.includes("😀1")));
        expect(await ask({ where: "/[01]a/", filter: where })).toEqual(
          leftOut.filter((text) => text.includes("0a")),
        );
        expect(await ask({ where: "\ud83d", filter: where })).toEqual(
          leftOut.filter((text) => text.includes("😀")),
        );
        await database.close();
      }
    });

    test(`are found in latest records, ${title}`, async () => {
      const database = new MemoryDatabase({ chunks: SMALL_CHUNKS, longWork });
      const documents = Array.from({ length: 100 }, (_, at) => `d${1000 + at}`);
      documents.forEach((doc, at) => {
        insert(database, doc, [TEXTS[at % TEXTS.length] as string]);
      });
      const expected = documents.filter((_, at) => matches(TEXTS[at % TEXTS.length] as string));
      const answer = JSON.parse(await textLater(database.latest(latest({ where: `/${PATTERN}/` }))));
      expect(Object.keys(answer)).toEqual(expected);
      for (const doc of documents.slice(0, TEXTS.length)) {
        const one = JSON.parse(await textLater(database.latest(latest({ doc, where: `/${PATTERN}/` }))));
        expect(Object.keys(one)).toEqual(expected.includes(doc) ? [doc] : []);
      }
      await database.close();
    });
  }

  test("do not keep others waiting", async () => {
    const database = new MemoryDatabase();
    insert(database, "d", TEXTS);
    insert(database, "e", ["short"]);
    const long = database.history(history({ where: `/${PATTERN}/` }));
    expect(long).toBeInstanceOf(Promise);
    expect(textOf(database.latest(latest({ doc: "e" })))).toBe('{"e":{"ts":0,"data":"short"}}');
    expect(await recordsOf(long)).toEqual(TEXTS.filter(matches));
    await database.close();
  });

  test("that are replaced or deleted meanwhile are answered as they are then", async () => {
    const database = new MemoryDatabase();
    const ask = (doc: string): Promise<string[]> =>
      recordsOf(database.history(history({ doc, where: `/${PATTERN}/` })));
    insert(database, "d", TEXTS);
    const replaced = ask("d");
    insert(database, "d", [longText(OTHER), longText(MATCHING, 2)]);
    expect(await replaced).toEqual([longText(MATCHING, 2), MATCHING, longText(MATCHING, 1)]);
    insert(database, "e", TEXTS);
    const deleted = ask("e");
    database.deleteDocument({ col: "c", doc: "e" });
    insert(database, "e", [MATCHING]);
    expect(await deleted).toEqual([]);
    await database.close();
  });

  test("of many requests at once are each answered for themselves", async () => {
    const database = new MemoryDatabase();
    const answers = Array.from({ length: 20 }, (_, at) => {
      insert(database, `d${at}`, [longText(MATCHING, at), longText(OTHER, at)]);
      return recordsOf(database.history(history({ doc: `d${at}`, where: `/${PATTERN}/` })));
    });
    expect(await Promise.all(answers)).toEqual(answers.map((_, at) => [longText(MATCHING, at)]));
    await database.close();
  });

  test("that are too long for the pattern are refused", async () => {
    const database = new MemoryDatabase();
    const tooLong = "x".repeat(Math.ceil(PATTERN_STEPS_MAX / 800));
    insert(database, "d", [tooLong]);
    const where = "/a[bc]{800}d/";
    const refused = expect.objectContaining({ code: "bad_pattern" });
    const error = await settle(() => database.history(history({ where })));
    expect(error).toEqual(refused);
    expect(await settle(() => database.latest(latest({ where })))).toEqual(refused);
    // Whoever comes next is served.
    expect(await recordsOf(database.history(history({ where: "/^x+$/" })))).toEqual([tooLong]);
    await database.close();
  });
});

/** What an answer fails with, at once or later. */
async function settle(ask: () => unknown): Promise<unknown> {
  try {
    return await ask();
  } catch (error) {
    return error;
  }
}

describe("names", () => {
  const SHORT = Array.from({ length: 3000 }, (_, at) => `name ${10_000 + at}`);
  const NAMES = [...SHORT, `${"n".repeat(LONG)}${MATCHING}`, `${"n".repeat(LONG)}${OTHER}`, MATCHING].sort();

  for (const [title, longWork] of [
    ["with all the time there is", AT_ONCE],
    ["in pieces", IN_PIECES],
  ] as const) {
    test(`of documents and keys match as in JavaScript, ${title}`, async () => {
      const database = new MemoryDatabase({ longWork });
      for (const name of NAMES) {
        insert(database, name, ["x"]);
        database.setValue({ col: "c", key: name, value: "v" });
      }
      for (const source of [PATTERN, "[05]$", "n{3}|0[12]9", "none"]) {
        const expected = NAMES.filter((name) => new RegExp(source).test(name));
        const pattern = `/${source}/`;
        const documents = JSON.parse(await textLater(database.latest(latest({ doc: pattern }))));
        expect(Object.keys(documents)).toEqual(expected);
        const again = JSON.parse(await textLater(database.latest(latest({ doc: pattern }))));
        expect(Object.keys(again)).toEqual(expected);
        const values = JSON.parse(await textLater(database.valuesMatching({ col: "c", key: pattern })));
        expect(Object.keys(values)).toEqual(expected);
      }
      await database.close();
    });
  }

  test("that come or go while they are looked at: those that came are in the next answer", async () => {
    const database = new MemoryDatabase({ longWork: IN_PIECES });
    for (const name of NAMES) insert(database, name, ["x"]);
    for (const key of NAMES) database.setValue({ col: "c", key, value: "v" });
    const ask = async (): Promise<string[]> =>
      Object.keys(JSON.parse(await textLater(database.latest(latest({ doc: "/[0-9]7$/" })))));
    const expected = NAMES.filter((name) => /[0-9]7$/.test(name));
    // Once they are sorted: what comes before is looked at too.
    await textLater(database.latest(latest({ doc: "/none/" })));
    const [first, same, keys] = [ask(), ask(), database.valuesMatching({ col: "c", key: "/[0-9]7$/" })];
    const [gone, last] = [expected[0] as string, expected.at(-1) as string];
    database.deleteDocument({ col: "c", doc: gone });
    database.removeValue({ col: "c", key: last });
    insert(database, "new 17", ["x"]);
    const next = ask();
    expect(await first).toEqual(expected.slice(1));
    expect(await same).toEqual(expected.slice(1));
    expect(await next).toEqual([...expected.slice(1), "new 17"].sort());
    expect(Object.keys(JSON.parse(await textLater(keys)))).toEqual(expected.slice(0, -1));
    await database.close();
  });

  test("that are too long for the pattern are refused, each time", async () => {
    const database = new MemoryDatabase({ longWork: IN_PIECES });
    for (const name of [...SHORT, "z".repeat(4096)]) insert(database, name, ["x"]);
    const doc = "/^z[yz]{900}(x?){900}(x?){900}(x?){900}$/";
    for (let time = 0; time < 2; time++) {
      expect(await settle(() => database.latest(latest({ doc })))).toMatchObject({ code: "bad_pattern" });
    }
    await database.close();
  });
});
