import { expect, test } from "bun:test";
import { BackOff } from "../../src/client/back_off.ts";

test("BackOff doubles up to its limit, half of it by chance, and starts over after a success", () => {
  const waits = (random: number) => {
    const backOff = new BackOff({ minMs: 100, maxMs: 1000, random: () => random });
    const five = Array.from({ length: 5 }, () => backOff.nextMs());
    backOff.reset();
    return [...five, backOff.nextMs()];
  };
  expect(waits(0)).toEqual([50, 100, 200, 400, 500, 50]);
  expect(waits(0.5)).toEqual([75, 150, 300, 600, 750, 75]);
});
