/**
 * Globals that are first used while a server runs: by its patterns, its threads and its HTTP routes.
 *
 * Bun makes such a global when it is first asked for, and adds it to the global object then. All compiled code that uses
 * any other global, as `Math` or `Promise`, relies on that object as it was, is thrown away and compiled anew: the first
 * pattern that somebody asked with made everything slow for a moment.
 */
const LATE_GLOBALS = ["Response", "TextEncoder", "URL", "Worker"] as const;

/** Call before there is anything to do. */
export function makeLateGlobals(): void {
  for (const name of LATE_GLOBALS) Reflect.get(globalThis, name);
}
