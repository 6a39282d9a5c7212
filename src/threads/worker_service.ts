/**
 * The other side of worker_link.ts: lets an object answer the calls that come from the main thread, in their order.
 */
import { Transferred } from "./transferred.ts";
import type { Call, Outcome } from "./worker_link.ts";

declare const self: Worker;

/** To be called once in a thread, with whoever does the calls. */
export function serveCalls(perform: (method: string, args: readonly unknown[]) => unknown): void {
  self.onmessage = ({ data: [id, method, ...args] }: MessageEvent<Call>) => {
    const done = (value: unknown): void => {
      if (value instanceof Transferred) {
        self.postMessage({ id, value: value.value } satisfies Outcome, [...value.buffers]);
      } else self.postMessage({ id, value } satisfies Outcome);
    };
    const failed = (error: unknown): void =>
      self.postMessage({ id, error: describeError(error) } satisfies Outcome);
    try {
      const value = perform(method, args);
      // What only waits for the disk does not keep the next calls waiting.
      if (value instanceof Promise) value.then(done, failed);
      else done(value);
    } catch (error) {
      failed(error);
    }
  };
}

/** The main thread's side is typed, so the method is one of the service's. */
export function callMethod(service: object, method: string, args: readonly unknown[]): unknown {
  const target = service as Record<string, (...args: unknown[]) => unknown>;
  return (target[method] as (...args: unknown[]) => unknown).apply(service, [...args]);
}

function describeError(error: unknown): NonNullable<Outcome["error"]> {
  if (!(error instanceof Error)) return { name: "Error", message: String(error), stack: "" };
  return { name: error.name, message: error.message, stack: error.stack ?? "" };
}
