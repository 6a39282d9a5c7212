/**
 * What keeps functions apart is not among Bun's types: whether it is still there only a test can tell.
 */

import * as jsc from "bun:jsc";
import { expect, test } from "bun:test";
import { neverInline } from "../../src/engine/never_inline.ts";

test("Bun has what never_inline.ts asks for", () => {
  expect(jsc).toHaveProperty("noInline");
});

test("functions that are never inlined do what they did", () => {
  class Counter {
    #count = 0;

    constructor() {
      neverInline(this.next, this.#step);
    }

    next(by: number): number {
      return this.#step(by);
    }

    #step(by: number): number {
      this.#count += by;
      return this.#count;
    }
  }
  const counter = new Counter();
  let last = 0;
  for (let round = 0; round < 100_000; round++) last = counter.next(2);
  expect(last).toBe(200_000);
});
