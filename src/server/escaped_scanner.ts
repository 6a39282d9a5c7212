/**
 * The fastest path of `ins`: records read straight from the escaped text in a message's `data`, in one pass.
 *
 * Clients in the field send records as JSON inside a JSON string, so a quote arrives as `\"`, and a quote inside a
 * record's data as `\\\"`. Undoing one level of that while the data is copied leaves it exactly as the rendered text
 * wants it; nothing is gone over a second time. It takes the layout that JSON libraries write: fields in any order, no white
 * space but single blanks, and as data a JSON value or text, with no escapes but those of quotes, backslashes, control
 * characters and letters beyond ASCII. The rest is left to insert_scanner.ts, which undoes the escapes first.
 */
import {
  COLUMN_COLLECTION_START,
  COLUMN_DOCUMENT_START,
  COLUMN_TEXT_END,
  COLUMN_TS_HIGH,
  COLUMN_TS_LOW,
  COLUMNS,
  type InsertBatch,
} from "../engine/insert_batch.ts";
import {
  RECORD_FRAME_BYTES,
  RECORD_HEAD_BYTES,
  writeDataHead,
  writeDataTail,
  writeRecordHead,
} from "../engine/record_text.ts";
import {
  BACKSLASH,
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COLON,
  COMMA,
  ESCAPES,
  fourBytes,
  LETTER_U,
  MINUS,
  OPEN_BRACE,
  OPEN_BRACKET,
  QUOTE,
  SLASH,
  SPACE,
  ZERO,
} from "../protocol/ascii.ts";
import { fractionEnd, integerEnd, readLongTimestamp, TIMESTAMP_BYTES_MAX } from "../protocol/integer_text.ts";
import { NAME_LENGTH_MAX } from "../protocol/limits.ts";
import { areDigits, copyPlain, digitsValue, plainEnd, WORD_BYTES } from "./byte_word.ts";
import { codePointBytes, readCodePoint, type Scratch, writeCodePoint } from "./json_bytes.ts";
import { JsonValueWriter } from "./json_value.ts";

const NOT_TAKEN = -1;

const SEEN_TS = 1;
const SEEN_DOC = 2;
const SEEN_DATA = 4;
const SEEN_COL = 8;
const SEEN_ALL = 15;
const TWO_32 = 0x1_0000_0000;

/*
 * What is looked for and written four bytes at a time: an access is an access, however wide, and a function of half
 * the size is compiled in half the time.
 */
const TS = fourBytes('\\"ts');
const DOC = fourBytes('\\"do');
const DATA = fourBytes('\\"da');
const COL = fourBytes('\\"co');
const END_OF_TS = fourBytes('\\":\0');
const END_OF_DOC = fourBytes('c\\":');
const MIDDLE_OF_DATA = fourBytes('ta\\"');
const END_OF_COL = fourBytes('l\\":');
const LOW_THREE_BYTES = 0xff_ffff;
const ESCAPED_QUOTE = fourBytes('\\\\\\"');

const timestamp = { high: 0, low: 0 };
const values = new JsonValueWriter();

/**
 * How long the timestamp was that last came behind its data, as it does from libraries that sort fields by name. The
 * next one most likely is so, too: data is put where it belongs then, and moved if it was not.
 */
let expectedTimestampBytes = 10;

/**
 * Fills the batch with the records of the array that begins at a place, inside a JSON string.
 *
 * A zero must stand behind the frame. Text needs at most as much room as the frame has bytes: what surrounds a
 * record's data is longer escaped than rendered.
 *
 * @returns where the string ends, behind its quote; -1 when this path does not take it: the batch is then void.
 */
