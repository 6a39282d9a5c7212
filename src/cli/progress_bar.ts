/**
 * Progress of long work on standard error: how much, how fast, how long still. Only where a person sees it.
 *
 *     Exporting ━━━━━━━━━━━━━━━━╸               52 %  5,200,000 records  312,000/s  15 s left
 */
import { isNoteTerminal, writeNote } from "./output.ts";

export type ProgressBarOptions = { readonly title: string; readonly nowMs?: () => number };

export type Progress = {
  /** From 0 to 1, as far as it is known. */
  readonly part: number | undefined;
  readonly count: number;
  readonly unit: string;
};

const REDRAW_MS = 100;
const BAR_WIDTH = 24;
const CLEAR_LINE = "\r\u001b[2K";
const NUMBER = new Intl.NumberFormat("en-US");

export class ProgressBar implements Disposable {
  readonly #title: string;
  readonly #nowMs: () => number;
  readonly #startedAtMs: number;
  #drawnAtMs = Number.NEGATIVE_INFINITY;

  constructor({ title, nowMs = () => performance.now() }: ProgressBarOptions) {
    this.#title = title;
    this.#nowMs = nowMs;
    this.#startedAtMs = nowMs();
  }

  update(progress: Progress): void {
    const nowMs = this.#nowMs();
    if (!isNoteTerminal() || nowMs - this.#drawnAtMs < REDRAW_MS) return;
    this.#drawnAtMs = nowMs;
    writeNote(CLEAR_LINE + renderProgress(this.#title, progress, nowMs - this.#startedAtMs));
  }

  /** Takes it off the terminal, so that what follows starts on a clean line. */
  clear(): void {
    if (this.#drawnAtMs === Number.NEGATIVE_INFINITY) return;
    writeNote(CLEAR_LINE);
    this.#drawnAtMs = Number.NEGATIVE_INFINITY;
  }

  [Symbol.dispose](): void {
    this.clear();
  }
}

export function renderProgress(title: string, { part, count, unit }: Progress, elapsedMs: number): string {
  const rate = elapsedMs > 0 ? count / (elapsedMs / 1000) : 0;
  const counted = `${NUMBER.format(count)} ${unit}  ${NUMBER.format(Math.round(rate))}/s`;
  if (part === undefined) return `${title}  ${counted}`;
  const known = Math.min(1, Math.max(0, part));
  const filled = Math.floor(known * BAR_WIDTH);
  const bar = "━".repeat(filled) + "─".repeat(BAR_WIDTH - filled);
  const leftMs = known > 0 ? (elapsedMs * (1 - known)) / known : undefined;
  const left = leftMs === undefined ? "" : `  ${describeDuration(leftMs)} left`;
  return `${title} ${bar} ${String(Math.floor(known * 100)).padStart(3)} %  ${counted}${left}`;
}

/** The two largest units: `3 d 4 h`, `12 min 5 s`, `8 s`, `250 ms`. */
export function describeDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = Math.floor(ms / 1000);
  const parts: readonly (readonly [number, string])[] = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(" ");
}
