/**
 * The records of one `ins`, in columns: checked, rendered, and not yet in any series.
 *
 * A batch is filled whole before anything is stored, so a bad record leaves nothing behind. Its text is what the
 * series and the journal take over as it is: `,{"ts":…,"data":"…"}` a record, `data` in canonical form, which is
 * what `JSON.stringify` makes of a string, in UTF-8. One batch is reused for all frames and grows to the largest.
 */
import type { Timestamp } from "../protocol/timestamp.ts";
import { isBefore, timestampToText } from "../protocol/timestamp.ts";

/** One record's integers in `InsertBatch.columns`, at `index * COLUMNS + column`. */
export const COLUMN_COLLECTION_START = 0;
export const COLUMN_COLLECTION_END = 1;
export const COLUMN_DOCUMENT_START = 2;
export const COLUMN_DOCUMENT_END = 3;
export const COLUMN_TS_HIGH = 4;
export const COLUMN_TS_LOW = 5;
export const COLUMN_TEXT_END = 6;
/** What hashBytes makes of the document's name, or 0 where nobody has asked it. */
export const COLUMN_DOCUMENT_HASH = 7;
export const COLUMNS = 8;

const RECORDS_AT_FIRST = 1024;
const TEXT_BYTES_AT_FIRST = 256 * 1024;
const NAME_BYTES_AT_FIRST = 16 * 1024;
/** Text that a large frame made grow beyond this is given up when so many batches have not needed it. */
const TEXT_BYTES_KEPT = 4 * 1024 * 1024;
const BATCHES_KEPT = 1000;

/** A batch on its way between threads. */
export type BatchParts = {
  readonly count: number;
  readonly textLength: number;
  readonly text: ArrayBuffer;
  readonly columns: ArrayBuffer;
  readonly names: ArrayBuffer;
  readonly places: ArrayBuffer | undefined;
};

/** Up to which record, how much text they may have, and what they are to be older than. */
type Bounds = {
  readonly end: number;
  readonly textBytes: number;
  readonly before: { startsAfter(high: number, low: number): boolean } | undefined;
};

/** A record in a batch's text, and its timestamp. */
type PointedRecord = { from: number; to: number; high: number; low: number };

/** Where records lie: see the batch's properties of these names. */
export type BatchMemory = Pick<InsertBatch, "columns" | "text" | "textBytes" | "textView">;

export class InsertBatch {
  /** How many records there are. */
  count = 0;
  /** Where names lie in `names`, the timestamp's halves, and where each record's text ends. */
  columns = new Int32Array(RECORDS_AT_FIRST * COLUMNS);
  /** The rendered records, one after another. */
  text: Buffer = Buffer.allocUnsafeSlow(TEXT_BYTES_AT_FIRST);
  /** The same memory for loops, which are slower where they meet Buffers and plain arrays in turn. */
  textBytes = new Uint8Array(this.text.buffer);
  textView = new DataView(this.text.buffer);
  textLength = 0;
  /** Names as the inside of a JSON string, UTF-8, in any valid escaped form. The scanner points this at the frame. */
  names: Buffer;
  /** Where each record stood in the request, if that is not where it stands here. */
  places: Int32Array | undefined;

  /** Its own memory while it shows another. */
  #own: BatchMemory | undefined;
  /** How many batches in a row have not needed all that text. */
  #spareBatches = 0;
  readonly #ownNames: { bytes: Buffer; length: number };

  constructor() {
    this.names = Buffer.allocUnsafeSlow(NAME_BYTES_AT_FIRST);
    this.#ownNames = { bytes: this.names, length: 0 };
  }

  /** The batch that another thread has filled. */
  static of({ count, textLength, text, columns, names, places }: BatchParts): InsertBatch {
    const batch = new InsertBatch();
    batch.count = count;
    batch.columns = new Int32Array(columns);
    batch.names = Buffer.from(names);
    batch.places = places && new Int32Array(places);
    batch.textLength = textLength;
    batch.#useText(Buffer.from(text));
    return batch;
  }