export function scanEscapedRecords(frame: Scratch, start: number, size: number, batch: InsertBatch): number {
  const { bytes } = frame;
  if (bytes[start] !== OPEN_BRACKET) return NOT_TAKEN;
  batch.reserveText(size + RECORD_FRAME_BYTES + TIMESTAMP_BYTES_MAX);
  let at = start + 1;
  if (bytes[at] === CLOSE_BRACKET) return bytes[at + 1] === QUOTE ? at + 2 : NOT_TAKEN;
  for (;;) {
    batch.reserveColumns();
    at = scanRecord(frame, at, batch);
    if (at === NOT_TAKEN) return NOT_TAKEN;
    if (bytes[at] === SPACE) at++;
    if (bytes[at] === CLOSE_BRACKET) break;
    if (bytes[at++] !== COMMA) return NOT_TAKEN;
  }
  return bytes[at + 1] === QUOTE ? at + 2 : NOT_TAKEN;
}

/**
 * Adds the record that begins at a place to the batch, which has room for it; returns where it ends, or -1.
 *
 * One long function, called for each record: the engine compiles that once and soon, with the few short ones that it calls
 * copied in. The same in more pieces takes it twice as long, and one loop over all records is compiled once more to be
 * entered in the middle. Compiling is what a server's first second goes to.
 */
