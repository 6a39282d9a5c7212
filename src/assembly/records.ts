/**
 * Reads the records of an `ins` straight from a frame, in one pass.
 *
 * record_scanner.ts in src/server says what it takes. What is read is laid out in TEXT and ROWS as in a batch. Places are
 * addresses.
 */
import { CLOSE_BRACE, CLOSE_BRACKET, COLON, COMMA, OPEN_BRACE, QUOTE, SPACE } from "./ascii";
import { hash } from "./hash";
import { WRITTEN, writeValue } from "./host";
import { isSame, nameEnd } from "./name";
import { ESCAPED_QUOTE, isQuote, PLAIN_QUOTE } from "./quote";
import { copyStoredText, copyText, plainEnd, textEnd } from "./text";
import { digitsEnd, scanTimestamp, TIMESTAMP_BYTES_MAX, timestamp, timestampBytes } from "./timestamp";
import { SPARE_BYTES, WINDOW, WINDOW_BYTES } from "./window";

export { WRITTEN };

/**
 * What stands around a record's data is longer in a frame than in its text. The data itself is as long at the most, but for
 * JSON values in a list that is JSON: each of their quotes gets a backslash.
 */
export const TEXT_BYTES: i32 = 2 * WINDOW_BYTES;
export const TEXT: usize = memory.data(TEXT_BYTES + SPARE_BYTES, 16);

/** A row's integers are those of `InsertBatch.columns`. */
const COLLECTION: usize = 0;
const DOCUMENT: usize = 8;
const TS_HIGH: usize = 16;
const TS_LOW: usize = 20;
const TEXT_END: usize = 24;
const DOCUMENT_HASH: usize = 28;
const ROW_BYTES: usize = 32;
/** So many does a window hold of records as short as they are in the field. */
export const ROWS_MAX: i32 = 16 * 1024;
export const ROWS: usize = memory.data(ROWS_MAX * 32, 16);

/** Where the scan has stopped, and whether the list of records ended there. */
export const STOPPED: usize = memory.data(8, 4);
export const HAS_ENDED: usize = STOPPED + 4;

/* What is looked for and written, as little-endian integers. */
const TS: u32 = 0x2273_7422; // "ts"
const DOC: u32 = 0x636f_6422; // "doc
const DATA: u32 = 0x7461_6422; // "dat
const COL: u32 = 0x6c6f_6322; // "col
const END_OF_NAME: u16 = 0x3a22; // ":
const END_OF_DATA: u32 = 0x3a_2261; // a":
const ESCAPED_TS: u32 = 0x7374_225c; // \"ts
const ESCAPED_DOC: u32 = 0x6f64_225c; // \"do
const ESCAPED_DATA: u32 = 0x6164_225c; // \"da
const ESCAPED_COL: u32 = 0x6f63_225c; // \"co
const END_OF_ESCAPED_TS: u32 = 0x3a_225c; // \":
const END_OF_ESCAPED_DOC: u32 = 0x3a22_5c63; // c\":
const MIDDLE_OF_ESCAPED_DATA: u32 = 0x225c_6174; // ta\"
const END_OF_ESCAPED_COL: u32 = 0x3a22_5c6c; // l\":
const RECORD_HEAD: u64 = 0x3a_2273_7422_7b2c; // ,{"ts":
const RECORD_HEAD_BYTES: usize = 7;
const DATA_HEAD: u64 = 0x3a22_6174_6164_222c; // ,"data":
const DATA_HEAD_BYTES: usize = 9; // with its quote
const DATA_TAIL: u16 = 0x7d22; // "}

const SEEN_TS: u32 = 1;
const SEEN_DOC: u32 = 2;
const SEEN_DATA: u32 = 4;
const SEEN_COL: u32 = 8;
const SEEN_ALL: u32 = 15;

/**
 * How long the timestamp was that last came behind its data, as it does from libraries that sort fields by name. The
 * next one most likely is so, too: data is put where it belongs then, and moved if it was not.
 */
