import { expect, test } from "bun:test";
import { DatabaseError } from "../../src/protocol/errors.ts";
import { CommitGates } from "../../src/server/commit_gate.ts";
import { ReplyQueue } from "../../src/server/reply_queue.ts";

/** A queue whose replies are taken as soon as they are ready, as a connection does. */
function openQueue() {
  const sent: string[] = [];
  const queue: ReplyQueue = new ReplyQueue({
    onReady: () => takeReady(),
    gates: new CommitGates((error) => new DatabaseError("storage_failed", String(error))),
  });
  const takeReady = (): void => {
    while (queue.isReady) sent.push(queue.shift());
  };
  return { queue, sent };
}

test("a reply waits for those before it", async () => {
  const { queue, sent } = openQueue();
  const written = Promise.withResolvers<void>();
  queue.addAfter(written.promise, '"a"', 10);
  queue.add("b");
  expect({ isReady: queue.isReady, length: queue.length, sent }).toEqual({
    isReady: false,
    length: 2,
    sent: [],
  });
  written.resolve();
  await written.promise;
  expect(sent).toEqual(['{"id":"a"}', "b"]);
  expect(queue.isEmpty).toBe(true);
});

test("promises that settle in another order do not change the order of replies", async () => {
  const { queue, sent } = openQueue();
  const [first, second, third] = [0, 1, 2].map(() => Promise.withResolvers<void>());
  const answer = Promise.withResolvers<string>();
  queue.addAfter(first!.promise, "1", 0);
  queue.addAfter(second!.promise, "2", 0);
  queue.addPromised(answer.promise);
  queue.addAfter(third!.promise, "4", 0);
  third!.resolve();
  answer.resolve("3");
  second!.reject("no");
  await Promise.allSettled([third!.promise, answer.promise, second!.promise]);
  expect(sent).toEqual([]);
  first!.resolve();
  await first!.promise;
  expect(sent).toEqual(['{"id":1}', '{"id":2,"error":"no","code":"storage_failed"}', "3", '{"id":4}']);
});

test("a promise that has settled already is waited for like any other", async () => {
  const { queue, sent } = openQueue();
  const written = Promise.resolve();
  for (const id of ["1", "2", "3"]) {
    queue.addAfter(written, id, 0);
    if (id === "2") await written;
  }
  await written;
  expect(sent).toEqual(['{"id":1}', '{"id":2}', '{"id":3}']);
});

test("bytes are those of the requests and replies that wait", async () => {
  const { queue } = openQueue();
  const written = Promise.withResolvers<void>();
  queue.addAfter(written.promise, '"a"', 100);
  queue.add("four");
  expect(queue.bytes).toBe(107);
  written.resolve();
  await written.promise;
  expect(queue.bytes).toBe(0);
});

test("bytes are those of a promised reply as soon as it is known", async () => {
  const { queue, sent } = openQueue();
  const written = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<string>();
  queue.addAfter(written.promise, "1", 0);
  queue.addPromised(answer.promise);
  expect(queue.bytes).toBe(1);
  answer.resolve("four");
  await answer.promise;
  expect(queue.bytes).toBe(5);
  written.resolve();
  await written.promise;
  expect({ sent, bytes: queue.bytes }).toEqual({ sent: ['{"id":1}', "four"], bytes: 0 });
});

test("clear() forgets a promised reply too", async () => {
  const { queue, sent } = openQueue();
  const answer = Promise.withResolvers<string>();
  queue.addPromised(answer.promise);
  queue.clear();
  answer.resolve("four");
  await answer.promise;
  expect({ sent, bytes: queue.bytes, length: queue.length }).toEqual({ sent: [], bytes: 0, length: 0 });
});

test("clear() leaves nothing to be sent", async () => {
  const { queue, sent } = openQueue();
  const written = Promise.withResolvers<void>();
  queue.addAfter(written.promise, "1", 5);
  queue.add("two");
  queue.clear();
  written.resolve();
  await written.promise;
  expect({ sent, bytes: queue.bytes, length: queue.length }).toEqual({ sent: [], bytes: 0, length: 0 });
});

test("a queue that is never empty keeps the order, through any number of replies", async () => {
  const { queue, sent } = openQueue();
  const commits = Array.from({ length: 50 }, () => Promise.withResolvers<void>());
  let next = 0;
  for (const [index, { promise }] of commits.entries()) {
    for (let count = 0; count < 100; count++) {
      if (count % 7 === 0) queue.add(`{"id":${next++}}`);
      else queue.addAfter(promise, String(next++), 10);
    }
    // One commit behind, so that something always waits.
    commits[index - 1]?.resolve();
    await commits[index - 1]?.promise;
    expect(queue.length).toBeLessThanOrEqual(101);
  }
  commits.at(-1)?.resolve();
  await commits.at(-1)?.promise;
  expect(sent).toEqual(Array.from({ length: next }, (_, id) => `{"id":${id}}`));
  expect({ bytes: queue.bytes, length: queue.length }).toEqual({ bytes: 0, length: 0 });
});

test("queues share a commit's gate, and each has its own replies and the commit's error", async () => {
  const gates = new CommitGates((error) => new DatabaseError("storage_failed", String(error)));
  const queues = ["a", "b"].map((name) => {
    const queue: ReplyQueue = new ReplyQueue({
      gates,
      onReady: () => {
        while (queue.isReady) sent.push(`${name} ${queue.shift()}`);
      },
    });
    return queue;
  });
  const sent: string[] = [];
  const written = Promise.withResolvers<void>();
  for (const id of ["1", "2"]) for (const queue of queues) queue.addAfter(written.promise, id, 0);
  written.reject("no");
  await written.promise.catch(() => {});
  const error = '"error":"no","code":"storage_failed"';
  expect(sent).toEqual(["a", "b"].flatMap((name) => ["1", "2"].map((id) => `${name} {"id":${id},${error}}`)));
});
