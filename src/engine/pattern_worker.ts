/**
 * The pattern thread: tests texts that would hold up the main one, see pattern_thread.ts.
 */
import type { Pattern } from "../protocol/pattern.ts";
import { callMethod, serveCalls } from "../threads/worker_service.ts";
import { PatternCache } from "./pattern_cache.ts";

/** Texts of one request come one after the other, so few are in use at a time. */
const PATTERNS_MAX = 16;

export class PatternService {
  readonly #patterns = new PatternCache({ sizeMax: PATTERNS_MAX, lengthMax: Number.POSITIVE_INFINITY });

  test(pattern: Pattern, text: string): boolean {
    return this.#patterns.get(pattern).test(text);
  }
}

const service = new PatternService();
serveCalls((method, args) => callMethod(service, method, args));