let expectedTimestampBytes: usize = 10;
/** What is to be added to a place in the window for one in the frame. */
let frameShift: usize = 0;
/** Where the text of the record ends that was read last. */
let recordEnd: usize = 0;

/**
 * Reads as many whole records as there are, from a place in the window on, where one begins: in a list that is JSON with
 * PLAIN_QUOTE, in one that is inside a string with ESCAPED_QUOTE.
 *
 * STOPPED is the place behind the list's bracket, or where the first record begins that was not read: it may go on behind
 * the window, there may be no room for it, or it is not taken.
 *
 * `frameAhead` and `textAhead` are how many bytes of the frame, and of the batch's text, come before the window's. Returns
 * how many records they are.
 */
export function scan(start: usize, quoteBytes: usize, frameAhead: usize, textAhead: usize): i32 {
  frameShift = frameAhead - WINDOW;
  // Each has code of its own.
  return quoteBytes === ESCAPED_QUOTE ? scanList<u16>(start, textAhead) : scanList<u8>(start, textAhead);
}

/** `Quote` is an integer as long as a quote is. */
function scanList<Quote>(start: usize, textAhead: usize): i32 {
  const rowsEnd = ROWS + (ROWS_MAX as usize) * ROW_BYTES;
  let row = ROWS;
  let text = TEXT;
  let at = start;
  store<i32>(HAS_ENDED, 0);
  while (row < rowsEnd) {
    let end = scanRecord<Quote>(at, text, row);
    if (end === 0) break;
    if (load<u8>(end) === SPACE) end++;
    const next = load<u8>(end);
    if (next !== COMMA && next !== CLOSE_BRACKET) break;
    text = recordEnd;
    store<usize>(row, text - TEXT + textAhead, TEXT_END);
    if (row > ROWS) {
      shareName(row + COLLECTION);
      shareName(row + DOCUMENT);
    }
    row += ROW_BYTES;
    at = end + 1;
    if (next === CLOSE_BRACKET) {
      store<i32>(HAS_ENDED, 1);
      break;
    }
  }
  store<usize>(STOPPED, at);
  return ((row - ROWS) / ROW_BYTES) as i32;
}

