/**
 * Reads a message: its id, its type, and the fields in its `data`.
 *
 * It takes what clients in the field send, whatever the order of members, and leaves everything unusual to the schema.
 * frame_scanner.ts in src/server calls it, and does what is not done here: records of unusual layouts, and texts with unusual
 * escapes.
 */
import { CLOSE_BRACE, CLOSE_BRACKET, COLON, COMMA, OPEN_BRACE, OPEN_BRACKET, QUOTE, SPACE } from "./ascii";
import { scanObject, seenFields } from "./fields";
import { plainEndOf, skipSpace } from "./json";
import { isName, NAME_ROW_BYTES, NAMES_MAX, nameBytes } from "./name_table";
import { ESCAPED_QUOTE, PLAIN_QUOTE } from "./quote";
import { HAS_ENDED, STOPPED, scan } from "./records";
import { PAYLOAD, WINDOW, WINDOW_BYTES } from "./window";

export { BY_LETTERS, NAMES, VALUES } from "./fields";
export { HASH_KEY } from "./hash";
export { NAME_ROW_BYTES, NAMES_MAX, PAYLOAD, WINDOW, WINDOW_BYTES };

/** The types, each with the quote behind it. Filled by the host. */
export const TYPES: usize = memory.data(NAMES_MAX * 24, 8);

/* What is returned, where it is not a type's number. */
const NOT_TAKEN: i32 = -1;
/** The host is to read the records at PLACE, or the fields in the string there, and to go on behind. */
const RECORDS: i32 = -2;
const ESCAPED_FIELDS: i32 = -3;

/**
 * Where the id begins and ends, with its quotes, in the frame; which fields there are, a bit for each; PLACE; and how
 * many records were read already.
 */
export const MESSAGE: usize = memory.data(20, 4);
const ID_START: usize = MESSAGE;
const ID_END: usize = MESSAGE + 4;
const SEEN_FIELDS: usize = MESSAGE + 8;
const PLACE: usize = MESSAGE + 12;
const RECORD_COUNT: usize = MESSAGE + 16;

/* Members, as four bytes and what follows. */
const ID: u32 = 0x2264_6922; // "id"
const TYPE: u32 = 0x7079_7422; // "typ
const END_OF_TYPE: u16 = 0x2265; // e"
const DATA: u32 = 0x7461_6422; // "dat
const END_OF_DATA: u16 = 0x2261; // a"

/* Of the message at hand. */
let type: i32 = NOT_TAKEN;
let typesCount: i32 = 0;
let hasId: boolean = false;
let hasData: boolean = false;
let hasRecords: boolean = false;
let readsRecords: boolean = false;

/** Says how many rows of TYPES there are; the first one is that whose `data` is records. */
export function useTypes(count: i32): void {
  typesCount = count;
}

/**
 * Reads the frame that begins at WINDOW and ends at a place, which may be behind the window.
 *
 * `isDirect` is whether records may be read at once, which is done as far as it can be done without the host.
 */
export function begin(frameEnd: usize, isDirect: boolean): i32 {
  readsRecords = isDirect;
  store<i32>(RECORD_COUNT, 0);
  type = NOT_TAKEN;
  hasId = false;
  hasData = false;
  hasRecords = false;
  const at = skipSpace(WINDOW);
  return load<u8>(at) === OPEN_BRACE ? scanMembers(skipSpace(at + 1), frameEnd, 0, false) : NOT_TAKEN;
}

/** Goes on behind `data`, which ended at a place; `ahead` bytes of the frame come before the window by now. */
export function goOn(at: usize, frameEnd: usize, ahead: usize): i32 {
  return scanMembers(at, frameEnd, ahead, true);
}

/** Reads the fields in PAYLOAD, which ends at a place. Returns whether they are taken. */
export function scanPayload(end: usize): boolean {
  const at = scanObject(PAYLOAD, PLAIN_QUOTE);
  store<u32>(SEEN_FIELDS, seenFields);
  return at !== 0 && skipSpace(at) >= end;
}

