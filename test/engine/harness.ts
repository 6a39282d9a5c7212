/**
 * Runs one random command against the database and the model, and holds the answers against each other.
 */
import { expect } from "bun:test";
import type { ChunkStore } from "../../src/engine/chunk_store.ts";
import type { Answer, Written } from "../../src/engine/database.ts";
import { InsertBatch } from "../../src/engine/insert_batch.ts";
import type { MemoryDatabase } from "../../src/engine/memory_database.ts";
import { Name } from "../../src/engine/name.ts";
import { NotReady } from "../../src/engine/not_ready.ts";
import type { SeriesHost } from "../../src/engine/series_host.ts";
import { asciiText } from "../../src/protocol/ascii.ts";
import { timestampFromBigInt } from "../../src/protocol/timestamp.ts";
import type { ValueRows } from "../../src/storage/storage.ts";
import { textsIn } from "../../src/storage/text_list.ts";
import type { ModelCommand } from "./commands.ts";
import type { ModelDatabase } from "./model.ts";

/** Chunks that split, seal, pack and re-open all the time. */
export const SMALL_CHUNKS = {
  chunkRecordsMax: 4,
  chunkTextBytesMax: 400,
  restSeconds: 0,
  unpackedBytesMax: 2000,
};

/** A checkpoint of more than two changes takes several portions, and more is written between them. */
export const SMALL_PORTIONS = { bytes: 200, lastCount: 1 };

/** What is asked in one turn of the event loop is answered in it. */
export const AT_ONCE = { portionMs: Number.POSITIVE_INFINITY };

/** Nothing that can be divided is done in one turn. */
export const IN_PIECES = { portionMs: 0, unitsALook: 0 };

const NOTHING = asciiText("");
const batch = new InsertBatch();

/** An answer that did not need several turns. */
export function textOf(answer: Answer): string {
  if (answer instanceof Promise) throw new Error("The answer is still to come");
  return typeof answer === "string" ? answer : answer.within(NOTHING, "", NOTHING, NOTHING);
}

/** One that may take several turns; bytes are read at once, before another answer takes their place. */
export async function textLater(answer: Answer): Promise<string> {
  return textOf(answer instanceof Promise ? await answer : answer);
}

/** JSON with timestamps as text, since they may be beyond 2^53. */
export function parseAnswer(text: string): unknown {
  return JSON.parse(text, (key, value, context?: { source?: string }) =>
    key === "ts" && typeof value === "number" ? context?.source : value,
  );
}

/** @returns when a write is committed; undefined where nothing has to be waited for */
export function runCommand(command: ModelCommand, database: MemoryDatabase, model: ModelDatabase): Written {
  switch (command.type) {
    case "ins":
      batch.clear();
      for (const record of command.request) batch.add(record);
      model.insert(command.request);
      return database.insert(batch);
    case "qry": {
      const answer = parseAnswer(textOf(database.latest(command.request))) as object;
      const expected = model.latest(command.request) as object;
      expect(answer).toEqual(expected);
      expect(Object.keys(answer)).toEqual(Object.keys(expected));
      break;
    }
    case "qdoc":
      expect(parseAnswer(textOf(database.history(command.request)))).toEqual(model.history(command.request));
      break;
    case "ddoc":
      model.deleteDocument(command.request);
      return database.deleteDocument(command.request);
    case "dcol":
      model.deleteCollection(command.request);
      return database.deleteCollection(command.request);
    case "dmrec":
      for (const { col, doc, ts } of command.request) model.deleteRange({ col, doc, fromTs: ts, toTs: ts });
      return database.deleteRecords(command.request);
    case "drrng":
      model.deleteRange(command.request);
      return database.deleteRange(command.request);
    case "sval":
      model.setValue(command.request);
      return database.setValue(command.request);
    case "rval":
      model.removeValue(command.request);
      return database.removeValue(command.request);
    case "rest":
      // Everything that is sealed is packed now, and the next command opens or unpacks it again.
      while (database.tidy(restClock++)) {}
      break;
    case "shortage":
      // What is on disk is let go, and the next command reads it back.
      while (database.reclaim()) {}
      break;
  }
  return undefined;
}

let restClock = 1;

/** Inserts a batch as the server does: what has to be opened first is opened between other requests. */
export async function insertReady(database: MemoryDatabase, records: InsertBatch): Promise<void> {
  try {
    await database.insert(records);
  } catch (error) {
    if (!(error instanceof NotReady)) throw error;
    await error.ready;
    await database.insert(records);
  }
}

/** Does to a map what a checkpoint's rows do to a file; returns the keys. */
export function saveRows(saved: Map<string, string>, rows: ValueRows): string[] {
  const texts = [...textsIn(rows)].map((text) =>
    text === undefined ? undefined : (JSON.parse(`"${text}"`) as string),
  );
  const keys: string[] = [];
  for (let at = 0; at < texts.length; at += 2) {
    const key = texts[at] as string;
    const value = texts[at + 1];
    keys.push(key);
    if (value === undefined) saved.delete(key);
    else saved.set(key, value);
  }
  return keys;
}

/** Compares all that both hold. */
export function compareWhole(database: MemoryDatabase, model: ModelDatabase): void {
  expect(JSON.parse(textOf(database.collections()))).toEqual(model.collections());
  let documents = 0;
  let records = 0;
  let keyValues = 0;
  for (const [col, collection] of model.collectionMap) {
    const all = { col, ts: MAX, doc: "", from: ZERO, where: "", filter: "" };
    expect(parseAnswer(textOf(database.latest(all)))).toEqual(model.latest(all));
    for (const [doc, document] of collection.documents) {
      const query = { col, doc, from: MIN, to: MAX, limit: 0, reverse: false, where: "", filter: "" };
      expect(parseAnswer(textOf(database.history(query)))).toEqual(model.history(query));
      documents++;
      records += document.size;
    }
    expect(JSON.parse(textOf(database.values({ col })))).toEqual(model.values({ col }));
    keyValues += Object.keys(model.values({ col })).length;
    expect(JSON.parse(textOf(database.valueKeys({ col })))).toEqual(Object.keys(model.values({ col })));
  }
  expect(database.counts()).toEqual({ collections: model.collectionMap.size, documents, records, keyValues });
}

const ZERO = timestampFromBigInt(0n);
const MIN = timestampFromBigInt(-(2n ** 63n));
const MAX = timestampFromBigInt(2n ** 63n - 1n);

/** A document's collection, as far as a series needs one, in memory only. */
export function hostOf(chunks: ChunkStore, chunkChanged: SeriesHost["chunkChanged"] = () => {}): SeriesHost {
  return {
    name: new Name("c", chunks.slabs),
    chunks,
    recordCount: 0,
    chunkChanged,
    chunkAdded: () => {},
    chunkRemoved: () => {},
    latestChanged: () => {},
    readChunk: () => {
      throw new Error("Nothing is on disk");
    },
    free: () => {},
  };
}
