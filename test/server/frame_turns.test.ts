import { describe, expect, test } from "bun:test";
import { PORTION_MS } from "../../src/protocol/limits.ts";
import { type FrameShare, FrameTurns } from "../../src/server/frame_turns.ts";
import { RawClient } from "./raw_client.ts";
import { frameOf, KEYS, TestServer } from "./test_server.ts";

const shareOf = (): FrameShare => ({ turn: 0, count: 0 });
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Handles frames until the turn is used up for a connection; returns how many it were. */
function handle(turns: FrameTurns, share: FrameShare, most = 10_000): number {
  for (let count = 1; count <= most; count++) if (turns.isUsedUp(share, 100)) return count;
  return most;
}

describe("FrameTurns", () => {
  test("lets any number of frames through in a turn that is short enough", () => {
    const turns = new FrameTurns(() => 0);
    expect(handle(turns, shareOf())).toBe(10_000);
  });

  test("ends a turn that is used up, in which everybody may still handle a few", async () => {
    let nowMs = 0;
    const turns = new FrameTurns(() => nowMs);
    const [flood, other, third] = [shareOf(), shareOf(), shareOf()];
    expect(handle(turns, flood, 100)).toBe(100);
    nowMs = PORTION_MS;
    const more = handle(turns, flood);
    expect(more).toBeLessThan(50);
    expect(handle(turns, other)).toBe(8);
    expect(turns.isUsedUp(third, 100)).toBe(false);
    // The next turn has its own time.
    await nextTurn();
    expect(handle(turns, flood, 100)).toBe(100);
  });

  test("looks at the clock at once after a large frame, and lets no other through in a turn that is used up", () => {
    let nowMs = 0;
    const turns = new FrameTurns(() => nowMs);
    turns.isUsedUp(shareOf(), 100_000);
    nowMs = PORTION_MS;
    expect(turns.isUsedUp(shareOf(), 100_000)).toBe(true);
    const share = shareOf();
    for (let frame = 1; frame < 4; frame++) expect(turns.isUsedUp(share, 600)).toBe(false);
    expect(turns.isUsedUp(share, 600)).toBe(true);
  });

  test("ends a turn after a single frame that took long, for whoever has sent it", () => {
    let nowMs = PORTION_MS;
    const turns = new FrameTurns(() => nowMs);
    const handleLong = (startedAtMs: number): boolean => {
      turns.takesLong(startedAtMs);
      return turns.isUsedUp(shareOf(), 100);
    };
    expect(handleLong(0)).toBe(true);
    // Others may still handle a few short ones.
    expect(turns.isUsedUp(shareOf(), 100)).toBe(false);
    nowMs += 1;
    expect(handleLong(nowMs)).toBe(true);
  });

  test("goes on after a frame that might have taken long, and has not", () => {
    const turns = new FrameTurns(() => 0);
    for (let frame = 0; frame < 1000; frame++) {
      turns.takesLong(0);
      expect(turns.isUsedUp(shareOf(), 100)).toBe(false);
    }
  });

  test("lets those in line go on in order, as far as a turn goes, and none twice in a turn", async () => {
    let nowMs = 0;
    const turns = new FrameTurns(() => nowMs);
    const order: string[] = [];
    const enter = (name: string, share = shareOf()): void =>
      turns.wait(() => {
        order.push(name);
        // Each uses up a turn, and is not done.
        handle(turns, share, 100);
        nowMs += PORTION_MS;
        handle(turns, share);
        enter(name, share);
      });
    for (const name of ["a", "b", "c"]) enter(name);
    for (let turn = 0; turn < 6; turn++) await nextTurn();
    expect(order.join("")).toStartWith("abcabc".slice(0, order.length));
    expect(order.length).toBeGreaterThanOrEqual(5);
  });
});

describe("a flood of small frames", () => {
  test("is answered whole and in order, over many turns, while others are served in between", async () => {
    // Each look at the clock finds the turn used up.
    let nowMs = 0;
    await using server = new TestServer({ nowMs: () => (nowMs += PORTION_MS) });
    await using flood = await RawClient.connect(server.port, KEYS.readonly);
    await using other = await server.connect();
    const count = 5_000;
    const frames = Array.from({ length: count }, (_, id) => frameOf("gval", { col: "c", key: "k" }, `${id}`));
    flood.send(frames);
    expect(await other.request("cols", {})).toMatchObject({ collections: [] });
    for (let id = 0; id < count; id++) expect(await flood.next()).toBe(`{"id":"${id}","value":""}`);
  });

  test("of a client that has gone leaves nothing behind", async () => {
    let nowMs = 0;
    await using server = new TestServer({ nowMs: () => (nowMs += PORTION_MS) });
    await using other = await server.connect();
    {
      await using flood = await RawClient.connect(server.port, KEYS.readonly);
      flood.send(Array.from({ length: 5_000 }, () => frameOf("gval", { col: "c", key: "k" })));
    }
    while (server.connectionCount > 1) await other.request("cols", {});
    expect(await other.request("cols", {})).toMatchObject({ collections: [] });
    expect(server.log.of("bug")).toEqual([]);
  });
});
