/**
 * The fast path of frequent messages: a frame is read from its bytes, without `JSON.parse`, schema or objects in between.
 *
 * It takes what clients in the field send and leaves everything unusual, and everything that is wrong, to the schema,
 * which decides then. So it never answers an error, and whatever it takes the schema takes too, with the same result:
 * tests hold the two against each other.
 *
 * The frame is copied to bytes once, into the window of what is compiled from src/assembly: message.ts there reads it. A
 * frame that is longer than the window comes in parts, of which only records may be in more than one.
 */
import type { InsertBatch } from "../engine/insert_batch.ts";
import { neverInline } from "../engine/never_inline.ts";
import { RawText } from "../engine/raw_text.ts";
import { FAST_READERS, type FastType } from "./fast_request.ts";
import { FieldReader, type Fields } from "./fields.ts";
import { InsertScanner } from "./insert_scanner.ts";
import { Scratch, SPARE_BYTES, unescapeString } from "./json_bytes.ts";
import { showScannedRecords } from "./record_scanner.ts";
import {
  describeName,
  FRAME_WINDOW,
  fillWindow,
  MESSAGE_MODULE,
  MODULE_MEMORY,
  WINDOW_BYTES,
  WINDOW_START,
} from "./scanner_module.ts";

/* What the scanner returns, where it is not a type's number: see src/assembly/message.ts. */
const NOT_TAKEN = -1;
const RECORDS = -2;
/* What it tells, in integers. */
const ID_START = 0;
const ID_END = 1;
const SEEN_FIELDS = 2;
const PLACE = 3;
const RECORD_COUNT = 4;

/** What is read here. */
export const SCANNED_TYPES = ["ins", ...Object.keys(FAST_READERS)] as readonly ("ins" | FastType)[];
/** The place of `ins`. */
export const SCANNED_INS = 0;

const PAYLOAD = Buffer.from(MODULE_MEMORY.buffer, MESSAGE_MODULE.PAYLOAD.value, WINDOW_BYTES);

describeTypes();

/** Tells the scanner what there is. */
function describeTypes(): void {
  for (const [index, type] of SCANNED_TYPES.entries()) {
    describeName(MESSAGE_MODULE.TYPES.value, index, `${type}"`);
  }
  MESSAGE_MODULE.useTypes(SCANNED_TYPES.length);
}

export class FrameScanner {
  /** Of the frame scanned last: its id as a JSON string with its quotes. */
  readonly id = new RawText();

  readonly #records = new InsertScanner();
  readonly #fields = new FieldReader();
  readonly #frame: Scratch;
  readonly #payload = new Scratch(PAYLOAD);
  readonly #message = new Int32Array(MODULE_MEMORY.buffer, MESSAGE_MODULE.MESSAGE.value, 5);
  /** Whether the fields are in the payload. */
  #hasPayload = false;

  /** @param frame where frames are put: by default in the window, which all scanners of a thread share. */
  constructor(frame = new Scratch(FRAME_WINDOW)) {
    this.#frame = frame;
    neverInline(this.scan, this.#scanMessage);
  }

  /** The same as a string. */
  get idText(): string {
    const { id } = this;
    // Not of the frame's bytes as they are now: they may have been given up when it was scanned.
    return this.#frame.isAscii ? this.#frame.part(id.start, id.end) : id.toString();
  }

  /** The payload of the frame scanned last, unless it was an `ins`. */
  get fields(): Fields {
    const seen = this.#message[SEEN_FIELDS] as number;
    return this.#fields.read(seen, this.#hasPayload ? undefined : this.#frame);
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
    const { bytes, buffer } = this.#frame;
    const message = this.#message;
    const isInWindow = buffer === FRAME_WINDOW;
    // How much of the frame comes before the window.
    let ahead = 0;
    if (!isInWindow) fillWindow(bytes, 0, size);
    this.#hasPayload = false;
    let result = MESSAGE_MODULE.begin(WINDOW_START + size, isInWindow ? 1 : 0);
    while (result < NOT_TAKEN) {
      const at = (message[PLACE] as number) - WINDOW_START + ahead;
      const end = result === RECORDS ? this.#scanRecords(at, size, batch) : this.#scanPayload(at, size);
      if (end === NOT_TAKEN) return NOT_TAKEN;
      if (!isInWindow) {
        ahead = end;
        fillWindow(bytes, end, size);
      }
      result = MESSAGE_MODULE.goOn(WINDOW_START + end - ahead, WINDOW_START + size - ahead, ahead);
    }
    const count = message[RECORD_COUNT] as number;
    if (count > 0) showScannedRecords(batch, count);
    this.id.point(buffer, message[ID_START] as number, message[ID_END] as number);
    return result;
  }

  #scanRecords(at: number, size: number, batch: InsertBatch): number {
    batch.clear();
    return this.#records.scan(this.#frame, at, size, batch);
  }

  /** The fields in a string whose texts have escapes of their own: these are undone first. Returns where it ends. */
  #scanPayload(at: number, size: number): number {
    if (size > WINDOW_BYTES - SPARE_BYTES) return NOT_TAKEN;
    const payload = this.#payload;
    const end = unescapeString(this.#frame, at + 1, payload);
    this.#hasPayload = true;
    return end >= 0 && MESSAGE_MODULE.scanPayload(MESSAGE_MODULE.PAYLOAD.value + payload.used) !== 0
      ? end
      : NOT_TAKEN;
  }

  #shrink(size: number): void {
    this.#frame.shrink(size);
    this.#records.shrink(size);
  }
}

/** Smaller frames make nothing grow. */
const LARGE_BYTES = 64 * 1024;
