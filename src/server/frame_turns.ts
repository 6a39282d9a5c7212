/**
 * Keeps a flood of small frames from holding up other clients: all connections share a turn of the event loop.
 *
 * The network hands over half a megabyte of one connection at a time, which may be thousands of frames. When a turn's
 * time is used up, a connection may go on with a few more, so that whoever has sent only these is served at once; then
 * it gets in line, and in later turns those in line go on, one after another. A turn that is not used up costs next to
 * nothing: the clock is looked at after so many frames, and after each that may take long. Watching where a turn ends
 * wakes the event loop once more, which cost small inserts a tenth of their speed, so only one turn in each few
 * milliseconds is watched.
 */
import { neverInline } from "../engine/never_inline.ts";
import { Queue } from "../engine/queue.ts";
import { PORTION_MS } from "../protocol/limits.ts";

/** Of a connection: the units that it has handled of a turn that was used up. */
export type FrameShare = { turn: number; count: number };

const UNITS_A_LOOK = 32;
/**
 * A frame is one unit, and so is each so much of its length, as a power of two. A batch of a hundred records may have to
 * unpack as many chunks, which takes 4 ms, so it is nearly as many units as a look at the clock is worth.
 */
const UNIT_LENGTH_BITS = 9;
const UNITS_IN_ANY_TURN = 8;

export class FrameTurns {
  readonly #nowMs: () => number;
  /** Who goes on in a later turn. */
  readonly #line = new Queue<() => void>();
  #turn = 1;
  #units = 0;
  /** When the handling of the frame at hand began, if it may take long. */
  #longSinceMs: number | undefined;
  #isUsedUp = false;
  /** When the turn is; undefined where it is not watched. */
  #endsAtMs: number | undefined;
  /** No turn is watched before. */
  #watchAtMs = Number.NEGATIVE_INFINITY;
  #isScheduled = false;

  constructor(nowMs: () => number) {
    neverInline(this.#look);
    this.#nowMs = nowMs;
  }

  /** Call while a frame is handled that may take long, with when that began. */
  takesLong(startedAtMs: number): void {
    this.#longSinceMs = startedAtMs;
    this.#units = UNITS_A_LOOK;
  }

  /** Whether a connection that has handled a frame is to leave what follows to another turn. */
  isUsedUp(share: FrameShare, frameLength: number): boolean {
    let units = 1 + (frameLength >>> UNIT_LENGTH_BITS);
    this.#units += units;
    if (this.#units >= UNITS_A_LOOK) {
      if (this.#longSinceMs !== undefined) units = UNITS_IN_ANY_TURN;
      this.#look();
    }
    if (!this.#isUsedUp) return false;
    if (share.turn !== this.#turn) {
      share.turn = this.#turn;
      share.count = 0;
    }
    share.count += units;
    return share.count >= UNITS_IN_ANY_TURN;
  }

  /** Calls back in a later turn, behind those who are in line already. */
  wait(goOn: () => void): void {
    this.#line.push(goOn);
    this.#schedule();
  }

  #look(): void {
    const nowMs = this.#nowMs();
    const startedAtMs = this.#longSinceMs;
    this.#units = 0;
    this.#longSinceMs = undefined;
    if (this.#endsAtMs === undefined) {
      const isLong = startedAtMs !== undefined && nowMs - startedAtMs >= PORTION_MS;
      if (nowMs < this.#watchAtMs && !isLong) return;
      this.#endsAtMs = (startedAtMs ?? nowMs) + PORTION_MS;
      this.#watchAtMs = this.#endsAtMs;
      this.#schedule();
    }
    this.#isUsedUp = nowMs >= this.#endsAtMs;
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#nextTurn);
  }

  /** Whoever is not done gets in line again, at its end. */
  readonly #nextTurn = (): void => {
    this.#isScheduled = false;
    this.#isUsedUp = false;
    this.#endsAtMs = undefined;
    this.#turn++;
    for (let left = this.#line.length; left > 0 && !this.#isUsedUp; left--) this.#line.shift()?.();
    if (this.#line.length > 0) this.#schedule();
  };
}