  /** All that it holds, to be handed over: neither the batch nor what it was read from can be used after that. */
  parts(): BatchParts {
    const { count, textLength } = this;
    const [text, columns, names] = [this.text.buffer, this.columns.buffer, this.names.buffer];
    return { count, textLength, text, columns, names, places: this.places?.buffer } as BatchParts;
  }

  /** Frees its memory at once, instead of when the garbage is collected. It is void from then on. */
  free(): void {
    const { text, columns, names, places } = this.parts();
    for (const buffer of [text, columns, names, places]) if (buffer?.detached === false) buffer.transfer(0);
  }

  clear(): void {
    if (this.#own !== undefined) this.#use(this.#own);
    this.#own = undefined;
    if (this.text.length > TEXT_BYTES_KEPT) this.#shrink();
    this.count = 0;
    this.textLength = 0;
    this.#ownNames.length = 0;
    this.names = this.#ownNames.bytes;
    this.places = undefined;
  }

  /** Makes room for `bytes` more of text, and for writes of eight at a time; `text` may be another buffer afterwards. */
  reserveText(bytes: number): void {
    const needed = this.textLength + bytes + 8;
    if (needed <= this.text.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.text.length * 2));
    this.text.copy(larger, 0, 0, this.textLength);
    this.#useText(larger);
  }

  /** Makes room for `count` more records' columns; `columns` may be another array afterwards. */
  reserveColumns(count = 1): void {
    const needed = (this.count + count) * COLUMNS;
    if (needed <= this.columns.length) return;
    const larger = new Int32Array(Math.max(needed, this.columns.length * 2));
    larger.set(this.columns);
    this.columns = larger;
  }

  /** Stands for records that lie elsewhere, laid out as here, until the next `clear`: to these nothing is added. */
  show(memory: BatchMemory, count: number): void {
    const { columns, text, textBytes, textView } = this;
    this.#own ??= { columns, text, textBytes, textView };
    this.#use(memory);
    this.count = count;
    this.textLength = memory.columns[count * COLUMNS - COLUMNS + COLUMN_TEXT_END] as number;
  }

  /** Adds such records; their text ends where the last one of them says. */
  addRows({ columns, text }: BatchMemory, count: number): void {
    const size = (columns[count * COLUMNS - COLUMNS + COLUMN_TEXT_END] as number) - this.textLength;
    this.reserveText(size);
    this.reserveColumns(count);
    text.copy(this.text, this.textLength, 0, size);
    this.columns.set(columns.subarray(0, count * COLUMNS), this.count * COLUMNS);
    this.textLength += size;
    this.count += count;
  }

  /** Adds one record from plain values: the way for everything the scanner leaves to the schema. */
  add(record: { col: string; doc: string; ts: Timestamp; data: string }): void {
    this.reserveColumns();
    const { columns } = this;
    const row = this.count * COLUMNS;
    columns[row + COLUMN_COLLECTION_START] = this.#ownNames.length;
    columns[row + COLUMN_COLLECTION_END] = this.#addName(record.col);
    columns[row + COLUMN_DOCUMENT_START] = this.#ownNames.length;
    columns[row + COLUMN_DOCUMENT_END] = this.#addName(record.doc);
    columns[row + COLUMN_DOCUMENT_HASH] = 0;
    columns[row + COLUMN_TS_HIGH] = record.ts.high;
    columns[row + COLUMN_TS_LOW] = record.ts.low;
    const text = `,{"ts":${timestampToText(record.ts)},"data":${JSON.stringify(record.data)}}`;
    this.reserveText(text.length * 3);
    this.textLength += this.text.write(text, this.textLength);
    columns[row + COLUMN_TEXT_END] = this.textLength;
    this.count++;
  }

  /** Where the text of record `index` begins, which is where the one before ends. */
  textStart(index: number): number {
    return index === 0 ? 0 : (this.columns[index * COLUMNS - COLUMNS + COLUMN_TEXT_END] as number);
  }

