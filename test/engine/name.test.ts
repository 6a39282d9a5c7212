/**
 * Tables of names, among them names that somebody has chosen to have one hash.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { keyedHash } from "../../src/engine/keyed_hash.ts";
import { LongWork } from "../../src/engine/long_work.ts";
import { hashBytes, Name } from "../../src/engine/name.ts";
import { NameTable } from "../../src/engine/name_table.ts";
import { escapeText } from "../../src/engine/raw_text.ts";
import { SlabAllocator } from "../../src/engine/slab.ts";
import { NAME_LENGTH_MAX } from "../../src/protocol/limits.ts";
import { IN_PIECES } from "./harness.ts";

type Value = { readonly name: Name };

test("names of every length stand where others do not, to the end of a slab, and a name that has gone is known", () => {
  const slabs = new SlabAllocator();
  // The longest that a client may choose takes six bytes a character.
  const texts = Array.from({ length: 3000 }, (_, index) => "é".repeat(index % 700) + index);
  texts.push("\0".repeat(NAME_LENGTH_MAX), "\0".repeat(NAME_LENGTH_MAX - 1), "", '"');
  const names = texts.map((text) => new Name(text, slabs));
  for (const [index, name] of names.entries()) {
    const escaped = escapeText(texts[index] as string);
    const bytes = name.slab.bytes.subarray(name.start - 1, name.end + 2);
    expect(bytes.toString()).toBe(`"${escaped}":`);
    expect([name.length, name.isFree, name.text]).toEqual([escaped.length, false, texts[index] as string]);
    expect(name.equals(escaped, 0, escaped.length)).toBe(true);
  }
  for (const name of names) name.free(slabs);
  expect(names.map((name) => name.text)).toEqual(texts);
  expect(names.every((name) => name.isFree)).toBe(true);
  expect(slabs.usedBytes).toBe(0);
});

test("a name that is longer than any client may choose is refused", () => {
  const slabs = new SlabAllocator();
  const text = "x".repeat(2 ** 15);
  expect(() => new Name(text, slabs)).toThrow(new RangeError("a name takes at most 32767 bytes, not 32768"));
  expect(slabs.usedBytes).toBe(0);
});

test("the keyed hash is HalfSipHash-2-4", () => {
  const bytes = Uint8Array.from({ length: 64 }, (_, index) => index);
  // The first vectors of its authors, whose bytes are the lowest first.
  const vectors = [0x5b9f35a9, 0xb85a4727, 0x03a662fa, 0x04e7fe8a, 0x89466e2a, 0x69b6fac5];
  for (const [length, expected] of vectors.entries()) {
    expect(keyedHash([0x03020100, 0x07060504], bytes, 0, length) >>> 0).toBe(expected);
    expect(keyedHash([0x03020100, 0x07060504], Buffer.from([9, ...bytes]), 1, 1 + length) >>> 0).toBe(
      expected,
    );
  }
});

test("the hash of names is MurmurHash3", () => {
  const vectors: [string, number][] = [
    ["", 0],
    ["a", 0x3c2569b2],
    ["abc", 0xb3dd93fa],
    ["hello", 0x248bfa47],
    ["hello, world", 0x149bbb7f],
    ["19 Jan 2038 at 3:14:07 AM", 0xe31e8a70],
    ["The quick brown fox jumps over the lazy dog", 0x2e4ff723],
  ];
  for (const [text, expected] of vectors) {
    expect(hashBytes(Buffer.from(text), 0, text.length) >>> 0).toBe(expected);
    expect(hashBytes(Buffer.from(`x${text}y`), 1, 1 + text.length) >>> 0).toBe(expected);
  }
});

/** Eight letters of four bits each, far from those of the next number. */
const lettersOf = (number: number): number[] => {
  const bits = Math.imul(number, 0x9e3779b1);
  return [0, 4, 8, 12, 16, 20, 24, 28].map((shift) => 97 + ((bits >>> shift) & 15));
};
const blockOf = (number: number): string => Buffer.from(lettersOf(number)).toString();

/** What MurmurHash3 makes of a block. */
function step(start: number, number: number): number {
  const block = Buffer.from(lettersOf(number));
  let hash = start;
  for (const at of [0, 4]) {
    const product = Math.imul(block.readInt32LE(at), 0xcc9e2d51);
    hash ^= Math.imul((product << 15) | (product >>> 17), 0x1b873593);
    hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0;
  }
  return hash;
}

/**
 * 2^count names: two blocks that lead to the same state may be chosen at each of so many places (Joux, "Multicollisions
 * in iterated hash functions", 2004).
 */
