/**
 * Writes that cannot be done at once: much has to be opened for them first, or memory is short and is being made.
 */
import { MemoryFull } from "../engine/memory_limit.ts";
import { NotReady } from "../engine/not_ready.ts";

/** Where memory is short, what was opened for a write may be packed again before it comes to it. */
const TRIES_MAX = 3;

/** When a write that was not done can be; undefined for any other error, and where it is not going to be. */
export function readyAfter(error: unknown): Promise<void> | undefined {
  if (error instanceof NotReady) return error.ready;
  return error instanceof MemoryFull ? error.relief : undefined;
}

/**
 * Does a write, and does it again as long as it has to wait for something.
 *
 * @param write is told whether it has waited so often that it is to be done now.
 */
export async function whenReady<Result>(write: (isPrepared: boolean) => Promise<Result>): Promise<Result> {
  for (let tries = 1; ; tries++) {
    try {
      return await write(tries > TRIES_MAX);
    } catch (error) {
      const ready = readyAfter(error);
      if (ready === undefined) throw error;
      await ready;
    }
  }
}
