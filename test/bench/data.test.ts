import { describe, expect, test } from "bun:test";
import {
  DATA_KINDS,
  type DataOptions,
  dataOf,
  FIRST_TS,
  ORDERS,
  placeOf,
  recordAt,
  recordsOf,
} from "../../src/bench/data.ts";

const OPTIONS: DataOptions = {
  records: 1_003,
  documents: 7,
  collections: 3,
  kind: "sensor",
  order: "ascending",
};

describe("the records of a load", () => {
  test.each([...ORDERS])("are all there once, each document's in a row of times: %s", (order) => {
    const options = { ...OPTIONS, order };
    const times = new Map<string, number[]>();
    for (let index = 0; index < options.records; index++) {
      const { col, doc, ts } = recordAt(index, options);
      times.set(`${col} ${doc}`, [...(times.get(`${col} ${doc}`) ?? []), ts]);
    }
    expect(times.size).toBe(options.documents);
    const lengths = [...times.values()].map((each) => each.length);
    expect(lengths).toEqual(lengths.map((_, document) => recordsOf(document, options)));
    for (const each of times.values()) {
      expect([...each].sort((a, b) => a - b)).toEqual(each.map((_, place) => FIRST_TS + place));
    }
  });

  test("come in the order that is asked for", () => {
    expect([0, 1, 2, 3].map((index) => placeOf(index, 4, "descending"))).toEqual([3, 2, 1, 0]);
    expect([0, 1, 2, 3].map((index) => placeOf(index, 4, "overwrite"))).toEqual([0, 1, 2, 3]);
    expect([0, 1, 2, 3, 4].map((index) => placeOf(index, 5, "random"))).not.toEqual([0, 1, 2, 3, 4]);
  });

  test.each([...DATA_KINDS])("are JSON, differ, and are the same each time: %s", (kind) => {
    const texts = Array.from({ length: 200 }, (_, number) => dataOf(number, kind));
    expect(new Set(texts).size).toBe(texts.length);
    expect(texts).toEqual(texts.map((_, number) => dataOf(number, kind)));
    for (const text of texts) expect(JSON.parse(text)).toHaveProperty("state");
  });
});
