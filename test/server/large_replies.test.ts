/**
 * Large replies, one after another.
 */
import { expect, test } from "bun:test";
import { LargeReplies } from "../../src/server/large_replies.ts";

test("large replies are sent in their order, no two in one turn, and others have turns in between", async () => {
  const replies = new LargeReplies();
  const log: string[] = [];
  const send = async (name: string): Promise<void> => {
    await replies.join(`${name}${"x".repeat(1000)}`);
    log.push(name);
  };
  let isOver = false;
  const others = (): void => {
    log.push(".");
    if (!isOver) setImmediate(others);
  };
  setImmediate(others);
  await Promise.all(["a", "b", "c"].map(send));
  isOver = true;
  // One turn to become one text, and one to be sent.
  expect(log.join("")).toMatch(/^\.*a\.+b\.+c$/);
  expect(log.filter((each) => each === ".").length).toBeGreaterThanOrEqual(5);
});
