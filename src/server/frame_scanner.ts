/**
 * The fast path of frequent messages: a frame is read from its bytes, without `JSON.parse`, schema or objects in between.
 *
 * It takes what clients in the field send and leaves everything unusual, and everything that is wrong, to the schema,
 * which decides then. So it never answers an error, and whatever it takes the schema takes too, with the same result:
 * tests hold the two against each other.
 *
 * The frame is copied to bytes once. The loops run over plain Uint8Arrays: on a Buffer they take a third longer.
 */
import type { InsertBatch } from "../engine/insert_batch.ts";
import { neverInline } from "../engine/never_inline.ts";
import { RawText } from "../engine/raw_text.ts";
import {
  BACKSLASH,
  CLOSE_BRACE,
  COMMA,
  fourBytes,
  OPEN_BRACE,
  QUOTE,
  SPACE,
  twoBytes,
} from "../protocol/ascii.ts";
import { FRAME_WINDOW } from "./escaped_scanner.ts";
import { FAST_READERS, type FastType } from "./fast_request.ts";
import { FieldScanner, type Fields } from "./field_scanner.ts";
import { InsertScanner } from "./insert_scanner.ts";
import { Scratch, skipSpace, unescapeString, valueAfter } from "./json_bytes.ts";

const NOT_TAKEN = -1;

/* Members, as four bytes and what follows. */
const ID = fourBytes('"id"');
const TYPE = fourBytes('"typ');
const END_OF_TYPE = twoBytes('e"');
const DATA = fourBytes('"dat');
const END_OF_DATA = twoBytes('a"');

/** What is read here. */
export const SCANNED_TYPES = ["ins", ...Object.keys(FAST_READERS)] as readonly ("ins" | FastType)[];
/** The place of `ins`. */
export const SCANNED_INS = 0;
/* What each begins with, and with the quote behind it; `gvals` is told from `gval` by that. */
const TYPE_BEGINNINGS = Int32Array.from(SCANNED_TYPES, (type) => fourBytes(`${type}"`.slice(0, 4)));
const TYPE_LENGTHS = Int32Array.from(SCANNED_TYPES, (type) => type.length + 1);
const TYPE_ENDINGS = Int32Array.from(SCANNED_TYPES, (type) => twoBytes(`${type}"`.slice(-2)));

export class FrameScanner {
  /** Of the frame scanned last: its id as a JSON string with its quotes. */
  readonly id = new RawText();

  readonly #records = new InsertScanner();
  readonly #fields = new FieldScanner();
  readonly #frame: Scratch;
  readonly #payload = new Scratch();
  #hasRecords = false;