function collidingNames(count: number): string[] {
  let names = [""];
  let state = 0;
  for (let place = 0; place < count; place++) {
    const seen = new Map<number, number>();
    for (let number = 0; ; number++) {
      const reached = step(state, number);
      const other = seen.get(reached);
      seen.set(reached, number);
      if (other === undefined) continue;
      names = names.flatMap((name) => [name + blockOf(other), name + blockOf(number)]);
      state = reached;
      break;
    }
  }
  return names;
}

const COLLIDING = collidingNames(10);

test("names of one hash, more than a table takes, are told apart by a hash of their own", () => {
  const hashes = new Set(COLLIDING.map((name) => hashBytes(escapeText(name), 0, name.length)));
  expect([COLLIDING.length, hashes.size]).toEqual([1024, 1]);
  const [slabs, table] = [new SlabAllocator(), new NameTable<Value>()];
  for (const [index, text] of COLLIDING.entries()) {
    expect(table.isKeyed).toBe(index > 4);
    table.add({ name: new Name(text, slabs) });
  }
  for (const text of COLLIDING) {
    expect(table.get(text)?.name.text).toBe(text);
    const bytes = Buffer.from(`"${text}"`);
    expect(table.getByBytes(bytes, 1, bytes.length - 1)?.name.text).toBe(text);
  }
});

test("so are names of one place, more than there are by chance", () => {
  const [slabs, table] = [new SlabAllocator(), new NameTable<Value>()];
  // As many as bring about a table of 1024 places: of all these, the last twelve bits of the hash are the same.
  const names: string[] = [];
  for (let number = 0; names.length < 300; number++) {
    const text = `d${number}`;
    if ((hashBytes(Buffer.from(text), 0, text.length) & 0xfff) === 7) names.push(text);
  }
  for (const [index, text] of names.entries()) {
    expect(table.isKeyed).toBe(index > 257);
    table.add({ name: new Name(text, slabs) });
  }
  for (const text of names) expect(table.get(text)?.name.text).toBe(text);
});

/** What undoes a multiplication by an odd number (Newton). */
function inverse(odd: number): number {
  let result = odd;
  for (let round = 0; round < 5; round++) result = Math.imul(result, 2 - Math.imul(odd, result));
  return result;
}

const rotate = (value: number, bits: number): number => (value << bits) | (value >>> (32 - bits));

/** Undoes `value ^ (value >>> bits)`. */
function unshift(value: number, bits: number): number {
  let result = value;
  for (let known = bits; known < 32; known += bits) result = value ^ (result >>> bits);
  return result;
}

/** The last four bytes of a name of eight whose first four are given, so that MurmurHash3 of it is a hash. */
function blockTo(hash: number, first: number): number {
  let state = Math.imul(unshift(hash, 16), inverse(0xc2b2ae35));
  state = unshift(Math.imul(unshift(state, 13), inverse(0x85ebca6b)), 16) ^ 8;
  const mixed = (block: number): number => Math.imul(rotate(Math.imul(block, 0xcc9e2d51), 15), 0x1b873593);
  const before = (Math.imul(rotate(mixed(first), 13), 5) + 0xe6546b64) | 0;
  const product = rotate(Math.imul(state - 0xe6546b64, inverse(5)), 19) ^ before;
  return Math.imul(rotate(Math.imul(product, inverse(0x1b873593)), 17), inverse(0xcc9e2d51));
}

test("so are names of one part, however their hashes go on", () => {
  const [slabs, table] = [new SlabAllocator(), new NameTable<Value>()];
  // More than a part holds, each with a hash of its own, of which the fifteen highest bits are the same.
  const texts = new Map<number, string>();
  const bytes = Buffer.alloc(8);
  for (let number = 0; texts.size < 17_000; number++) {
    const hash = (0x5a5a << 17) | (Math.imul(number, 0x9e3779b1) >>> 15);
    bytes.writeInt32LE(0x41414141 + (number & 0x0f0f0f0f) + ((number >>> 4) & 0x0f0f0f0f));
    bytes.writeInt32LE(blockTo(hash, bytes.readInt32LE()), 4);
    if (bytes.every((byte) => byte >= 0x30 && byte <= 0x7a && byte !== 0x5c))
      texts.set(hash, bytes.toString());
  }
  const names = [...texts.values()];
  for (const [index, text] of names.entries()) {
    expect(hashBytes(Buffer.from(text), 0, 8) >>> 17).toBe(0x5a5a);
    table.add({ name: new Name(text, slabs) });
    // A part of 16,384 is full.
    expect(table.isKeyed).toBe(index >= 16_384);
  }
  for (const text of names) expect(table.get(text)?.name.text).toBe(text);
});

