/**
 * The records of an `ins`: a frame's bytes become a batch, without an object a record.
 *
 * It takes what clients in the field send and leaves everything unusual (a timestamp with an exponent, escapes in names,
 * anything that is wrong) to the schema, as frame_scanner.ts says. Fields that no record has are skipped.
 *
 * In the layouts that JSON libraries write, record_scanner.ts does it all. Otherwise, where a message's `data` is a string
 * that holds JSON, one pass undoes the string's escapes; what it leaves is plain JSON in which a record's `data` stands as
 * the rendered text wants it, so the second pass only has to find where it ends. The loops run over plain Uint8Arrays: on
 * a Buffer they take a third longer.
 */

import {
  COLUMN_COLLECTION_START,
  COLUMN_DOCUMENT_HASH,
  COLUMN_DOCUMENT_START,
  COLUMN_TEXT_END,
  COLUMN_TS_HIGH,
  COLUMN_TS_LOW,
  COLUMNS,
  type InsertBatch,
} from "../engine/insert_batch.ts";
import { RECORD_FRAME_BYTES, writeDataHead, writeDataTail, writeRecordHead } from "../engine/record_text.ts";
import {
  BACKSLASH,
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COMMA,
  ESCAPES,
  LETTER_A,
  LETTER_C,
  LETTER_D,
  LETTER_L,
  LETTER_O,
  LETTER_S,
  LETTER_T,
  LETTER_U,
  MINUS,
  OPEN_BRACE,
  OPEN_BRACKET,
  QUOTE,
  SLASH,
  SPACE,
  ZERO,
} from "../protocol/ascii.ts";
import {
  fractionEnd,
  integerEnd,
  readTimestampDigits,
  TIMESTAMP_BYTES_MAX,
} from "../protocol/integer_text.ts";
import { NAME_LENGTH_MAX } from "../protocol/limits.ts";
import { plainEnd } from "./byte_word.ts";
import { readHex, Scratch, skipSpace, unescapeString, valueAfter } from "./json_bytes.ts";
import { JsonValueWriter } from "./json_value.ts";
import { scanUsualRecords } from "./record_scanner.ts";

const NOT_TAKEN = -1;

const SEEN_TS = 1;
const SEEN_DOC = 2;
const SEEN_DATA = 4;
const SEEN_COL = 8;
const SEEN_ALL = 15;

/** Each quote of a JSON value gets a backslash. */
const VALUE_GROWTH = 2;

export class InsertScanner {
  #payload = new Scratch();
  /** Where data that comes as a JSON value is written first. */
  #values: Scratch | undefined;
  readonly #writer = new JsonValueWriter();
  /** Where the last string or timestamp ended, and whether the string's escapes are all canonical. */
  #end = 0;
  #isCanonical = true;
  readonly #timestamp = { high: 0, low: 0 };
  /** Where that stands, as an integer. */
  #integerStart = 0;
  #integerEnd = 0;

  /**
   * Fills the batch with the records in a message's `data`, which begins at a place in the frame of `size` bytes.
   *
   * @returns where `data` ends, or -1 when the schema is to decide: the batch is then void.
   */
  scan(frame: Scratch, at: number, size: number, batch: InsertBatch): number {
    const { bytes } = frame;
    batch.names = frame.buffer;
    const usualEnd = scanUsualRecords(frame, at, size, batch);
    if (usualEnd !== NOT_TAKEN) return usualEnd;
    batch.clear();
    batch.names = frame.buffer;
    if (bytes[at] === OPEN_BRACKET) return this.#scanRecords(frame, at, batch);
    if (bytes[at] !== QUOTE) return NOT_TAKEN;
    const payload = this.#payload;
    payload.makeRoom(bytes.length);
    const frameEnd = unescapeString(frame, at + 1, payload);
    if (frameEnd < 0) return NOT_TAKEN;
    const payloadEnd = payload.used;
    batch.names = payload.buffer;
    const end = this.#scanRecords(payload, skipSpace(payload.bytes, 0), batch);
    return end !== NOT_TAKEN && skipSpace(payload.bytes, end) >= payloadEnd ? frameEnd : NOT_TAKEN;
  }

  /** Gives up what one large frame made grow. */
  shrink(size: number): void {
    this.#payload.shrink(size);
    this.#values?.shrink(size);
  }

