/**
 * The fields of a request's payload, as src/assembly/fields.ts has read them from its bytes: which there are, and what
 * values they have. fast_request.ts checks them, and makes requests of them.
 */
import { RawText } from "../engine/raw_text.ts";
import { KEY_HASH_KEY } from "../engine/value_table.ts";
import { MINUS, SLASH } from "../protocol/ascii.ts";
import { readDigits, readLongTimestamp } from "../protocol/integer_text.ts";
import type { Timestamp } from "../protocol/timestamp.ts";
import type { Scratch } from "./json_bytes.ts";
import { describeName, MESSAGE_MODULE, MODULE_BYTES, MODULE_MEMORY, WINDOW_START } from "./scanner_module.ts";

/**
 * Names, keys and values stay as bytes, in the form in which they are stored, unless they have escapes of other forms. An
 * integer beyond 2^53 comes as a timestamp, nothing else is so large; beyond 64 bits it is NaN, which nobody takes.
 */
export type FieldValue = string | RawText | number | boolean | Timestamp | undefined;

/** A name or a key that is looked up, a text that is kept as its bytes, a time, or anything else. */
type Use = "name" | "key" | "raw" | "time" | "plain";

/** What a payload may hold, in the order of `Fields`. Names have eight letters at most, and two that others have not. */
const USES = {
  col: "name",
  doc: "name",
  ts: "time",
  from: "time",
  to: "time",
  where: "plain",
  filter: "plain",
  limit: "plain",
  reverse: "plain",
  key: "key",
  value: "raw",
} as const satisfies Record<string, Use>;
type Name = keyof typeof USES;
const NAMES = Object.keys(USES) as Name[];
/** Where each of them stands. */
export const FIELD = Object.fromEntries(NAMES.map((name, index) => [name, index])) as {
  readonly [Each in Name]: number;
};
/**
 * A payload's fields; undefined is what it does not have.
 *
 * An array, reused for all payloads: an object with as many members takes a hundred nanoseconds to make.
 */
export type Fields = FieldValue[];
/** What stays where it is. */
const IS_RAW = Uint8Array.from(NAMES, (name) => Number(USES[name] !== "time" && USES[name] !== "plain"));

/* Kinds of values, which src/assembly/fields.ts explains. */
const [TEXT, STORED_TEXT, ESCAPED_TEXT, NUMBER, LONG, TRUE, FALSE] = [1, 2, 3, 4, 5, 6, 7];

/* Rows of values, see src/assembly/fields.ts. */
const ROW_BYTES = 24;
const ROW_INTEGERS = ROW_BYTES / 4;
const ROW_DOUBLES = ROW_BYTES / 8;
const START = 1;
const END = 2;
const HASH = 3;
const NUMBER_PLACE = 2;

describeFields();

/** Tells the scanner what there is. */
function describeFields(): void {
  const { BY_LETTERS, NAMES: TABLE, HASH_KEY } = MESSAGE_MODULE;
  const uses: Readonly<Record<Use, number>> = { plain: 0, raw: 0, time: 1, name: 2, key: 4 };
  new Int32Array(MODULE_MEMORY.buffer, HASH_KEY.value, 2).set(KEY_HASH_KEY);
  for (const [index, name] of NAMES.entries()) {
    const letters = ((name.charCodeAt(0) & 31) << 5) | (name.charCodeAt(1) & 31);
    MODULE_MEMORY[BY_LETTERS.value + letters] = index + 1;
    describeName(TABLE.value, index, name, uses[USES[name]]);
  }
}

export class FieldReader {
  /** Of the payload read last. */
  readonly #fields: Fields = NAMES.map(() => undefined);
  /** Which of them there are. */
  #seen = 0;
  /** By field, its text where it stands; reused for all payloads. */
  readonly #raw = NAMES.map(() => new RawText());
  readonly #values = new Int32Array(
    MODULE_MEMORY.buffer,
    MESSAGE_MODULE.VALUES.value,
    NAMES.length * ROW_INTEGERS,
  );
  readonly #numbers = new Float64Array(
    MODULE_MEMORY.buffer,
    MESSAGE_MODULE.VALUES.value,
    NAMES.length * ROW_DOUBLES,
  );

  /**
   * The fields of a payload that was scanned, a bit of `seen` for each that there is.
   *
   * @param frame what they stand in, if it is not a payload of its own; it is in the window.
   */
  read(seen: number, frame: Scratch | undefined): Fields {
    const fields = this.#fields;
    for (let rest = this.#seen & ~seen; rest !== 0; rest &= rest - 1) fields[lowestBit(rest)] = undefined;
    for (let rest = seen; rest !== 0; rest &= rest - 1) {
      const index = lowestBit(rest);
      fields[index] = this.#valueOf(index, frame);
    }
    this.#seen = seen;
    return fields;
  }

  #valueOf(index: number, frame: Scratch | undefined): FieldValue {
    const row = index * ROW_INTEGERS;
    const kind = this.#values[row];
    const start = this.#values[row + START] as number;
    const end = this.#values[row + END] as number;
    if (kind === NUMBER) return this.#numbers[index * ROW_DOUBLES + NUMBER_PLACE];
    if (kind === LONG) return readLong(start, end);
    if (kind === TRUE || kind === FALSE) return kind === TRUE;
    if (kind === TEXT || kind === STORED_TEXT || kind === ESCAPED_TEXT) {
      return this.#textOf(index, kind, start, end, frame);
    }
    // A field that is null is one that is not there, as clients in Python send it.
    return undefined;
  }

  #textOf(
    index: number,
    kind: number,
    start: number,
    end: number,
    frame: Scratch | undefined,
  ): string | RawText {
    if (start === end) return "";
    // Patterns are kept by their text, so that is not to be a part of the frame, which would be kept with it.
    const isPattern = MODULE_BYTES[start] === SLASH;
    if (kind !== ESCAPED_TEXT && !isPattern && IS_RAW[index] === 1) {
      const hash = this.#values[index * ROW_INTEGERS + HASH] as number;
      return (this.#raw[index] as RawText).point(MODULE_MEMORY, start, end, hash);
    }
    if (kind !== TEXT) return JSON.parse(MODULE_MEMORY.toString("utf8", start - 1, end + 1));
    if (frame === undefined || isPattern) return MODULE_MEMORY.toString("utf8", start, end);
    return frame.part(start - WINDOW_START, end - WINDOW_START);
  }
}

const lowestBit = (bits: number): number => 31 - Math.clz32(bits & -bits);

/** An integer of so many digits that it may be beyond 2^53; what is in no range is no number. */
function readLong(start: number, end: number): number | Timestamp {
  const isNegative = MODULE_BYTES[start] === MINUS;
  const first = isNegative ? start + 1 : start;
  const value = readDigits(MODULE_BYTES, first, end);
  if (value <= Number.MAX_SAFE_INTEGER) return isNegative ? -value : value;
  const timestamp = { high: 0, low: 0 };
  return readLongTimestamp(MODULE_BYTES, first, end, isNegative, timestamp) ? timestamp : Number.NaN;
}
