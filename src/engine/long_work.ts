/**
 * Work that is too long for one turn of the event loop: its rest is done in later turns, a portion each.
 *
 * A turn has one time limit for all who look at it, not one for each: whoever comes when it is used up is put in line.
 * In line everybody gets a portion in turn, and a turn has time for one of them. So what another client waits for a
 * turn does not grow with the number of long requests.
 */

import { PORTION_MS } from "../protocol/limits.ts";
import type { Asker } from "./database.ts";
import { nextTurn } from "./next_turn.ts";
import { Queue } from "./queue.ts";

export type LongWorkOptions = {
  /** How long the requests of a turn may take, and how long the portion of one who is in line; tests make it 0. */
  portionMs: number;
  /** After how much work somebody looks at the clock. */
  unitsALook: number;
  nowMs: () => number;
};

/**
 * Each `next()` does a portion: it yields when `isTurnOver` says so, and returns when all is done. Who cannot go on
 * before something else is done yields the promise of it, and is not in line until then.
 */
export type Task = IterableIterator<Promise<void> | undefined, void>;

type Waiting = {
  readonly task: Task;
  readonly done: PromiseWithResolvers<void>;
  readonly asker: Asker | undefined;
};

/** What costs about 0.1 µs: one document's latest record. */
const UNITS_A_LOOK = 64;
/** What requests have of a turn in which somebody is in line. */
const NEWCOMERS_SHARE = 0.25;

export class GivenUp extends Error {
  constructor() {
    super("Whoever has asked is gone");
  }
}

export class LongWork {
  readonly #portionMs: number;
  readonly #unitsALook: number;
  readonly #nowMs: () => number;
  /** Who is in line; also the one whose portion has just ended. */
  readonly #waiting = new Queue<Waiting>();
  /** How many have left the line for a promise. */
  #parkedCount = 0;
  #unitsLeft = 0;
  /** When this turn is over; undefined as long as nobody has looked. */
  #endsAtMs: number | undefined;
  #isScheduled = false;

  constructor({
    portionMs = PORTION_MS,
    unitsALook = UNITS_A_LOOK,
    nowMs = () => performance.now(),
  }: Partial<LongWorkOptions> = {}) {
    this.#portionMs = portionMs;
    this.#unitsALook = unitsALook;
    this.#nowMs = nowMs;
  }

  /**
   * Whether the rest is to be left to another turn. To be asked between steps of work, each of so many units of about
   * 0.1 µs: the clock is looked at now and then, so short work never does.
   */
  isTurnOver(units: number): boolean {
    this.#unitsLeft -= units;
    return this.#unitsLeft < 0 && this.#look();
  }

  /**
   * Does a portion of a task at once, and the rest in later turns: undefined when there is none.
   *
   * @throws what the task throws
   */
  begin(task: Task): Promise<void> | undefined {
    const { done, value } = task.next();
    return done === true ? undefined : this.finish(task, value);
  }

  /**
   * Does a task in later turns, when what it waits for is done. It is given up when the one whom it is for has gone.
   *
   * @throws what the task throws; GivenUp
   */
  finish(task: Task, until?: Promise<void>, asker?: Asker): Promise<void> {
    const done = Promise.withResolvers<void>();
    this.#goOn({ task, done, asker }, until);
    return done.promise;
  }

  /** Resolves when nobody is in line, or going to be. */
  async drain(): Promise<void> {
    while (this.#waiting.length + this.#parkedCount > 0) {
      await nextTurn();
    }
  }

  #goOn(waiting: Waiting, until: Promise<void> | undefined): void {
    if (until === undefined) {
      this.#waiting.push(waiting);
      this.#schedule();
      return;
    }
    this.#parkedCount++;
    until
      .then(() => this.#goOn(waiting, undefined), waiting.done.reject)
      .finally(() => {
        this.#parkedCount--;
      });
  }

  #look(): boolean {
    this.#unitsLeft = this.#unitsALook;
    const nowMs = this.#nowMs();
    if (this.#endsAtMs === undefined) {
      // Those in line have most of it, so that newcomers join them soon.
      const share = this.#waiting.length > 0 ? NEWCOMERS_SHARE : 1;
      this.#endsAtMs = nowMs + this.#portionMs * share;
      this.#schedule();
    }
    return nowMs >= this.#endsAtMs;
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#endTurn);
  }

  /** Runs behind the requests of a turn: the portion of one who is in line has a limit of its own. */
  readonly #endTurn = (): void => {
    this.#isScheduled = false;
    this.#endsAtMs = undefined;
    const first = this.#waiting.shift();
    if (first === undefined) return;
    this.#endsAtMs = this.#nowMs() + this.#portionMs;
    try {
      if (first.asker?.isGone === true) throw new GivenUp();
      const { done, value } = first.task.next();
      if (done === true) first.done.resolve();
      else this.#goOn(first, value);
    } catch (error) {
      first.done.reject(error);
    }
    this.#endsAtMs = undefined;
    if (this.#waiting.length > 0) this.#schedule();
  };
}