/** Reads the record that begins at a place; returns where it ends, or 0. */
function scanRecord<Quote>(start: usize, text: usize, row: usize): usize {
  const timestampStart = text + RECORD_HEAD_BYTES;
  let to = timestampStart;
  let at = start;
  let seen: u32 = 0;
  if (load<u8>(at) === SPACE) at++;
  if (load<u8>(at) !== OPEN_BRACE) return 0;
  do {
    at++;
    if (load<u8>(at) === SPACE) at++;
    const letters = load<u32>(at);
    const ending = load<u32>(at, 4);
    let field: u32 = 0;
    if (sizeof<Quote>() === PLAIN_QUOTE) {
      if (letters === TS && (ending & 0xff) === COLON) {
        field = SEEN_TS;
        at += 5;
      } else if (letters === DOC && (ending & 0xffff) === END_OF_NAME) {
        field = SEEN_DOC;
        at += 6;
      } else if (letters === DATA && (ending & 0xff_ffff) === END_OF_DATA) {
        field = SEEN_DATA;
        at += 7;
      } else if (letters === COL && (ending & 0xffff) === END_OF_NAME) {
        field = SEEN_COL;
        at += 6;
      }
    } else if (letters === ESCAPED_TS && (ending & 0xff_ffff) === END_OF_ESCAPED_TS) {
      field = SEEN_TS;
      at += 7;
    } else if (letters === ESCAPED_DOC && ending === END_OF_ESCAPED_DOC) {
      field = SEEN_DOC;
      at += 8;
    } else if (letters === ESCAPED_DATA && ending === MIDDLE_OF_ESCAPED_DATA && load<u8>(at, 8) === COLON) {
      field = SEEN_DATA;
      at += 9;
    } else if (letters === ESCAPED_COL && ending === END_OF_ESCAPED_COL) {
      field = SEEN_COL;
      at += 8;
    }
    if (field === 0) {
      at = skipName<Quote>(at);
      if (at === 0) return 0;
    }
    if ((seen & field) !== 0) return 0;
    seen |= field;
    if (load<u8>(at) === SPACE) at++;

    if (field === SEEN_TS) {
      store<u64>(text, RECORD_HEAD);
      if ((seen & SEEN_DATA) !== 0) {
        to = makeRoomForTimestamp(timestampBytes<Quote>(at), timestampStart, to);
        if (to === 0) return 0;
      }
      at = scanTimestamp<Quote>(at, timestampStart);
      if (at === 0) return 0;
      if ((seen & SEEN_DATA) === 0) to = digitsEnd;
      store<i32>(row, (timestamp >> 32) as i32, TS_HIGH);
      store<i32>(row, timestamp as i32, TS_LOW);
    } else if (field === SEEN_DATA) {
      if ((seen & SEEN_TS) === 0) to = timestampStart + expectedTimestampBytes;
      store<u64>(to, DATA_HEAD);
      store<u8>(to, QUOTE, 8);
      to += DATA_HEAD_BYTES;
      if (isQuote<Quote>(at)) {
        at += sizeof<Quote>();
        at = sizeof<Quote>() === ESCAPED_QUOTE ? copyText(at, to) : copyStoredText(at, to);
        to = textEnd;
      } else {
        at = writeValue(at, to, sizeof<Quote>());
        to = load<usize>(WRITTEN);
      }
      if (at === 0) return 0;
      store<u16>(to, DATA_TAIL);
      to += 2;
    } else if (field === 0) {
      // It is written where other text is going to be, and forgotten.
      at = writeValue(at, to, sizeof<Quote>());
      if (at === 0) return 0;
    } else {
      if (!isQuote<Quote>(at)) return 0;
      const nameStart = at + sizeof<Quote>();
      at = nameEnd<Quote>(nameStart);
      if (at === 0) return 0;
      const place = row + (field === SEEN_DOC ? DOCUMENT : COLLECTION);
      store<usize>(place, nameStart + frameShift);
      store<usize>(place, at + frameShift, 4);
      if (field === SEEN_DOC) store<u32>(row, hash(nameStart, at), DOCUMENT_HASH);
      at += sizeof<Quote>();
    }
    if (load<u8>(at) === SPACE) at++;
  } while (load<u8>(at) === COMMA);
  if (load<u8>(at) !== CLOSE_BRACE || seen !== SEEN_ALL) return 0;
  recordEnd = to;
  return at + 1;
}

/** Where the value begins behind a field's name that no record has, or 0: with escapes it may be one that a record has. */
function skipName<Quote>(start: usize): usize {
  if (!isQuote<Quote>(start)) return 0;
  const end = plainEnd(start + sizeof<Quote>());
  return isQuote<Quote>(end) && load<u8>(end, sizeof<Quote>()) === COLON ? end + sizeof<Quote>() + 1 : 0;
}

/** Moves data if the timestamp before it is not as long as was expected; returns where it ends then, or 0. */
function makeRoomForTimestamp(bytes: usize, timestampStart: usize, dataEnd: usize): usize {
  if (bytes === 0 || bytes > TIMESTAMP_BYTES_MAX) return 0;
  if (bytes === expectedTimestampBytes) return dataEnd;
  const dataStart = timestampStart + expectedTimestampBytes;
  memory.copy(timestampStart + bytes, dataStart, dataEnd - dataStart);
  expectedTimestampBytes = bytes;
  return timestampStart + bytes + (dataEnd - dataStart);
}

/** Gives a name that is the one in the row before the place of that: so others see that it is the same. */
function shareName(place: usize): void {
  const start = load<usize>(place);
  const end = load<usize>(place, 4);
  const before = load<usize>(place - ROW_BYTES);
  const beforeEnd = load<usize>(place - ROW_BYTES, 4);
  if (!isSame(start - frameShift, end - frameShift, before - frameShift, beforeEnd - frameShift)) return;
  store<usize>(place, before);
  store<usize>(place, beforeEnd, 4);
}
