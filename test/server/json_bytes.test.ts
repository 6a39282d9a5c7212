import { expect, test } from "bun:test";
import { Scratch } from "../../src/server/json_bytes.ts";

const MIB = 1024 * 1024;

test("a scratch keeps what large frames need, and goes back to its own memory a thousand frames after the last", () => {
  const first = Buffer.alloc(1000);
  const scratch = new Scratch(first);
  for (let round = 0; round < 2; round++) {
    scratch.makeRoom(8 * MIB);
    scratch.shrink(8 * MIB);
    for (let frame = 0; frame < 999; frame++) scratch.shrink(100);
    scratch.shrink(8 * MIB);
    for (let frame = 0; frame < 999; frame++) scratch.shrink(100);
    expect(scratch.isGrown).toBe(true);
    scratch.shrink(100);
    expect(scratch.isGrown).toBe(false);
    expect(scratch.buffer).toBe(first);
    expect(scratch.bytes.buffer).toBe(first.buffer);
  }
});
