/**
 * Reads a history of any length page by page: each page asks for what comes after the last time of the one before.
 *
 * The next page is on its way while one is being worked on. A record that is written or deleted meanwhile is seen or
 * not, depending on where the reading is; all others come once each, in order.
 */
import { FluxionError } from "./fluxion_error.ts";
import { checkTimestamp, TIMESTAMP_MAX, TIMESTAMP_MIN } from "./request_text.ts";
import type { DataRecord, HistoryQuery, PagedHistoryQuery, Timestamp } from "./types.ts";

/** One request: records and how large their reply was. */
export type ReadPage = (
  query: HistoryQuery,
  signal: AbortSignal,
) => Promise<{ readonly records: readonly DataRecord[]; readonly replyLength: number }>;

type Page = Awaited<ReturnType<ReadPage>>;

const FIRST_PAGE_RECORDS = 1000;
const PAGE_RECORDS_MAX = 100_000;
/** Large enough that the turn-around does not matter, small enough to be read while others are served. */
const PAGE_LENGTH_TARGET = 2 * 1024 * 1024;
/** A page is at most so many times as long as the one before: the next records may be larger. */
const GROWTH_MAX = 4;

export async function* historyPages(
  readPage: ReadPage,
  { pageRecords = FIRST_PAGE_RECORDS, limit = 0, ...query }: PagedHistoryQuery,
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly DataRecord[], void, void> {
  if (!Number.isInteger(pageRecords) || pageRecords < 1) {
    throw new FluxionError("bad_request", `pageRecords: expected a positive integer, got ${pageRecords}`);
  }
  const from = checkTimestamp(query.from ?? TIMESTAMP_MIN, "from");
  const to = checkTimestamp(query.to ?? TIMESTAMP_MAX, "to");
  const stop = new AbortController();
  const either = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  const reader = new PageReader(readPage, either, pageRecords);
  let rest: HistoryQuery | undefined = {
    ...query,
    from,
    to,
    limit: limit > 0 ? limit : Number.POSITIVE_INFINITY,
  };
  let next: Promise<PageRead> | undefined = reader.read(rest);
  try {
    while (next !== undefined && rest !== undefined) {
      const page: PageRead = await next;
      rest = following(rest, page);
      next = rest && reader.read(rest);
      // Whoever waits for it is told; nobody does when the caller leaves the loop.
      next?.catch(() => {});
      if (page.records.length > 0) yield page.records;
    }
  } finally {
    stop.abort();
  }
}

/** A page, and how many records it was asked for. */
type PageRead = Page & { readonly asked: number };

class PageReader {
  readonly #readPage: ReadPage;
  readonly #signal: AbortSignal;
  #pageRecords: number;

  constructor(readPage: ReadPage, signal: AbortSignal, pageRecords: number) {
    this.#readPage = readPage;
    this.#signal = signal;
    this.#pageRecords = pageRecords;
  }

  async read(query: HistoryQuery): Promise<PageRead> {
    for (;;) {
      const asked = Math.min(this.#pageRecords, query.limit as number);
      try {
        const page = await this.#readPage({ ...query, limit: asked }, this.#signal);
        this.#adapt(page);
        return { ...page, asked };
      } catch (error) {
        if (!(error instanceof FluxionError) || error.code !== "reply_too_large" || asked === 1) throw error;
        this.#pageRecords = Math.ceil(asked / 2);
      }
    }
  }

  #adapt({ records, replyLength }: Page): void {
    if (records.length === 0) return;
    const fitting = Math.floor((PAGE_LENGTH_TARGET / replyLength) * records.length);
    this.#pageRecords = Math.max(1, Math.min(fitting, records.length * GROWTH_MAX, PAGE_RECORDS_MAX));
  }
}

/** What is left to read after a page, or undefined when there is nothing. */
function following(query: HistoryQuery, { records, asked }: PageRead): HistoryQuery | undefined {
  const last = records.at(-1);
  if (last === undefined || records.length < asked) return undefined;
  const limit = (query.limit as number) - records.length;
  if (limit <= 0) return undefined;
  const ts = BigInt(last.ts);
  const next = query.reverse ? ts - 1n : ts + 1n;
  if (next < BigInt(query.from as Timestamp) || next > BigInt(query.to as Timestamp)) return undefined;
  return { ...query, limit, ...(query.reverse ? { to: next } : { from: next }) };
}