function scanRecord({ bytes, view }: Scratch, start: number, batch: InsertBatch): number {
  const { columns, textBytes: text, textView } = batch;
  const row = batch.count * COLUMNS;
  const timestampStart = batch.textLength + RECORD_HEAD_BYTES;
  let length = timestampStart;
  let at = start;
  let seen = 0;
  if (bytes[at] === SPACE) at++;
  if (bytes[at] !== OPEN_BRACE) return NOT_TAKEN;
  do {
    at++;
    if (bytes[at] === SPACE) at++;
    const letters = view.getInt32(at, true);
    const ending = view.getInt32(at + 4, true);
    let field = 0;
    if (letters === TS) {
      if ((ending & LOW_THREE_BYTES) !== END_OF_TS) return NOT_TAKEN;
      field = SEEN_TS;
      at += 7;
    } else if (letters === DOC) {
      if (ending !== END_OF_DOC) return NOT_TAKEN;
      field = SEEN_DOC;
      at += 8;
    } else if (letters === DATA) {
      if (ending !== MIDDLE_OF_DATA || bytes[at + 8] !== COLON) return NOT_TAKEN;
      field = SEEN_DATA;
      at += 9;
    } else if (letters === COL) {
      if (ending !== END_OF_COL) return NOT_TAKEN;
      field = SEEN_COL;
      at += 8;
    }
    if ((seen & field) !== 0 || field === 0) return NOT_TAKEN;
    seen |= field;
    if (bytes[at] === SPACE) at++;

    if (field === SEEN_TS) {
      writeRecordHead(textView, batch.textLength);
      const isText = bytes[at] === BACKSLASH;
      if (isText) {
        if (bytes[at + 1] !== QUOTE) return NOT_TAKEN;
        at += 2;
      }
      if ((seen & SEEN_DATA) !== 0) {
        const timestampBytes = integerEnd(bytes, at) - at;
        if (timestampBytes === 0 || timestampBytes > TIMESTAMP_BYTES_MAX) return NOT_TAKEN;
        if (timestampBytes !== expectedTimestampBytes) {
          const dataHead = timestampStart + expectedTimestampBytes;
          text.copyWithin(timestampStart + timestampBytes, dataHead, length);
          length += timestampBytes - expectedTimestampBytes;
          expectedTimestampBytes = timestampBytes;
        }
      }
      let to = timestampStart;
      const isNegative = bytes[at] === MINUS;
      if (isNegative) text[to++] = bytes[at++] as number;
      const firstDigit = at;
      let value = 0;
      for (;;) {
        const word = view.getInt32(at, true);
        if (!areDigits(word)) break;
        textView.setInt32(to, word, true);
        value = value * 10_000 + digitsValue(word);
        at += WORD_BYTES;
        to += WORD_BYTES;
      }
      for (;;) {
        const byte = bytes[at] as number;
        if (byte < ZERO || byte > ZERO + 9) break;
        text[to++] = byte;
        value = value * 10 + (byte - ZERO);
        at++;
      }
      const digitsEnd = at;
      if (digitsEnd === firstDigit) return NOT_TAKEN;
      if (bytes[firstDigit] === ZERO && (digitsEnd > firstDigit + 1 || isNegative)) return NOT_TAKEN;
      if ((seen & SEEN_DATA) === 0) length = to;
      if (isText) {
        if (bytes[at] !== BACKSLASH || bytes[at + 1] !== QUOTE) return NOT_TAKEN;
        at += 2;
      } else at = fractionEnd(bytes, at);
      const next = bytes[at];
      if (next !== COMMA && next !== CLOSE_BRACE && next !== SPACE) return NOT_TAKEN;
      if (value > Number.MAX_SAFE_INTEGER) {
        // The one number beyond these that is in range, -2^63, is left to the schema.
        if (!readLongTimestamp(bytes, firstDigit, digitsEnd, isNegative, timestamp)) return NOT_TAKEN;
        columns[row + COLUMN_TS_HIGH] = timestamp.high;
        columns[row + COLUMN_TS_LOW] = timestamp.low;
      } else {
        if (isNegative) value = -value;
        columns[row + COLUMN_TS_HIGH] = Math.floor(value / TWO_32);
        columns[row + COLUMN_TS_LOW] = value | 0;
      }
    } else {
      const isText = bytes[at] === BACKSLASH && bytes[at + 1] === QUOTE;
      if (field === SEEN_DATA) {
        if ((seen & SEEN_TS) === 0) length = timestampStart + expectedTimestampBytes;
        length = writeDataHead(textView, length);
        if (isText) {
          at += 2;
          for (;;) {
            const plain = copyPlain(view, at, textView, length);
            at += plain;
            length += plain;
            if (bytes[at++] !== BACKSLASH) return NOT_TAKEN;
            let escaped = QUOTE;
            if (view.getInt32(at - 1, true) === ESCAPED_QUOTE) at += 3;
            else {
              if (bytes[at] === QUOTE) break;
              // `\\` and then `\"`, `\\` or a letter: an escape of the record's own, which stays one.
              if (bytes[at] !== BACKSLASH) return NOT_TAKEN;
              escaped = bytes[at + 1] as number;
              at += 2;
              if (escaped === BACKSLASH) {
                if (bytes[at++] !== BACKSLASH) return NOT_TAKEN;
              } else if (escaped === LETTER_U) {
                const codePoint = readCodePoint(bytes, at - 1, 2);
                // It is stored as itself, and what has to be escaped is left to others.
                if (codePoint < SPACE || codePoint === QUOTE || codePoint === BACKSLASH) return NOT_TAKEN;
                at += codePointBytes(codePoint, 2) - 1;
                length = writeCodePoint(text, length, codePoint);
                continue;
              } else if (escaped === QUOTE || escaped === SLASH || ESCAPES[escaped] === 0) return NOT_TAKEN;
            }
            text[length] = BACKSLASH;
            text[length + 1] = escaped;
            length += 2;
          }
          at++;
        } else {
          if (!values.write(bytes, view, at, true, text, textView, length)) return NOT_TAKEN;
          at = values.sourceEnd;
          length = values.targetEnd;
        }
        length = writeDataTail(textView, length);
      } else {
        if (!isText) return NOT_TAKEN;
        at += 2;
        const nameStart = at;
        at = plainEnd(view, at);
        if (bytes[at] !== BACKSLASH) return NOT_TAKEN;
        if (bytes[at + 1] !== QUOTE || at === nameStart || at - nameStart > NAME_LENGTH_MAX) return NOT_TAKEN;
        const column = row + (field === SEEN_DOC ? COLUMN_DOCUMENT_START : COLUMN_COLLECTION_START);
        columns[column] = nameStart;
        columns[column + 1] = at;
        at += 2;
      }
    }
    if (bytes[at] === SPACE) at++;
  } while (bytes[at] === COMMA);
  if (bytes[at++] !== CLOSE_BRACE || seen !== SEEN_ALL) return NOT_TAKEN;
  columns[row + COLUMN_TEXT_END] = length;
  batch.textLength = length;
  batch.count++;
  return at;
}