  /** @param frame where frames are put: by default in memory that all scanners of a thread share. */
  constructor(frame = new Scratch(FRAME_WINDOW)) {
    this.#frame = frame;
    neverInline(this.scan, this.#scanMessage, this.#scanData);
  }

  /** The same as a string. */
  get idText(): string {
    const { id } = this;
    // Not of the frame's bytes as they are now: they may have been given up when it was scanned.
    return this.#frame.isAscii ? this.#frame.part(id.start, id.end) : id.toString();
  }

  /** The payload of the frame scanned last, unless it was an `ins`. */
  get fields(): Fields {
    return this.#fields.fields;
  }

  /**
   * Reads a frame; an `ins` fills the batch, any other its `fields`.
   *
   * @returns the place of the message's type in SCANNED_TYPES, or -1 when the schema is to decide.
   */
  scan(frame: string, batch: InsertBatch): number {
    const scratch = this.#frame;
    const size = scratch.fill(frame);
    const type = this.#scanMessage(size, batch);
    if (size > LARGE_BYTES || scratch.isGrown) this.#shrink(size);
    return type;
  }

  #scanMessage(size: number, batch: InsertBatch): number {
    const { bytes, view } = this.#frame;
    let type = NOT_TAKEN;
    let hasId = false;
    let hasData = false;
    let at = skipSpace(bytes, 0);
    if (bytes[at] !== OPEN_BRACE) return NOT_TAKEN;
    at = skipSpace(bytes, at + 1);
    for (;;) {
      const letters = view.getInt32(at, true);
      const ending = view.getInt16(at + 4, true);
      if (letters === ID) {
        at = valueAfter(bytes, at + 4);
        const end = plainStringEnd(bytes, at);
        if (hasId || end === NOT_TAKEN) return NOT_TAKEN;
        hasId = true;
        this.id.point(this.#frame.buffer, at, end);
        at = end;
      } else if (letters === TYPE && ending === END_OF_TYPE) {
        at = valueAfter(bytes, at + 6);
        const end = plainStringEnd(bytes, at);
        if (type !== NOT_TAKEN || end === NOT_TAKEN) return NOT_TAKEN;
        type = typeBetween(view, at + 1, end);
        if (type === NOT_TAKEN) return NOT_TAKEN;
        at = end;
      } else if (letters === DATA && ending === END_OF_DATA) {
        at = valueAfter(bytes, at + 6);
        if (hasData) return NOT_TAKEN;
        hasData = true;
        at = this.#scanData(at, size, batch);
        if (at === NOT_TAKEN) return NOT_TAKEN;
      } else return NOT_TAKEN;
      at = skipSpace(bytes, at);
      if (bytes[at] === CLOSE_BRACE) break;
      if (bytes[at] !== COMMA) return NOT_TAKEN;
      at = skipSpace(bytes, at + 1);
    }
    const isWhole = skipSpace(bytes, at + 1) >= size && at < size;
    const isMatched = (type === SCANNED_INS) === this.#hasRecords;
    return isWhole && hasId && hasData && isMatched ? type : NOT_TAKEN;
  }

  /** A message's `data` at a place, as text or as JSON; what it begins with tells records from fields. Returns its end. */
  #scanData(at: number, size: number, batch: InsertBatch): number {
    const { bytes } = this.#frame;
    this.#hasRecords = false;
    if (bytes[at] === OPEN_BRACE) return this.#fields.scan(this.#frame, at);
    if (bytes[at] !== QUOTE || bytes[at + 1] !== OPEN_BRACE) {
      this.#hasRecords = true;
      batch.clear();
      return this.#records.scan(this.#frame, at, size, batch);
    }
    const direct = this.#fields.scanEscaped(this.#frame, at + 1);
    if (direct !== NOT_TAKEN) {
      const stringEnd = skipBlanks(bytes, direct);
      if (bytes[stringEnd] === QUOTE) return stringEnd + 1;
    }
    const payload = this.#payload;
    payload.makeRoom(size);
    const frameEnd = unescapeString(this.#frame, at + 1, payload);
    if (frameEnd < 0) return NOT_TAKEN;
    const payloadEnd = payload.used;
    const end = this.#fields.scan(payload, 0);
    return end !== NOT_TAKEN && skipSpace(payload.bytes, end) >= payloadEnd ? frameEnd : NOT_TAKEN;
  }

  #shrink(size: number): void {
    this.#frame.shrink(size);
    this.#payload.shrink(size);
    this.#records.shrink(size);
  }
}

function skipBlanks(bytes: Uint8Array, start: number): number {
  let at = start;
  while (bytes[at] === SPACE) at++;
  return at;
}

/** Smaller frames make nothing grow. */
const LARGE_BYTES = 64 * 1024;

/** Where the string at a place ends, behind its quote; -1 for an empty one, one with escapes, and what is no string. */
function plainStringEnd(bytes: Uint8Array, start: number): number {
  if (bytes[start] !== QUOTE) return NOT_TAKEN;
  for (let at = start + 1; ; at++) {
    const byte = bytes[at] as number;
    if (byte === QUOTE) return at > start + 1 ? at + 1 : NOT_TAKEN;
    if (byte === BACKSLASH || byte < SPACE) return NOT_TAKEN;
  }
}

/** Which type stands between two places, the last of which is behind its quote. */
function typeBetween(view: DataView, start: number, end: number): number {
  const beginning = view.getInt32(start, true);
  const ending = view.getInt16(end - 2, true);
  for (let type = 0; type < TYPE_BEGINNINGS.length; type++) {
    if (beginning !== TYPE_BEGINNINGS[type] || ending !== TYPE_ENDINGS[type]) continue;
    return end - start === TYPE_LENGTHS[type] ? type : NOT_TAKEN;
  }
  return NOT_TAKEN;
}
