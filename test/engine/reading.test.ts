/**
 * Answers that take many turns, down to one a chunk: against those that come at once, and while others write.
 */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Written } from "../../src/engine/database.ts";
import { InsertBatch } from "../../src/engine/insert_batch.ts";
import type { Command } from "../../src/engine/journal_entry.ts";
import { GROUP_DOCUMENTS } from "../../src/engine/latest_lookup.ts";
import { MemoryDatabase } from "../../src/engine/memory_database.ts";
import type { Request } from "../../src/protocol/messages.ts";
import { type Timestamp, timestampFromBigInt } from "../../src/protocol/timestamp.ts";
import { command, type ModelCommand } from "./commands.ts";
import { AT_ONCE, IN_PIECES, parseAnswer, SMALL_CHUNKS, textLater, textOf } from "./harness.ts";
import type { InsertedRecord } from "./model.ts";

const MIN = timestampFromBigInt(-(2n ** 63n));
const MAX = timestampFromBigInt(2n ** 63n - 1n);
const ZERO = timestampFromBigInt(0n);
const RUNS = { numRuns: 150 };

type Query = { type: "qry"; request: Request<"qry"> } | { type: "qdoc"; request: Request<"qdoc"> };
type AnsweredRecord = { ts: string; data: string };

const batch = new InsertBatch();

function insert(database: MemoryDatabase, records: readonly InsertedRecord[]): Written {
  batch.clear();
  for (const record of records) batch.add(record);
  return database.insert(batch);
}

function write(database: MemoryDatabase, { type, request }: Command): Written {
  switch (type) {
    case "ddoc":
      return database.deleteDocument(request);
    case "dcol":
      return database.deleteCollection(request);
    case "dmrec":
      return database.deleteRecords(request);
    case "drrng":
      return database.deleteRange(request);
    case "sval":
      return database.setValue(request);
    case "rval":
      return database.removeValue(request);
  }
}

function perform(database: MemoryDatabase, each: ModelCommand): Written {
  if (each.type === "ins") return insert(database, each.request);
  if (each.type === "rest") {
    for (let seconds = 1; database.tidy(seconds); seconds++) {}
    return undefined;
  }
  if (each.type === "shortage") {
    while (database.reclaim()) {}
    return undefined;
  }
  return each.type === "qry" || each.type === "qdoc" ? undefined : write(database, each);
}

async function ask(database: MemoryDatabase, query: Query): Promise<string> {
  return textLater(query.type === "qry" ? database.latest(query.request) : database.history(query.request));
}

const isQuery = (each: ModelCommand): each is Query => each.type === "qry" || each.type === "qdoc";
const writes = command.filter((each) => !isQuery(each));
const queries = fc.array(command.filter(isQuery), { minLength: 1, maxLength: 8 });
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const divided = (): MemoryDatabase => new MemoryDatabase({ chunks: SMALL_CHUNKS, longWork: IN_PIECES });

/** `count` records of a document, a timestamp apart. */
const run = (count: number, { doc = "d", data = "x" } = {}): InsertedRecord[] =>
  Array.from({ length: count }, (_, at) => ({ col: "c", doc, ts: time(at), data: `${data}${at}` }));
const time = (value: number): Timestamp => timestampFromBigInt(BigInt(value));
const history = (change: Partial<Request<"qdoc">> = {}): Request<"qdoc"> => ({
  ...{ col: "c", doc: "d", from: MIN, to: MAX, limit: 0, reverse: false, where: "", filter: "" },
  ...change,
});
const latest = (change: Partial<Request<"qry">> = {}): Request<"qry"> => ({
  ...{ col: "c", doc: "", ts: MAX, from: ZERO, where: "", filter: "" },
  ...change,
});
const timesOf = (answer: string): number[] =>
  (parseAnswer(answer) as AnsweredRecord[]).map(({ ts }) => Number(ts));
const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, at) => from + at);