const name = fc.oneof(
  fc.constantFrom(...COLLIDING.slice(0, 600)),
  fc.string({ unit: "binary", maxLength: 12 }),
  fc.constantFrom("é", '"', "\\", "\n", "x".repeat(300), "\ud800"),
);
const change = fc.tuple(fc.constantFrom("add", "add", "delete", "get", "list"), name);

test("a table is what a map is, before and after names collide", () => {
  const slabs = new SlabAllocator();
  fc.assert(
    fc.property(fc.array(change, { maxLength: 120 }), fc.boolean(), (changes, areMany) => {
      const table = new NameTable<Value>();
      const model = new Map<string, Value>();
      const add = (text: string): void => {
        if (model.has(text)) return;
        const value = { name: new Name(text, slabs) };
        table.add(value);
        model.set(text, value);
      };
      if (areMany) for (const text of COLLIDING.slice(0, 300)) add(text);
      for (const [what, text] of changes) {
        const known = model.get(text);
        expect(table.get(text)).toBe(known);
        const inside = escapeText(text);
        expect(table.getByBytes(inside, 0, inside.length)).toBe(known);
        if (what === "add") add(text);
        else if (what === "delete" && known !== undefined) {
          table.delete(known);
          model.delete(text);
        } else if (what === "list") {
          expect(table.sorted().map((each) => each.name.text)).toEqual([...model.keys()].sort());
        }
      }
      expect(table.size).toBe(model.size);
      expect(table.sorted().map((each) => each.name.text)).toEqual([...model.keys()].sort());
    }),
    { numRuns: 60 },
  );
});

test.each([
  ["in order", (number: number) => String(1_000_000 + number)],
  ["backwards", (number: number) => String(1_000_000 - number)],
  ["in no order", (number: number) => lettersOf(number).join()],
  ["again and again", (number: number) => String(number % 3000)],
])("thousands of names, %s, come and go before, while and after they are sorted", async (_, nameOf) => {
  const slabs = new SlabAllocator();
  const table = new NameTable<Value>();
  const there = new Map<string, Value>();
  let number = 0;
  const change = (count: number): void => {
    for (const end = number + count; number < end; number++) {
      const text = nameOf(number);
      const old = there.get(text) ?? (number % 3 === 0 ? there.get(nameOf(number - 7)) : undefined);
      if (old !== undefined) {
        table.delete(old);
        there.delete(old.name.text);
      }
      if (there.has(text)) continue;
      const value = { name: new Name(text, slabs) };
      table.add(value);
      there.set(text, value);
    }
  };
  const check = (): void =>
    expect(table.sorted()).toEqual([...there.keys()].sort().map((text) => there.get(text) as Value));
  change(5000);
  let isSorted = false;
  const sorting = table.prepareSorted(new LongWork(IN_PIECES))?.then(() => {
    isSorted = true;
  });
  let turns = 0;
  for (; !isSorted; turns++) {
    change(50);
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  await sorting;
  expect(turns).toBeGreaterThan(3);
  check();
  const list = table.sorted();
  const before = [...list];
  change(5000);
  check();
  // Whoever still reads a list is not disturbed.
  expect(list).toEqual(before);
  for (const value of there.values()) table.delete(value);
  expect(table.sorted()).toEqual([]);
  there.clear();
  change(1000);
  check();
});

test("a table of many parts finds all that there is and nothing that has gone", () => {
  const slabs = new SlabAllocator();
  const table = new NameTable<Value>();
  // Parts are cut from 16,384 values on: these go through several sizes of the directory, and back.
  const values = Array.from({ length: 150_000 }, (_, number) => ({ name: new Name(`d${number}`, slabs) }));
  for (const value of values) table.add(value);
  expect(values.every((value) => table.get(value.name.text) === value)).toBe(true);
  for (const left of [80_000, 30_000, 5000, 7]) {
    const gone = table.all().slice(left);
    // From the front, the back and between.
    for (let at = 0; at < gone.length; at++) {
      table.delete(gone[(at * 7919) % gone.length] as Value);
    }
    const there = new Set(table.all());
    expect([there.size, table.size]).toEqual([left, left]);
    expect(
      values.every((value) => table.get(value.name.text) === (there.has(value) ? value : undefined)),
    ).toBe(true);
    for (const value of values.slice(0, left)) if (!there.has(value)) table.add(value);
    for (const value of values.slice(0, left)) if (!there.has(value)) table.delete(value);
  }
  for (const value of table.all()) table.delete(value);
  expect([table.size, table.all().length, table.get("d7")]).toEqual([0, 0, undefined]);
  for (const value of values.slice(0, 20_000)) table.add(value);
  expect(table.sorted().map(({ name }) => name.text)).toEqual(
    values
      .slice(0, 20_000)
      .map(({ name }) => name.text)
      .sort(),
  );
});