  /** The array of records that begins at a place; returns where it ends. */
  #scanRecords(scratch: Scratch, start: number, batch: InsertBatch): number {
    const { bytes } = scratch;
    if (bytes[start] !== OPEN_BRACKET) return NOT_TAKEN;
    let at = skipSpace(bytes, start + 1);
    if (bytes[at] === CLOSE_BRACKET) return at + 1;
    for (;;) {
      at = this.#scanRecord(scratch, at, batch);
      if (at === NOT_TAKEN) return NOT_TAKEN;
      if (bytes[at] !== COMMA) at = skipSpace(bytes, at);
      if (bytes[at] === CLOSE_BRACKET) return at + 1;
      if (bytes[at] !== COMMA) return NOT_TAKEN;
      at = skipSpace(bytes, at + 1);
    }
  }

  #scanRecord(scratch: Scratch, start: number, batch: InsertBatch): number {
    const { bytes } = scratch;
    if (bytes[start] !== OPEN_BRACE) return NOT_TAKEN;
    batch.reserveColumns();
    const { columns } = batch;
    const row = batch.count * COLUMNS;
    let seen = 0;
    let tsStart = 0;
    let tsEnd = 0;
    let dataStart = 0;
    let dataEnd = 0;
    let source = scratch.buffer;
    let at = skipSpace(bytes, start + 1);
    for (;;) {
      const field = fieldAt(bytes, at);
      if ((seen & field) !== 0) return NOT_TAKEN;
      seen |= field;
      if (field !== 0) at = valueAfter(bytes, at + (field === SEEN_TS ? 4 : field === SEEN_DATA ? 6 : 5));
      if (field === 0) {
        at = this.#skipField(scratch, at, dataEnd);
        if (at === NOT_TAKEN) return NOT_TAKEN;
      } else if (field === SEEN_TS) {
        if (!this.#scanTimestamp(bytes, at, columns, row)) return NOT_TAKEN;
        tsStart = this.#integerStart;
        tsEnd = this.#integerEnd;
        at = this.#end;
      } else if (field === SEEN_DATA && bytes[at] !== QUOTE) {
        const values = this.#valuesFor(bytes);
        if (!this.#writer.write(bytes, scratch.view, at, false, values.bytes, values.view, 0))
          return NOT_TAKEN;
        source = values.buffer;
        dataEnd = this.#writer.targetEnd;
        at = this.#writer.sourceEnd;
      } else if (field === SEEN_DATA) {
        if (!this.#scanString(scratch, at)) return NOT_TAKEN;
        dataStart = at + 1;
        dataEnd = this.#end;
        at = dataEnd + 1;
        if (!this.#isCanonical) {
          source = canonicalData(source, dataStart, dataEnd);
          dataStart = 0;
          dataEnd = source.length;
        }
      } else {
        if (!this.#scanPlainString(scratch, at)) return NOT_TAKEN;
        const column = row + (field === SEEN_DOC ? COLUMN_DOCUMENT_START : COLUMN_COLLECTION_START);
        columns[column] = at + 1;
        columns[column + 1] = this.#end;
        at = this.#end + 1;
      }
      at = skipSpace(bytes, at);
      if (bytes[at] === CLOSE_BRACE) break;
      if (bytes[at] !== COMMA) return NOT_TAKEN;
      at = skipSpace(bytes, at + 1);
    }
    if (seen !== SEEN_ALL) return NOT_TAKEN;
    writeRecord(batch, bytes, tsStart, tsEnd, source, dataStart, dataEnd);
    batch.columns[row + COLUMN_TEXT_END] = batch.textLength;
    batch.columns[row + COLUMN_DOCUMENT_HASH] = 0;
    batch.count++;
    return at + 1;
  }

  /**
   * A field that no record has: its value is written behind data that may be there, and forgotten. One whose name has
   * escapes may be one that a record has.
   *
   * @returns where it ends, or -1.
   */
  #skipField({ bytes, view }: Scratch, start: number, dataEnd: number): number {
    if (bytes[start] !== QUOTE) return NOT_TAKEN;
    const nameEnd = plainEnd(view, start + 1);
    if (bytes[nameEnd] !== QUOTE) return NOT_TAKEN;
    const at = valueAfter(bytes, nameEnd + 1);
    const values = this.#valuesFor(bytes);
    if (at === 0 || !this.#writer.write(bytes, view, at, false, values.bytes, values.view, dataEnd))
      return NOT_TAKEN;
    return this.#writer.sourceEnd;
  }

  /** All values of a text have room in it, however long they become. */
  #valuesFor(bytes: Uint8Array): Scratch {
    this.#values ??= new Scratch();
    this.#values.makeRoom(VALUE_GROWTH * bytes.length);
    return this.#values;
  }

  /** An integer in the form JSON and we write it, as it is or as a string, or with a fraction, which is cut off. */
  #scanTimestamp(bytes: Uint8Array, start: number, columns: Int32Array, row: number): boolean {
    const isText = bytes[start] === QUOTE;
    const integerStart = isText ? start + 1 : start;
    const isNegative = bytes[integerStart] === MINUS;
    const firstDigit = isNegative ? integerStart + 1 : integerStart;
    const end = integerEnd(bytes, integerStart);
    if (end === firstDigit) return false;
    if (bytes[firstDigit] === ZERO && (end > firstDigit + 1 || isNegative)) return false;
    this.#integerStart = integerStart;
    this.#integerEnd = end;
    this.#end = isText ? end + 1 : fractionEnd(bytes, end);
    if (isText && bytes[end] !== QUOTE) return false;
    const next = bytes[this.#end] as number;
    if (next !== COMMA && next !== CLOSE_BRACE && next > SPACE) return false;
    const timestamp = this.#timestamp;
    // The one number beyond these that is in range, -2^63, is left to the schema.
    if (!readTimestampDigits(bytes, firstDigit, end, isNegative, timestamp)) return false;
    columns[row + COLUMN_TS_HIGH] = timestamp.high;
    columns[row + COLUMN_TS_LOW] = timestamp.low;
    return true;
  }

  /** A string that begins at a place, with any escapes; tells whether these are canonical. */
  #scanString({ bytes, view }: Scratch, start: number): boolean {
    if (bytes[start] !== QUOTE) return false;
    let isCanonical = true;
    for (let at = plainEnd(view, start + 1); ; at = plainEnd(view, at)) {
      const byte = bytes[at++];
      if (byte === BACKSLASH) {
        const letter = bytes[at++] as number;
        if (letter === LETTER_U) {
          if (readHex(bytes, at) < 0) return false;
          isCanonical = false;
        } else if (ESCAPES[letter] === 0) return false;
        else if (letter === SLASH) isCanonical = false;
      } else if (byte === QUOTE) {
        this.#end = at - 1;
        this.#isCanonical = isCanonical;
        return true;
      } else return false;
    }
  }

  /** A string that is not empty, has no escapes, and no more bytes than a name may have characters. */
  #scanPlainString({ bytes, view }: Scratch, start: number): boolean {
    if (bytes[start] !== QUOTE) return false;
    const end = plainEnd(view, start + 1);
    this.#end = end;
    const size = end - start - 1;
    return bytes[end] === QUOTE && size > 0 && size <= NAME_LENGTH_MAX;
  }
}

