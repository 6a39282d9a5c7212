/**
 * What the handlers know of a database: one method a message, each returning a value, or a promise of it, which rejects
 * when whoever asks has gone.
 *
 * MemoryDatabase is the implementation; another one, on a server of its own, may stand behind the same interface.
 * Answers are JSON text, ready to be sent: the engine keeps records as the bytes they are sent as.
 */

import type { AsciiText } from "../protocol/ascii.ts";
import type { MessageType, Request } from "../protocol/messages.ts";
import type { InsertBatch } from "./insert_batch.ts";
import type { RawText } from "./raw_text.ts";

/**
 * When a write may be acknowledged: undefined for at once, or a promise that settles with the commit that holds it.
 *
 * All writes of one commit share one promise, so that a thousand waiting replies cost one continuation a connection.
 * It rejects with DatabaseError `storage_failed` when the disk did not take the commit.
 */
export type Written = Promise<void> | undefined;

/** JSON text that is bytes still: it becomes a string once, together with what the server puts around it. */
export interface AnswerBytes {
  readonly byteLength: number;
  /** The text with two others and an id before it and one behind it; to be called at once, and only once. */
  within(first: AsciiText, id: string | RawText, head: AsciiText, last: AsciiText): string;
}

/** JSON text. */
export type AnswerText = string | AnswerBytes;
export type Answer = AnswerText | Promise<AnswerText>;

/** Whoever asks for what may take several turns; when it has gone, nobody needs the answer. */
export interface Asker {
  readonly isGone: boolean;
}

/** Whether whoever asks may know of a collection. */
export type IsVisible = (collection: string) => boolean;

/**
 * A request whose names and values may be bytes of the frame that it came in. These are reused: they are what they are
 * until the call returns.
 */
export type RawRequest<Type extends MessageType> = {
  readonly [Field in keyof Request<Type>]: Field extends "col" | "doc" | "key" | "value"
    ? Request<Type>[Field] | RawText
    : Request<Type>[Field];
};

export interface Database {
  /**
   * Stores all records of a batch; a record at an existing `(col, doc, ts)` is replaced.
   *
   * The batch may be reused as soon as the call returns.
   *
   * @param isPrepared whether it is to be done now, however long it takes.
   * @throws NotReady where much has to be opened first; DatabaseError
   */
  insert(batch: InsertBatch, isPrepared?: boolean): Written;

  /**
   * `{DOC:RECORD,…}`, sorted by name: the latest record at or before `ts` of each document asked for.
   *
   * Like a history, it may take several turns of the event loop, and each record is as of when its part was read.
   */
  latest(query: RawRequest<"qry">, asker?: Asker): Answer;

  /**
   * `[RECORD,…]`: one document's records with `from <= ts <= to`; an unknown document has none.
   *
   * One that takes several turns of the event loop sees writes ahead of where it is, and not those behind. It ends
   * where its document is deleted.
   *
   * @throws DatabaseError `reply_too_large`, `bad_pattern`
   */
  history(query: RawRequest<"qdoc">, asker?: Asker): Answer;

  /** `[NAME,…]`, sorted: all, or those that are visible. */
  collections(isVisible?: IsVisible): Answer;

  /** Without a collection, in all of them, or in those that are visible. */
  deleteDocument(request: Request<"ddoc">, isVisible?: IsVisible): Written;
  deleteCollection(request: Request<"dcol">): Written;
  /** Of many records it may take several turns of the event loop, in which others see it half done. */
  deleteRecords(records: Request<"dmrec">): Written;
  deleteRange(range: Request<"drrng">): Written;

  setValue(request: RawRequest<"sval">): Written;
  /** The value as JSON text; `""` (with its quotes) when there is none. */
  value(query: RawRequest<"gval">): Answer;
  /** `{KEY:STRING,…}`, sorted, of the keys that match a literal or a pattern. */
  valuesMatching(query: Request<"gvalues">): Answer;
  removeValue(request: Request<"rval">): Written;
  /** `{KEY:STRING,…}`, sorted: all of a collection. */
  values(query: RawRequest<"gvals">): Answer;
  /** `[KEY,…]`, sorted. */
  valueKeys(query: Request<"gkeys">): Answer;
}