  /** Whether a record's collection is seen to be that of the one before: the scanner gives equal names one place. */
  isSameCollection(index: number): boolean {
    const { columns } = this;
    const row = index * COLUMNS;
    return (
      index > 0 &&
      columns[row + COLUMN_COLLECTION_START] === columns[row - COLUMNS + COLUMN_COLLECTION_START] &&
      columns[row + COLUMN_COLLECTION_END] === columns[row - COLUMNS + COLUMN_COLLECTION_END]
    );
  }

  /**
   * Where the run that begins with a record ends, or `end` if it is longer: records of the same document, each later than
   * the one before.
   */
  runEnd(first: number, end = this.count): number {
    const { columns, names } = this;
    let index = first + 1;
    for (; index < end; index++) {
      const row = index * COLUMNS;
      const isRun =
        isSameName(columns, names, row + COLUMN_DOCUMENT_START, row - COLUMNS + COLUMN_DOCUMENT_START) &&
        isLaterThanBefore(columns, row) &&
        isSameName(columns, names, row + COLUMN_COLLECTION_START, row - COLUMNS + COLUMN_COLLECTION_START);
      if (!isRun) break;
    }
    return index;
  }

  /** Where the records from `first` on end that are within these bounds. */
  endWithin(first: number, { end, textBytes, before }: Bounds): number {
    const { columns } = this;
    const textEnd = this.textStart(first) + textBytes;
    let index = first;
    for (; index < end; index++) {
      const row = index * COLUMNS;
      if ((columns[row + COLUMN_TEXT_END] as number) > textEnd) break;
      if (
        before?.startsAfter(
          columns[row + COLUMN_TS_HIGH] as number,
          columns[row + COLUMN_TS_LOW] as number,
        ) === false
      )
        break;
    }
    return index;
  }

  /** Points out record `index` to whoever takes one at a time. */
  point(record: PointedRecord, index: number): void {
    const { columns } = this;
    const row = index * COLUMNS;
    record.from = this.textStart(index);
    record.to = columns[row + COLUMN_TEXT_END] as number;
    record.high = columns[row + COLUMN_TS_HIGH] as number;
    record.low = columns[row + COLUMN_TS_LOW] as number;
  }

  #shrink(): void {
    if (this.textLength > TEXT_BYTES_KEPT) this.#spareBatches = 0;
    else if (++this.#spareBatches >= BATCHES_KEPT) this.#useText(Buffer.allocUnsafeSlow(TEXT_BYTES_AT_FIRST));
  }

  #use({ columns, text, textBytes, textView }: BatchMemory): void {
    this.columns = columns;
    this.text = text;
    this.textBytes = textBytes;
    this.textView = textView;
  }

  #useText(text: Buffer): void {
    this.text = text;
    this.#spareBatches = 0;
    this.textBytes = new Uint8Array(text.buffer);
    this.textView = new DataView(text.buffer);
  }

  #addName(name: string): number {
    const own = this.#ownNames;
    const escaped = JSON.stringify(name).slice(1, -1);
    const needed = own.length + escaped.length * 3;
    if (needed > own.bytes.length) {
      const larger = Buffer.allocUnsafeSlow(needed * 2);
      own.bytes.copy(larger, 0, 0, own.length);
      own.bytes = larger;
      this.names = larger;
    }
    own.length += own.bytes.write(escaped, own.length);
    return own.length;
  }
}

/** Whether two names are the same bytes; their starts stand at two places of the columns, their ends behind them. */
export function isSameName(columns: Int32Array, names: Buffer, one: number, other: number): boolean {
  const start = columns[one] as number;
  const otherStart = columns[other] as number;
  let length = (columns[one + 1] as number) - start;
  if ((columns[other + 1] as number) - otherStart !== length) return false;
  if (start === otherStart) return true;
  // Names of devices differ at their ends.
  while (--length >= 0) if (names[start + length] !== names[otherStart + length]) return false;
  return true;
}

function isLaterThanBefore(columns: Int32Array, row: number): boolean {
  const high = columns[row + COLUMN_TS_HIGH] as number;
  const low = columns[row + COLUMN_TS_LOW] as number;
  const before = row - COLUMNS;
  return isBefore(
    columns[before + COLUMN_TS_HIGH] as number,
    columns[before + COLUMN_TS_LOW] as number,
    high,
    low,
  );
}
