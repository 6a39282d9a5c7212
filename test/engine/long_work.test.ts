import { expect, test } from "bun:test";
import { GivenUp, LongWork, type Task } from "../../src/engine/long_work.ts";

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Long work by a clock that a test moves. */
class World {
  nowMs = 0;
  readonly log: string[] = [];
  readonly longWork = new LongWork({ portionMs: 4, unitsALook: 0, nowMs: () => this.nowMs });

  *task(name: string, portions: number): Task {
    for (let portion = 1; portion <= portions; portion++) {
      this.log.push(`${name}${portion}`);
      if (portion < portions) yield;
    }
  }
}

test("isTurnOver() says so when the turn has lasted long enough, until the next turn", async () => {
  const world = new World();
  const { longWork } = world;
  expect(longWork.isTurnOver(1)).toBe(false);
  world.nowMs = 3;
  expect(longWork.isTurnOver(1)).toBe(false);
  world.nowMs = 4;
  expect(longWork.isTurnOver(1)).toBe(true);
  expect(longWork.isTurnOver(1)).toBe(true);
  await nextTurn();
  expect(longWork.isTurnOver(1)).toBe(false);
});

test("isTurnOver() looks at the clock after so many units only", () => {
  let looks = 0;
  const longWork = new LongWork({ portionMs: 0, unitsALook: 10, nowMs: () => ++looks });
  longWork.isTurnOver(1);
  expect(looks).toBe(1);
  for (let step = 0; step < 5; step++) expect(longWork.isTurnOver(2)).toBe(false);
  expect(looks).toBe(1);
  expect(longWork.isTurnOver(1)).toBe(true);
  expect(looks).toBe(2);
});

test("begin() does the first portion at once", async () => {
  const world = new World();
  world.longWork.begin(world.task("a", 1));
  world.longWork.begin(world.task("b", 2));
  expect(world.log).toEqual(["a1", "b1"]);
  await world.longWork.drain();
  expect(world.log).toEqual(["a1", "b1", "b2"]);
});

test("finish() takes turns, a portion each", async () => {
  const world = new World();
  const done = [world.task("a", 3), world.task("b", 1), world.task("c", 2)].map((task) =>
    world.longWork.finish(task),
  );
  expect(world.log).toEqual([]);
  await nextTurn();
  expect(world.log).toEqual(["a1"]);
  await Promise.all(done);
  expect(world.log).toEqual(["a1", "b1", "c1", "a2", "c2", "a3"]);
});

test("who is in line has most of a turn", async () => {
  const world = new World();
  const done = world.longWork.finish(world.task("a", 2));
  expect(world.longWork.isTurnOver(1)).toBe(false);
  world.nowMs = 1;
  expect(world.longWork.isTurnOver(1)).toBe(true);
  await done;
});

test("finish() rejects with what a task throws, and the others go on", async () => {
  const world = new World();
  // biome-ignore lint/correctness/useYield: it fails before.
  const failing = (function* (): Task {
    throw new RangeError("no");
  })();
  const failed = world.longWork.finish(failing);
  const done = world.longWork.finish(world.task("a", 2));
  await expect(failed).rejects.toThrow("no");
  await done;
  expect(world.log).toEqual(["a1", "a2"]);
});

test("drain() resolves when nobody is in line, and at once when nobody was", async () => {
  const world = new World();
  await world.longWork.drain();
  void world.longWork.finish(world.task("a", 2));
  void world.longWork.finish(world.task("b", 3));
  await world.longWork.drain();
  expect(world.log).toEqual(["a1", "b1", "a2", "b2", "b3"]);
});

test("who waits for a promise is out of line until then, and drain() waits for it too", async () => {
  const world = new World();
  const wait = Promise.withResolvers<void>();
  const { log, longWork } = world;
  const waiting = (function* (): Task {
    log.push("asks");
    yield wait.promise;
    log.push("goes on");
  })();
  const answered = longWork.begin(waiting);
  const done = longWork.finish(world.task("a", 3));
  await done;
  expect(log).toEqual(["asks", "a1", "a2", "a3"]);
  let isDrained = false;
  const drained = longWork.drain().then(() => {
    isDrained = true;
  });
  await nextTurn();
  await nextTurn();
  expect(isDrained).toBe(false);
  wait.resolve();
  await answered;
  await drained;
  expect(log.at(-1)).toBe("goes on");
});

test("a task fails with the promise it waits for, also with the one it begins with", async () => {
  const { longWork } = new World();
  const waiting = (function* (): Task {
    yield Promise.reject(new RangeError("no"));
  })();
  await expect(longWork.finish(waiting)).rejects.toThrow("no");
  const late = longWork.finish(new World().task("a", 1), Promise.reject(new RangeError("neither")));
  await expect(late).rejects.toThrow("neither");
  await longWork.drain();
});

test("finish() gives up what nobody waits for any more, and goes on with the others", async () => {
  const world = new World();
  const { longWork } = world;
  const [one, other] = [{ isGone: false }, { isGone: false }];
  const given = longWork.finish(world.task("a", 10), undefined, one).catch((error: Error) => error);
  const done = longWork.finish(world.task("b", 3), undefined, other);
  await nextTurn();
  await nextTurn();
  one.isGone = true;
  expect(await given).toBeInstanceOf(GivenUp);
  await done;
  expect(world.log.filter((entry) => entry.startsWith("b"))).toEqual(["b1", "b2", "b3"]);
  expect(world.log.filter((entry) => entry.startsWith("a")).length).toBeLessThan(5);
  await longWork.drain();
});