function scanMembers(start: usize, frameEnd: usize, ahead: usize, isBehindData: boolean): i32 {
  let at = start;
  let isBehind = isBehindData;
  while (true) {
    if (!isBehind) {
      const letters = load<u32>(at);
      const ending = load<u16>(at, 4);
      if (letters === ID) {
        at = valueAfter(at + 4);
        const end = plainStringEnd(at);
        if (hasId || end === 0) return NOT_TAKEN;
        hasId = true;
        store<usize>(ID_START, at - WINDOW + ahead);
        store<usize>(ID_END, end - WINDOW + ahead);
        at = end;
      } else if (letters === TYPE && ending === END_OF_TYPE) {
        at = valueAfter(at + 6);
        if (type !== NOT_TAKEN || load<u8>(at) !== QUOTE) return NOT_TAKEN;
        type = typeAt(at + 1);
        if (type === NOT_TAKEN) return NOT_TAKEN;
        at += 1 + nameBytes(TYPES + (type as usize) * NAME_ROW_BYTES);
      } else if (letters === DATA && ending === END_OF_DATA) {
        at = valueAfter(at + 6);
        if (hasData || at === 0) return NOT_TAKEN;
        hasData = true;
        store<usize>(PLACE, at);
        if (load<u8>(at) === OPEN_BRACE) at = scanObject(at, PLAIN_QUOTE);
        else if (load<u8>(at) === QUOTE && load<u8>(at, 1) === OPEN_BRACE) {
          at = stringEndBehind(scanObject(at + 1, ESCAPED_QUOTE));
          if (at === 0) return ESCAPED_FIELDS;
        } else {
          hasRecords = true;
          // Vectors are needed for it.
          at = ASC_FEATURE_SIMD && readsRecords ? scanRecords(at) : 0;
          if (at === 0) return RECORDS;
        }
        if (at === 0) return NOT_TAKEN;
        store<u32>(SEEN_FIELDS, seenFields);
      } else return NOT_TAKEN;
    }
    isBehind = false;
    at = skipSpace(at);
    if (load<u8>(at) === CLOSE_BRACE) break;
    if (load<u8>(at) !== COMMA) return NOT_TAKEN;
    at = skipSpace(at + 1);
  }
  const isWhole = at < frameEnd && skipSpace(at + 1) >= frameEnd;
  const isMatched = (type === 0) === hasRecords;
  return isWhole && hasId && hasData && isMatched ? type : NOT_TAKEN;
}

/** Where the list of records ends, or the string that holds it, if all are read; or 0. */
function scanRecords(start: usize): usize {
  const isString = load<u8>(start) === QUOTE;
  const list = isString ? start + 1 : start;
  if (load<u8>(list) !== OPEN_BRACKET || load<u8>(list, 1) === CLOSE_BRACKET) return 0;
  const count = scan(list + 1, isString ? ESCAPED_QUOTE : PLAIN_QUOTE, 0, 0);
  const end = load<usize>(STOPPED);
  if (load<i32>(HAS_ENDED) === 0 || (isString && load<u8>(end) !== QUOTE)) return 0;
  store<i32>(RECORD_COUNT, count);
  return isString ? end + 1 : end;
}

/** Where the string ends, behind its quote, in which an object ended at a place; 0 where there is more in it. */
function stringEndBehind(objectEnd: usize): usize {
  if (objectEnd === 0) return 0;
  let at = objectEnd;
  while (load<u8>(at) === SPACE) at++;
  return load<u8>(at) === QUOTE ? at + 1 : 0;
}

/** Where the value begins behind a key that ends at a place; without a colon 0, where nothing stands. */
function valueAfter(keyEnd: usize): usize {
  const at = load<u8>(keyEnd) === COLON ? keyEnd : skipSpace(keyEnd);
  if (load<u8>(at) !== COLON) return 0;
  return load<u8>(at, 1) === QUOTE ? at + 1 : skipSpace(at + 1);
}

/** Where the string at a place ends, behind its quote; 0 for an empty one, one with escapes, and what is no string. */
function plainStringEnd(start: usize): usize {
  if (load<u8>(start) !== QUOTE) return 0;
  const end = plainEndOf(start + 1);
  return load<u8>(end) === QUOTE && end > start + 1 ? end + 1 : 0;
}

function typeAt(start: usize): i32 {
  for (let index = 0; index < typesCount; index++) {
    if (isName(TYPES + (index as usize) * NAME_ROW_BYTES, start)) return index;
  }
  return NOT_TAKEN;
}
