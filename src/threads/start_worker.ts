/**
 * Where the entry points of threads are, from the sources and from the executable.
 *
 * In the executable every module has the address of the whole, beside which a thread's entry point has its place in the
 * source tree. scripts/build.ts lists them too, and says with this definition that it was built.
 */
export type EntryPoint = "storage/worker.ts" | "engine/pattern_worker.ts" | "server/frame_worker.ts";

declare const FLUXIONDB_BUILD_SOURCES: string | undefined;
const SOURCES = typeof FLUXIONDB_BUILD_SOURCES === "string" ? FLUXIONDB_BUILD_SOURCES : "../";

export function startWorker(file: EntryPoint): Worker {
  return new Worker(new URL(SOURCES + file, import.meta.url).href);
}