describe("an answer in pieces", () => {
  test("is the same as one that comes at once", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(writes, { minLength: 1, maxLength: 40 }),
        queries,
        async (commands, asked) => {
          const inPieces = divided();
          const atOnce = new MemoryDatabase({ chunks: SMALL_CHUNKS, longWork: AT_ONCE });
          for (const each of commands) {
            perform(inPieces, each);
            perform(atOnce, each);
          }
          // All at the same time: they take turns.
          const answers = await Promise.all(asked.map((query) => ask(inPieces, query)));
          expect(answers).toEqual(await Promise.all(asked.map((query) => ask(atOnce, query))));
        },
      ),
      RUNS,
    );
  }, 60_000);

  test("holds each record once, in order, as it was at some time meanwhile", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(writes, { minLength: 10, maxLength: 40 }),
        fc.array(writes, { minLength: 1, maxLength: 20 }),
        queries,
        async (before, meanwhile, asked) => {
          const database = divided();
          for (const each of before) perform(database, each);
          const states = [await stateOf(database, before)];
          const answers = Promise.all(asked.map((query) => ask(database, query)));
          for (const each of meanwhile) {
            await turn();
            perform(database, each);
            states.push(await stateOf(database, [...before, ...meanwhile]));
          }
          const texts = await answers;
          asked.forEach((query, at) => {
            checkAnswer(query, texts[at] as string, states);
          });
        },
      ),
      RUNS,
    );
  }, 60_000);

  test("takes a turn a chunk, and others have theirs", async () => {
    const database = divided();
    insert(database, run(100));
    const long = database.history(history());
    expect(long).toBeInstanceOf(Promise);
    // Short answers are not delayed by a long one.
    expect(textOf(database.history(history({ limit: 2 })))).toBe(
      '[{"ts":0,"data":"x0"},{"ts":1,"data":"x1"}]',
    );
    expect(textOf(database.latest(latest({ doc: "d" })))).toBe('{"d":{"ts":99,"data":"x99"}}');
    expect(timesOf(await textLater(long))).toEqual(numbers(0, 100));
  });

  test("goes on from the exact timestamp in both directions, at the ends of 32 and 64 bits too", async () => {
    const database = divided();
    const steps = [-(2n ** 63n), -(2n ** 32n) - 2n, -2n, 2n ** 31n - 2n, 2n ** 32n - 2n, 2n ** 63n - 5n];
    const all = steps.flatMap((first) => [0n, 1n, 2n, 3n, 4n].map((step) => first + step));
    insert(
      database,
      all.map((ts) => ({ col: "c", doc: "d", ts: timestampFromBigInt(ts), data: "" })),
    );
    const tsOf = async (reverse: boolean): Promise<string[]> =>
      (parseAnswer(await textLater(database.history(history({ reverse })))) as AnsweredRecord[]).map(
        ({ ts }) => ts,
      );
    expect(await tsOf(false)).toEqual(all.map(String));
    expect(await tsOf(true)).toEqual(all.map(String).reverse());
  });

  test("goes on within a chunk where a pattern is looked for", async () => {
    const database = new MemoryDatabase({ longWork: IN_PIECES });
    insert(database, run(100));
    const where = "/[02468]$/";
    const even = numbers(0, 50).map((at) => 2 * at);
    const answers = [
      history({ where }),
      history({ where, reverse: true }),
      history({ where, limit: 30 }),
    ].map((each) => database.history(each));
    for (const answer of answers) expect(answer).toBeInstanceOf(Promise);
    const [oldest, newest, limited] = await Promise.all(answers.map(textLater));
    expect(timesOf(oldest as string)).toEqual(even);
    expect(timesOf(newest as string)).toEqual([...even].reverse());
    expect(timesOf(limited as string)).toEqual(even.slice(0, 30));
  });

  test("keeps its limit", async () => {
    const database = divided();
    insert(database, run(100));
    expect(timesOf(await textLater(database.history(history({ limit: 42 }))))).toEqual(numbers(0, 42));
    const newest = await textLater(
      database.history(history({ limit: 42, reverse: true, where: "/[02468]$/" })),
    );
    expect(timesOf(newest)).toEqual(
      numbers(8, 50)
        .map((at) => 2 * at)
        .reverse(),
    );
  });

  test("sees what is written ahead of it, and not what is written behind", async () => {
    const database = divided();
    insert(database, run(40));
    const answer = database.history(history());
    const record = (ts: number): InsertedRecord => ({ col: "c", doc: "d", ts: time(ts), data: "new" });
    insert(database, [record(-1), record(1000)]);
    expect(timesOf(await textLater(answer))).toEqual([...numbers(0, 40), 1000]);
  });

  test("ends where its document is deleted, also when there is a new one of that name", async () => {
    for (const remove of [
      (database: MemoryDatabase): Written => database.deleteDocument({ col: "c", doc: "d" }),
      (database: MemoryDatabase): Written => database.deleteCollection({ col: "c" }),
    ]) {
      const database = divided();
      insert(database, run(40));
      const answer = database.history(history());
      remove(database);
      insert(database, run(40, { data: "again" }));
      expect(timesOf(await textLater(answer))).toEqual(numbers(0, 4));
      expect(timesOf(await textLater(database.history(history())))).toEqual(numbers(0, 40));
    }
  });

  test("leaves out documents that are deleted meanwhile", async () => {
    const database = divided();
    const names = numbers(0, 3 * GROUP_DOCUMENTS).map((at) => `d${at}`);
    for (const doc of names) insert(database, run(1, { doc }));
    // Once they are sorted: what comes before is read too.
    await textLater(database.latest(latest()));
    const answer = database.latest(latest());
    // A group of documents is done in a turn, and these are of the last one.
    const [deleted, replaced] = names.sort().slice(-2) as [string, string];
    database.deleteDocument({ col: "", doc: deleted });
    database.deleteDocument({ col: "", doc: replaced });
    insert(database, run(1, { doc: replaced, data: "another" }));
    expect(Object.keys(JSON.parse(await textLater(answer)))).toEqual(names.slice(0, -2));
  });

  test("that grows too large is refused, and the next one is not", async () => {
    const options = { chunks: SMALL_CHUNKS, longWork: IN_PIECES, replyBytesMax: 100_000 };
    const database = new MemoryDatabase(options);
    insert(database, run(100, { data: "x".repeat(1000) }));
    const [tooLarge, small] = [database.history(history()), database.history(history({ limit: 20 }))];
    await expect(tooLarge).rejects.toMatchObject({ code: "reply_too_large" });
    expect(timesOf(await textLater(small))).toEqual(numbers(0, 20));
  });
});

