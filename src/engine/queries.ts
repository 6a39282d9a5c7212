/**
 * What is asked of a collection with `qry`, `qdoc`, `gvalues` and others: which documents or keys, which records, and
 * their answer.
 */
import type { Request } from "../protocol/messages.ts";
import { readPattern } from "../protocol/pattern.ts";
import { TIMESTAMP_MIN } from "../protocol/timestamp.ts";
import type { Collection } from "./collection.ts";
import type { Answer, Asker, RawRequest } from "./database.ts";
import type { RenderTools } from "./key_values.ts";
import { LatestLookup } from "./latest_lookup.ts";
import type { LongWork } from "./long_work.ts";
import { type NameTools, selectByName } from "./name_selection.ts";
import { neverInline } from "./never_inline.ts";
import { PatternCache } from "./pattern_cache.ts";
import { PatternThread } from "./pattern_thread.ts";
import { Predicates } from "./predicate.ts";
import { RawText } from "./raw_text.ts";
import { type ReadingTools, readHistory, readLatest, readLatestLater, readLatestOf } from "./reading.ts";
import type { ReplyText } from "./reply_text.ts";
import { Selection } from "./selection.ts";
import { Series } from "./series.ts";

const EMPTY_TEXT = '""';
const EMPTY_OBJECT = "{}";
const EMPTY_ARRAY = "[]";

export type QueriesOptions = {
  readonly reply: ReplyText;
  readonly longWork: LongWork;
  readonly patternLengthMax: number;
  readonly replyBytesMax: number;
};

/** Patterns are compiled, and refused (DatabaseError `bad_pattern`), whether the collection is there or not. */
export class Queries {
  readonly #patterns: PatternCache;
  readonly #predicates: Predicates;
  readonly #thread = new PatternThread();
  readonly #nameTools: NameTools;
  readonly #readingTools: ReadingTools;
  readonly #renderTools: RenderTools;

  constructor({ reply, longWork, patternLengthMax, replyBytesMax }: QueriesOptions) {
    neverInline(this.#documentsLike);
    this.#patterns = new PatternCache({ lengthMax: patternLengthMax });
    this.#predicates = new Predicates(this.#patterns);
    this.#nameTools = { longWork, thread: this.#thread };
    this.#readingTools = { reply, lookup: new LatestLookup(), longWork };
    this.#renderTools = { longWork, replyBytesMax };
  }

  async close(): Promise<void> {
    await this.#thread.close();
  }

  latest(collection: Collection | undefined, query: RawRequest<"qry">, asker: Asker | undefined): Answer {
    const selection = this.#selectionOf(query);
    const from = query.from.high === 0 && query.from.low === 0 ? TIMESTAMP_MIN : query.from;
    const question = { at: query.ts, from, selection };
    const documents = this.#documentsFor(collection, query.doc);
    if (collection === undefined || documents === undefined) return EMPTY_OBJECT;
    const tools = this.#readingTools;
    if (documents instanceof Promise) {
      return documents.then((found) =>
        readLatestLater({ collection, documents: found, question, kept: undefined, asker }, tools),
      );
    }
    if (documents instanceof Series && selection === undefined)
      return readLatestOf(documents, question, tools);
    const all = documents instanceof Series ? [documents] : documents;
    const kept = query.doc === "" && selection === undefined ? collection.latestText : undefined;
    kept?.begin();
    return readLatest({ collection, documents: all, question, kept, asker }, tools);
  }

  history(collection: Collection | undefined, query: RawRequest<"qdoc">, asker: Asker | undefined): Answer {
    const selection = this.#selectionOf(query);
    const series = collection?.documents.get(query.doc);
    if (collection === undefined || series === undefined) return EMPTY_ARRAY;
    return readHistory({ collection, series, range: query, selection, asker }, this.#readingTools);
  }

  values(collection: Collection | undefined): Answer {
    return collection?.values.render(this.#renderTools) ?? EMPTY_OBJECT;
  }

  valueKeys(collection: Collection | undefined): Answer {
    return collection?.values.renderKeys(this.#renderTools) ?? EMPTY_ARRAY;
  }

  valuesMatching(collection: Collection | undefined, query: Request<"gvalues">): Answer {
    const { key } = query;
    const pattern = readPattern(key);
    const compiled = pattern === undefined ? undefined : this.#patterns.get(pattern);
    if (collection === undefined) return EMPTY_OBJECT;
    const { values } = collection;
    if (compiled === undefined)
      return `{${values.entryText(RawText.of(key)) ?? `${JSON.stringify(key)}:${EMPTY_TEXT}`}}`;
    const prepared = values.prepareKeys(this.#renderTools.longWork);
    if (prepared !== undefined) return prepared.then(() => this.valuesMatching(collection, query));
    const keys = selectByName(values.keys(), (name) => name, compiled, this.#nameTools);
    const render = (found: readonly string[]) => values.renderOnly(found, this.#renderTools);
    return keys instanceof Promise ? keys.then(render) : render(keys);
  }

  /** The documents that a query names: all, those that match a pattern, or one. Undefined where there is none. */
  #documentsFor(
    collection: Collection | undefined,
    doc: string | RawText,
  ): Series | readonly Series[] | Promise<readonly Series[]> | undefined {
    return typeof doc === "string" ? this.#documentsLike(collection, doc) : collection?.documents.get(doc);
  }

  /** The same of a name that is not as it stood in a frame, or a pattern. */
  #documentsLike(
    collection: Collection | undefined,
    doc: string,
  ): Series | readonly Series[] | Promise<readonly Series[]> | undefined {
    if (doc === "") return collection && this.#allDocuments(collection);
    const pattern = readPattern(doc);
    if (pattern === undefined) return collection?.documents.get(doc);
    const compiled = this.#patterns.get(pattern);
    return collection?.matches.find(doc, compiled, this.#nameTools);
  }

  /** By name. */
  #allDocuments({ documents }: Collection): readonly Series[] | Promise<readonly Series[]> {
    const prepared = documents.prepareSorted(this.#readingTools.longWork);
    return prepared === undefined ? documents.sorted() : prepared.then(() => documents.sorted());
  }

  #selectionOf(query: { where: string; filter: string }): Selection | undefined {
    const predicate = this.#predicates.of(query);
    return predicate && new Selection(predicate, this.#thread);
  }
}