function isData(bytes: Uint8Array, at: number): boolean {
  return (
    bytes[at] === LETTER_D &&
    bytes[at + 1] === LETTER_A &&
    bytes[at + 2] === LETTER_T &&
    bytes[at + 3] === LETTER_A &&
    bytes[at + 4] === QUOTE
  );
}

/** Which of a record's fields a key names; 0 for any other. */
function fieldAt(bytes: Uint8Array, at: number): number {
  if (bytes[at] !== QUOTE) return 0;
  const letter = bytes[at + 1];
  if (letter === LETTER_T) return bytes[at + 2] === LETTER_S && bytes[at + 3] === QUOTE ? SEEN_TS : 0;
  if (letter === LETTER_C) {
    return bytes[at + 2] === LETTER_O && bytes[at + 3] === LETTER_L && bytes[at + 4] === QUOTE ? SEEN_COL : 0;
  }
  if (letter !== LETTER_D) return 0;
  if (bytes[at + 2] === LETTER_O && bytes[at + 3] === LETTER_C && bytes[at + 4] === QUOTE) return SEEN_DOC;
  return isData(bytes, at + 1) ? SEEN_DATA : 0;
}

/** Arguments, not an object: this runs once a record. */
function writeRecord(
  batch: InsertBatch,
  source: Uint8Array,
  tsStart: number,
  tsEnd: number,
  data: Buffer,
  dataStart: number,
  dataEnd: number,
): void {
  batch.reserveText(RECORD_FRAME_BYTES + TIMESTAMP_BYTES_MAX + dataEnd - dataStart);
  const bytes = batch.textBytes;
  const view = batch.textView;
  let at = writeRecordHead(view, batch.textLength);
  for (let digit = tsStart; digit < tsEnd; digit++) bytes[at++] = source[digit] as number;
  at = writeDataHead(view, at);
  at += data.copy(batch.text, at, dataStart, dataEnd);
  batch.textLength = writeDataTail(view, at);
}

/** The data in the form that JSON.stringify gives it. */
function canonicalData(source: Buffer, start: number, end: number): Buffer {
  const text = JSON.parse(`"${source.toString("utf8", start, end)}"`) as string;
  return Buffer.from(JSON.stringify(text).slice(1, -1));
}