describe("memory that is given back in pieces", () => {
  test("is all given back", async () => {
    const database = divided();
    for (const doc of ["d", "e", "f"]) insert(database, run(100, { doc }));
    database.deleteRange({ col: "c", doc: "d", fromTs: time(10), toTs: time(90) });
    database.deleteDocument({ col: "c", doc: "e" });
    database.deleteCollection({ col: "c" });
    expect(database.collections()).toBe("[]");
    expect(database.memory().usedBytes).toBeGreaterThan(0);
    await database.close();
    expect(database.memory().usedBytes).toBe(0);
  });

  test("does not delay a new collection of the same name", async () => {
    const database = divided();
    insert(database, run(100));
    database.deleteCollection({ col: "c" });
    insert(database, run(8, { data: "new" }));
    expect(database.counts()).toEqual({ collections: 1, documents: 1, records: 8, keyValues: 0 });
    await database.close();
    expect(timesOf(await textLater(database.history(history())))).toEqual(numbers(0, 8));
  });

  test("close() ends what is under way", async () => {
    const database = divided();
    insert(database, run(100));
    const answer = database.history(history());
    let isAnswered = false;
    void (answer as Promise<unknown>).then(() => {
      isAnswered = true;
    });
    await database.close();
    expect(isAnswered).toBe(true);
    expect(timesOf(await textLater(answer))).toEqual(numbers(0, 100));
  });
});

/** By collection and document: each record's text, by time. */
type State = Map<string, Map<string, string>>;
const placeOf = (col: string, doc: string): string => JSON.stringify([col, doc]);

/** All that a database holds of the documents that commands speak of. */
async function stateOf(database: MemoryDatabase, commands: readonly ModelCommand[]): Promise<State> {
  const state: State = new Map();
  for (const each of commands) {
    if (each.type !== "ins") continue;
    for (const { col, doc } of each.request) {
      if (state.has(placeOf(col, doc))) continue;
      // Read without a pause: the writes of the test come between turns.
      state.set(placeOf(col, doc), readWhole(database, col, doc));
    }
  }
  return state;
}

/** A document's records, one question a record: each of them is short enough to be answered at once. */
function readWhole(database: MemoryDatabase, col: string, doc: string): Map<string, string> {
  const records = new Map<string, string>();
  let to = MAX;
  for (;;) {
    const answer = textOf(database.history(history({ col, doc, to, limit: 1, reverse: true })));
    const [record] = parseAnswer(answer) as AnsweredRecord[];
    if (record === undefined) return records;
    records.set(record.ts, record.data);
    const ts = BigInt(record.ts);
    if (ts === -(2n ** 63n)) return records;
    to = timestampFromBigInt(ts - 1n);
  }
}

function checkAnswer(query: Query, text: string, states: readonly State[]): void {
  if (query.type === "qdoc") {
    const { col, doc, reverse, limit } = query.request;
    const records = parseAnswer(text) as AnsweredRecord[];
    if (limit > 0) expect(records.length).toBeLessThanOrEqual(limit);
    for (const [at, { ts, data }] of records.entries()) {
      expect(states.some((state) => state.get(placeOf(col, doc))?.get(ts) === data)).toBe(true);
      const previous = records[at - 1];
      if (previous === undefined) continue;
      expect(reverse ? BigInt(previous.ts) > BigInt(ts) : BigInt(previous.ts) < BigInt(ts)).toBe(true);
    }
    return;
  }
  const { col } = query.request;
  const documents = Object.entries(parseAnswer(text) as Record<string, AnsweredRecord>);
  const names = documents.map(([name]) => name);
  expect(names).toEqual([...new Set(names)].sort());
  for (const [doc, { ts, data }] of documents) {
    expect(states.some((state) => state.get(placeOf(col, doc))?.get(ts) === data)).toBe(true);
  }
}
