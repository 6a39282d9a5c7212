/**
 * Clients who read nothing: who is given up, and when.
 */
import { expect, test } from "bun:test";
import { type SlowReader, SlowReaders } from "../../src/server/slow_readers.ts";

/** A clock, readers, and a few looks at them. */
class Scene {
  nowMs = 0;
  readonly gone: string[] = [];
  readonly readers: SlowReaders;

  constructor({ bytesMax = 1000 } = {}) {
    this.readers = new SlowReaders({ nowMs: () => this.nowMs, idleMs: 100, bytesMax, lookMs: 4 });
  }

  add(name: string, unsentBytes: number): { unsentBytes: number } & SlowReader {
    const reader = {
      unsentBytes,
      giveUp: () => {
        this.gone.push(name);
        this.readers.delete(reader);
      },
    };
    this.readers.add(reader);
    return reader;
  }

  async lookAt(nowMs: number): Promise<readonly string[]> {
    this.nowMs = nowMs;
    await Bun.sleep(10);
    return this.gone;
  }
}

test("one who reads nothing is given up after a while, one who reads a little is not", async () => {
  const scene = new Scene();
  scene.add("idle", 10);
  const slow = scene.add("slow", 10);
  const caughtUp = scene.add("caught up", 10);
  const left = scene.add("left", 10);
  expect(await scene.lookAt(99)).toEqual([]);
  slow.unsentBytes--;
  caughtUp.unsentBytes = 0;
  scene.readers.delete(left);
  expect(await scene.lookAt(100)).toEqual(["idle"]);
  expect(await scene.lookAt(199)).toEqual(["idle"]);
  expect(await scene.lookAt(300)).toEqual(["idle", "slow"]);
});

test("where all hold too much, those go first who have read nothing for longest, and no more than need be", async () => {
  const scene = new Scene({ bytesMax: 1000 });
  const first = scene.add("first", 600);
  expect(await scene.lookAt(10)).toEqual([]);
  scene.add("second", 300);
  await scene.lookAt(20);
  first.unsentBytes = 590;
  await scene.lookAt(30);
  scene.add("third", 300);
  expect(await scene.lookAt(40)).toEqual(["second"]);
});

test("who has just read something is not given up for others", async () => {
  const scene = new Scene({ bytesMax: 1 });
  const reader = scene.add("reader", 600);
  for (let nowMs = 1; nowMs < 10; nowMs++) {
    reader.unsentBytes--;
    // One look each time: what is read between two of them counts.
    expect(await scene.lookAt(nowMs)).toEqual([]);
    scene.nowMs = nowMs;
  }
  expect(await scene.lookAt(20)).toEqual(["reader"]);
});
