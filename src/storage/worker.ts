/**
 * A thread of the storage: answers calls of the main thread with what SQLite says, one after another.
 *
 * There are two of them, so that a change of API keys never waits for a checkpoint: `catalog` and `collections`.
 */
import { Catalog } from "./catalog.ts";
import { CollectionFiles } from "./collection_files.ts";
import type { Call, Outcome, Role } from "./worker_link.ts";

declare const self: Worker;

let service: Catalog | CollectionFiles | undefined;

self.onmessage = ({ data: { id, method, args } }: MessageEvent<Call>) => {
  const done = (value: unknown): void => self.postMessage({ id, value } satisfies Outcome);
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

function perform(method: string, args: readonly unknown[]): unknown {
  if (method === "open") {
    const { role, directory } = args[0] as Role;
    service = role === "catalog" ? new Catalog({ directory }) : new CollectionFiles({ directory });
    return undefined;
  }
  // The main thread's side is typed, so the method is one of the service's.
  const target = service as unknown as Record<string, (...args: unknown[]) => unknown>;
  return (target[method] as (...args: unknown[]) => unknown).apply(service, [...args]);
}

function describeError(error: unknown): NonNullable<Outcome["error"]> {
  if (!(error instanceof Error)) return { name: "Error", message: String(error), stack: "" };
  return { name: error.name, message: error.message, stack: error.stack ?? "" };
}
