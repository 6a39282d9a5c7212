/**
 * The obvious database: a sorted map. What the real one answers is compared with this one's answers.
 */
import type { Request } from "../../src/protocol/messages.ts";
import { readPattern } from "../../src/protocol/pattern.ts";
import { timestampToBigInt } from "../../src/protocol/timestamp.ts";

type ModelRecord = { ts: bigint; data: string };
type ModelCollection = { documents: Map<string, Map<bigint, string>>; values: Map<string, string> };

export type InsertedRecord = Request<"ins">[number];

export class ModelDatabase {
  readonly collectionMap = new Map<string, ModelCollection>();

  insert(records: readonly InsertedRecord[]): void {
    for (const { col, doc, ts, data } of records) {
      const { documents } = this.#collection(col);
      const document = documents.get(doc) ?? new Map<bigint, string>();
      documents.set(doc, document);
      document.set(timestampToBigInt(ts), data);
    }
  }

  latest(query: Request<"qry">): unknown {
    const at = timestampToBigInt(query.ts);
    const from = timestampToBigInt(query.from);
    const pattern = readPattern(query.doc);
    const result: [string, unknown][] = [];
    for (const doc of this.#documentNames(query.col)) {
      if (pattern ? !matches(doc, query.doc) : query.doc !== "" && query.doc !== doc) continue;
      const record = this.#records(query.col, doc).findLast(({ ts }) => ts <= at);
      if (record === undefined || (from !== 0n && record.ts < from) || !isKept(record, query)) continue;
      result.push([doc, shown(record)]);
    }
    // Unlike an assignment, this makes a property of `__proto__` too.
    return Object.fromEntries(result);
  }

  history(query: Request<"qdoc">): unknown {
    const from = timestampToBigInt(query.from);
    const to = timestampToBigInt(query.to);
    const kept = this.#records(query.col, query.doc).filter(
      (record) => record.ts >= from && record.ts <= to && isKept(record, query),
    );
    if (query.reverse) kept.reverse();
    return (query.limit > 0 ? kept.slice(0, query.limit) : kept).map(shown);
  }

  collections(): string[] {
    return [...this.collectionMap.keys()].sort();
  }

  deleteDocument({ doc, col }: Request<"ddoc">): void {
    for (const name of col === "" ? this.collections() : [col]) {
      this.collectionMap.get(name)?.documents.delete(doc);
      this.#dropIfEmpty(name);
    }
  }

  deleteCollection({ col }: Request<"dcol">): void {
    this.collectionMap.delete(col);
  }

  deleteRange({ col, doc, fromTs, toTs }: Request<"drrng">): void {
    const from = timestampToBigInt(fromTs);
    const to = timestampToBigInt(toTs);
    const documents = this.collectionMap.get(col)?.documents;
    const document = documents?.get(doc);
    if (document === undefined) return;
    for (const ts of document.keys()) if (ts >= from && ts <= to) document.delete(ts);
    if (document.size === 0) documents?.delete(doc);
    this.#dropIfEmpty(col);
  }

  setValue({ col, key, value }: Request<"sval">): void {
    this.#collection(col).values.set(key, value);
  }

  removeValue({ col, key }: Request<"rval">): void {
    this.collectionMap.get(col)?.values.delete(key);
    this.#dropIfEmpty(col);
  }

  values({ col }: Request<"gvals">): Record<string, string> {
    const values = this.collectionMap.get(col)?.values ?? new Map<string, string>();
    return Object.fromEntries([...values.keys()].sort().map((key) => [key, values.get(key) as string]));
  }

  #collection(name: string): ModelCollection {
    const collection = this.collectionMap.get(name) ?? { documents: new Map(), values: new Map() };
    this.collectionMap.set(name, collection);
    return collection;
  }

  #dropIfEmpty(name: string): void {
    const collection = this.collectionMap.get(name);
    if (collection?.documents.size === 0 && collection.values.size === 0) this.collectionMap.delete(name);
  }

  #documentNames(col: string): string[] {
    return [...(this.collectionMap.get(col)?.documents.keys() ?? [])].sort();
  }

  #records(col: string, doc: string): ModelRecord[] {
    const document = this.collectionMap.get(col)?.documents.get(doc) ?? new Map<bigint, string>();
    return [...document]
      .map(([ts, data]) => ({ ts, data }))
      .sort((a, b) => (a.ts < b.ts ? -1 : a.ts > b.ts ? 1 : 0));
  }
}

/** Timestamps as text: a parsed reply would round them. */
const shown = ({ ts, data }: ModelRecord): { ts: string; data: string } => ({ ts: String(ts), data });

function isKept({ data }: ModelRecord, { where, filter }: { where: string; filter: string }): boolean {
  if (where !== "" && !matches(data, where)) return false;
  return filter === "" || !matches(data, filter);
}

/** The built-in engine may serve here: the tests' patterns are tame. */
function matches(text: string, wanted: string): boolean {
  const pattern = readPattern(wanted);
  return pattern ? new RegExp(pattern.source, `${pattern.flags}u`).test(text) : text.includes(wanted);
}
