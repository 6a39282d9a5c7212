/**
 * Runs one random command against the database and the model, and holds the answers against each other.
 */
import { expect } from "bun:test";
import { InsertBatch } from "../../src/engine/insert_batch.ts";
import type { MemoryDatabase } from "../../src/engine/memory_database.ts";
import { timestampFromBigInt } from "../../src/protocol/timestamp.ts";
import type { ModelCommand } from "./commands.ts";
import type { ModelDatabase } from "./model.ts";

const batch = new InsertBatch();

/** JSON with timestamps as text, since they may be beyond 2^53. */
export function parseAnswer(text: string): unknown {
  return JSON.parse(text, (key, value, context?: { source?: string }) =>
    key === "ts" && typeof value === "number" ? context?.source : value,
  );
}

export function runCommand(command: ModelCommand, database: MemoryDatabase, model: ModelDatabase): void {
  switch (command.type) {
    case "ins":
      batch.clear();
      for (const record of command.request) batch.add(record);
      database.insert(batch);
      model.insert(command.request);
      break;
    case "qry": {
      const answer = parseAnswer(database.latest(command.request)) as object;
      const expected = model.latest(command.request) as object;
      expect(answer).toEqual(expected);
      expect(Object.keys(answer)).toEqual(Object.keys(expected));
      break;
    }
    case "qdoc":
      expect(parseAnswer(database.history(command.request))).toEqual(model.history(command.request));
      break;
    case "ddoc":
      database.deleteDocument(command.request);
      model.deleteDocument(command.request);
      break;
    case "dcol":
      database.deleteCollection(command.request);
      model.deleteCollection(command.request);
      break;
    case "dmrec":
      database.deleteRecords(command.request);
      for (const { col, doc, ts } of command.request) model.deleteRange({ col, doc, fromTs: ts, toTs: ts });
      break;
    case "drrng":
      database.deleteRange(command.request);
      model.deleteRange(command.request);
      break;
    case "sval":
      database.setValue(command.request);
      model.setValue(command.request);
      break;
    case "rval":
      database.removeValue(command.request);
      model.removeValue(command.request);
      break;
    case "rest":
      // Everything that is sealed is packed now, and the next command opens or unpacks it again.
      while (database.tidy(restClock++)) {}
      break;
  }
}

let restClock = 1;

/** Compares all that both hold. */
export function compareWhole(database: MemoryDatabase, model: ModelDatabase): void {
  expect(JSON.parse(database.collections())).toEqual(model.collections());
  let documents = 0;
  let records = 0;
  for (const [col, collection] of model.collectionMap) {
    const all = { col, ts: MAX, doc: "", from: ZERO, where: "", filter: "" };
    expect(parseAnswer(database.latest(all))).toEqual(model.latest(all));
    for (const [doc, document] of collection.documents) {
      const query = { col, doc, from: MIN, to: MAX, limit: 0, reverse: false, where: "", filter: "" };
      expect(parseAnswer(database.history(query))).toEqual(model.history(query));
      documents++;
      records += document.size;
    }
    expect(JSON.parse(database.values({ col }))).toEqual(model.values({ col }));
    expect(JSON.parse(database.valueKeys({ col }))).toEqual(Object.keys(model.values({ col })));
  }
  expect(database.counts()).toEqual({ collections: model.collectionMap.size, documents, records });
}

const ZERO = timestampFromBigInt(0n);
const MIN = timestampFromBigInt(-(2n ** 63n));
const MAX = timestampFromBigInt(2n ** 63n - 1n);
