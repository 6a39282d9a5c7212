/**
 * A disk that fails, without one: the kernel's own answers for `/dev/full` and `/dev/null`, in the place of a file that
 * this process has open.
 */
import { expect, test } from "bun:test";
import { closeSync, openSync, readdirSync, readlinkSync } from "node:fs";

export const onLinux = test.skipIf(process.platform !== "linux");

/** Puts another file in the place of a descriptor of this process, as the kernel sees it; returns how to undo it. */
export function replaceDescriptor(path: string, other: string): () => void {
  const descriptor = readdirSync("/proc/self/fd").find((each) => {
    try {
      return readlinkSync(`/proc/self/fd/${each}`) === path;
    } catch {
      return false;
    }
  });
  const replace = (by: string): void => {
    closeSync(Number(descriptor));
    // The lowest number that is free is given, and it may not be the one.
    const opened: number[] = [];
    do opened.push(openSync(by, "r+"));
    while (opened.at(-1) !== Number(descriptor) && opened.length < 100);
    expect(opened.pop()).toBe(Number(descriptor));
    for (const each of opened) closeSync(each);
  };
  replace(other);
  return () => replace(path);
}
