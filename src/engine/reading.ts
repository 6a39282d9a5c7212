/**
 * Answers `qry` and `qdoc`: at once where that is short, and else in portions between other clients' requests.
 *
 * A reply that takes several turns is no snapshot: each record is as it was when its part was read. What is written
 * meanwhile is seen where reading has not come yet; what is deleted meanwhile is missing from there on. Each record
 * appears once, and in order.
 */
import { CLOSE_BRACE, CLOSE_BRACKET, OPEN_BRACE, OPEN_BRACKET } from "../protocol/ascii.ts";
import type { Collection } from "./collection.ts";
import type { Answer, AnswerText, Asker } from "./database.ts";
import type { HistoryRange } from "./history_range.ts";
import type { LatestLookup } from "./latest_lookup.ts";
import type { LatestText } from "./latest_text.ts";
import type { LongWork, Task } from "./long_work.ts";
import { neverInline } from "./never_inline.ts";
import type { ReplyText } from "./reply_text.ts";
import type { Selection } from "./selection.ts";
import type { LatestQuestion, Series } from "./series.ts";

export type ReadingTools = {
  /** Shared by all short answers; a long one gets a text of its own. */
  readonly reply: ReplyText;
  readonly lookup: LatestLookup;
  readonly longWork: LongWork;
};

export type LatestReading = {
  readonly collection: Collection;
  /** By name. It must not change: those that come meanwhile are not in it, and those that go are left out. */
  readonly documents: readonly Series[];
  readonly question: LatestQuestion;
  /** Where it may be found ready, if it is asked for more than once. */
  readonly kept: LatestText | undefined;
  readonly asker: Asker | undefined;
};

export type HistoryReading = {
  readonly collection: Collection;
  readonly series: Series;
  readonly range: HistoryRange;
  readonly selection: Selection | undefined;
  readonly asker: Asker | undefined;
};

/** What a block of documents that is ready costs to copy, in LongWork's units. */
const BLOCK_UNITS = 4;
/** What looking at some documents with a selection costs: enough to look at the clock. */
const PATTERN_UNITS = 64;
/** Making a string of so much, and sending it, takes as long as a portion of reading, and has a turn of its own. */
const LARGE_REPLY_BYTES = 1024 * 1024;

neverInline(readLatest, readLatestOf, readHistory);

/** `{DOC:RECORD,…}` in the order of the documents. */
export function readLatest(reading: LatestReading, tools: ReadingTools): Answer {
  const { reply, longWork } = tools;
  reply.clear();
  const next = writeLatest(reading, 0, reply, tools);
  if (next < reading.documents.length || reply.length > LARGE_REPLY_BYTES) {
    const ownReply = reply.moveOut();
    const task = goOnWithLatest(reading, next, ownReply, tools);
    const rest = longWork.finish(task, reading.question.selection?.pending, reading.asker);
    return rest.then(() => endLatest(ownReply));
  }
  return endLatest(reply);
}

/** The same for whoever has waited: others have used the shared reply meanwhile, and will before this one is sent. */
export async function readLatestLater(reading: LatestReading, tools: ReadingTools): Promise<AnswerText> {
  tools.reply.clear();
  const ownReply = tools.reply.moveOut();
  await tools.longWork.finish(goOnWithLatest(reading, 0, ownReply, tools), undefined, reading.asker);
  return endLatest(ownReply);
}

/** The same of one document, whatever its record says. */
export function readLatestOf(series: Series, question: LatestQuestion, { reply }: ReadingTools): AnswerText {
  reply.clear();
  series.writeLatest(reply, question);
  return endLatest(reply);
}

/** `[RECORD,…]` */
export function readHistory(reading: HistoryReading, { reply, longWork }: ReadingTools): Answer {
  reply.clear();
  const { selection } = reading;
  const rest = reading.series.writeHistory(reply, reading.range, { selection, longWork });
  if (rest !== undefined || reply.length > LARGE_REPLY_BYTES) {
    const ownReply = reply.moveOut();
    return longWork
      .finish(goOnWithHistory(reading, rest, ownReply, longWork), selection?.pending, reading.asker)
      .then(() => endHistory(ownReply));
  }
  return endHistory(reply);
}

function* goOnWithLatest(reading: LatestReading, start: number, reply: ReplyText, tools: ReadingTools): Task {
  const { selection } = reading.question;
  for (let at = start; at < reading.documents.length && !reading.collection.isGone; ) {
    at = writeLatest(reading, at, reply, tools);
    reply.replaceFirst(OPEN_BRACE);
    reply.cut();
    if (at < reading.documents.length || reply.byteLength > LARGE_REPLY_BYTES) yield selection?.pending;
  }
}

function* goOnWithHistory(
  { collection, series, selection }: HistoryReading,
  start: HistoryRange | undefined,
  reply: ReplyText,
  longWork: LongWork,
): Task {
  let rest = start;
  while (rest !== undefined && !series.isGone && !collection.isGone) {
    rest = series.writeHistory(reply, rest, { selection, longWork });
    reply.replaceFirst(OPEN_BRACKET);
    reply.cut();
    if (rest !== undefined || reply.byteLength > LARGE_REPLY_BYTES) yield selection?.pending;
  }
}

/** Returns with which document to go on. */
function writeLatest(
  { documents, question, kept }: LatestReading,
  start: number,
  reply: ReplyText,
  { lookup, longWork }: ReadingTools,
): number {
  const { selection } = question;
  for (let at = start; at < documents.length; ) {
    let units = PATTERN_UNITS;
    const block = kept?.blockAt(documents, at);
    if (kept !== undefined && block?.isAfter(question.at) === false) {
      units = BLOCK_UNITS + kept.write(reply, block, question);
      at += block.count;
    } else {
      // As far as the next block begins, which may serve again.
      const end = block === undefined ? documents.length : at + block.count;
      const count = lookup.write(reply, documents, at, end, question);
      at += count;
      if (selection === undefined) units = count;
    }
    if (selection?.pending !== undefined || longWork.isTurnOver(units)) return at;
  }
  return documents.length;
}

function endLatest(reply: ReplyText): AnswerText {
  return end(reply, OPEN_BRACE, CLOSE_BRACE);
}

function endHistory(reply: ReplyText): AnswerText {
  return end(reply, OPEN_BRACKET, CLOSE_BRACKET);
}

/** Each record begins with its comma; the first one's place is the bracket's. */
function end(reply: ReplyText, open: number, close: number): AnswerText {
  if (reply.byteLength === 0) reply.byte(open);
  else reply.replaceFirst(open);
  reply.byte(close);
  return reply;
}
