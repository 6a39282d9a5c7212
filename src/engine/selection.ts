/**
 * Which records one reading keeps: its predicate, and what the pattern thread said of the long record it has come to.
 *
 * A reading that comes to a long record asks the thread, stops there, and waits for `pending`. When it goes on it comes
 * to the same record, and finds the answer here; or to another one, if that was deleted or replaced meanwhile.
 */
import type { Page } from "./page.ts";
import type { PatternThread } from "./pattern_thread.ts";
import type { Predicate } from "./predicate.ts";

export class Selection {
  /** What is to be waited for before reading goes on. */
  pending: Promise<void> | undefined;
  readonly #predicate: Predicate;
  readonly #thread: PatternThread;
  /** The last long text, and whether records of it are kept. */
  #text: string | undefined;
  #isTextKept = false;
  /** See `Predicate.shareOf`. */
  #looked = 0;

  constructor(predicate: Predicate, thread: PatternThread) {
    this.#predicate = predicate;
    this.#thread = thread;
  }

  /** See `Predicate.countAtOnce`. */
  countAtOnce(page: Page, range: { from: number; to: number; reverse: boolean }): number {
    return this.#predicate.countAtOnce(page, range);
  }

  /**
   * Marks (1) those of the records `[from, to)` that are kept; their number comes from `countAtOnce`. The array is valid
   * until the next call. Undefined when `pending` is to be waited for.
   */
  select(page: Page, from: number, to: number): Uint8Array | undefined {
    const predicate = this.#predicate;
    if (to - from > 1) return predicate.select(page, from, to);
    const share = predicate.shareOf(page, from);
    this.#looked += share;
    if (share <= 1) return predicate.select(page, from, to);
    const text = predicate.textOf(page, from);
    if (text === this.#text) return predicate.selectKnown(page, from, this.#isTextKept);
    this.#ask(text);
    return undefined;
  }

  /** Whether, record by record, as much has been selected since the last time as `countAtOnce` lets be. */
  takeBreak(): boolean {
    if (this.#looked < 1) return false;
    this.#looked = 0;
    return true;
  }

  #ask(text: string): void {
    this.#text = text;
    this.pending = this.#predicate.keepsLong(text, this.#thread).then((isKept) => {
      this.#isTextKept = isKept;
      this.pending = undefined;
    });
  }
}
