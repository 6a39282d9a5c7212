/**
 * What is made of a payload's fields: texts as they are stored, with their hashes. That requests mean what the schema means
 * is tested with the rest, in fast_request.test.ts.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { InsertBatch } from "../../src/engine/insert_batch.ts";
import { keyedHash } from "../../src/engine/keyed_hash.ts";
import { hashBytes } from "../../src/engine/name.ts";
import type { RawText } from "../../src/engine/raw_text.ts";
import { KEY_HASH_KEY } from "../../src/engine/value_table.ts";
import { FIELD, type FieldValue } from "../../src/server/fields.ts";
import { FrameScanner } from "../../src/server/frame_scanner.ts";

const scanner = new FrameScanner();
const batch = new InsertBatch();

type Field = keyof typeof FIELD;

/** The fields of a message whose `data` is text or an object; a text where it stands as itself. */
function scan(data: Partial<Record<Field, unknown>>, isText: boolean): (field: Field) => FieldValue {
  const frame = JSON.stringify({ id: "é", type: "sval", data: isText ? JSON.stringify(data) : data });
  expect(scanner.scan(frame, batch)).toBeGreaterThan(0);
  const { fields } = scanner;
  return (field) => fields[FIELD[field]];
}

const bytesOf = ({ bytes, start, end }: RawText): string => bytes.toString("utf8", start, end);

/** What JSON.stringify escapes with a letter, and what it leaves as it is. */
const text = fc.string({
  unit: fc.constantFrom('"', "\\", "\n", "\t", "a", "b", " ", "/", "é", "😀", "{", "}", ","),
  minLength: 1,
  maxLength: 80,
});

test("texts stay where they are, in the form in which they are stored", () => {
  fc.assert(
    fc.property(text, text, text, text, fc.boolean(), (col, key, value, where, isText) => {
      const field = scan({ key, value, where, col }, isText);
      for (const [name, expected] of Object.entries({ col, key, value })) {
        const found = field(name as Field);
        // A pattern is kept by its text.
        if (expected.startsWith("/")) expect(found).toBe(expected);
        else expect(bytesOf(found as RawText)).toBe(JSON.stringify(expected).slice(1, -1));
      }
      expect(field("where")).toBe(where);
    }),
    { numRuns: 4000 },
  );
}, 60_000);

test("other escapes are undone", () => {
  for (const data of [
    '{"key":"\\u00e9\\/","value":"\\u0001"}',
    '{"value":"\\u0001","key":"\\u00e9\\u002f"}',
  ]) {
    for (const payload of [data, JSON.stringify(data)]) {
      expect(scanner.scan(`{"id":"1","type":"sval","data":${payload}}`, batch)).toBeGreaterThan(0);
      const { fields } = scanner;
      expect([String(fields[FIELD.key]), String(fields[FIELD.value])]).toEqual(["é/", "\u0001"]);
    }
  }
});

test("names and keys come with the hash that they are looked up by", () => {
  const names = ["a", "größer", "device-1", 'a "quoted" one', "tab\t", "x\\y"];
  for (let size = 1; size < 70; size++) names.push("n".repeat(size), `${"é".repeat(size)}m`);
  for (const name of names) {
    for (const isText of [true, false]) {
      const field = scan({ col: name, doc: name, key: name, value: name }, isText);
      for (const each of ["col", "doc"] as const) {
        const { bytes, start, end, hash } = field(each) as RawText;
        expect(hash).toBe(hashBytes(bytes, start, end));
      }
      const { bytes, start, end, hash } = field("key") as RawText;
      expect(hash).toBe(keyedHash(KEY_HASH_KEY, bytes, start, end));
      expect((field("value") as RawText).hash).toBe(0);
    }
  }
});

test("an integer that a double does not hold comes as a timestamp, and beyond 64 bits as no number", () => {
  const number = (digits: string): FieldValue => {
    expect(scanner.scan(`{"id":"1","type":"qry","data":{"ts":${digits}}}`, batch)).toBeGreaterThan(0);
    return scanner.fields[FIELD.ts];
  };
  expect(number("123456789012345")).toBe(123_456_789_012_345);
  expect(number("-9007199254740991")).toBe(Number.MIN_SAFE_INTEGER);
  expect(number("9007199254740992")).toEqual({ high: 0x20_0000, low: 0 });
  expect(number("-9223372036854775807")).toEqual({ high: -0x8000_0000, low: 1 });
  expect(number("9223372036854775808")).toBeNaN();
  expect(number("1".repeat(200))).toBeNaN();
});
