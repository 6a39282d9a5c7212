import { expect, test } from "bun:test";
import { Scratch } from "../../src/server/json_bytes.ts";

const MIB = 1024 * 1024;

test("a scratch keeps what large frames need, and gives it up a thousand frames after the last", () => {
  const scratch = new Scratch();
  const sizeAtFirst = scratch.buffer.length;
  for (let round = 0; round < 2; round++) {
    scratch.makeRoom(8 * MIB);
    scratch.shrink(8 * MIB);
    for (let frame = 0; frame < 999; frame++) scratch.shrink(100);
    scratch.shrink(8 * MIB);
    for (let frame = 0; frame < 999; frame++) scratch.shrink(100);
    expect(scratch.isLarge).toBe(true);
    scratch.shrink(100);
    expect(scratch.isLarge).toBe(false);
    expect(scratch.buffer.length).toBe(sizeAtFirst);
    expect(scratch.bytes.length).toBe(sizeAtFirst);
  }
});
