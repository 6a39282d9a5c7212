/**
 * What is wrong with an archive, gathered: the first problems in words, and how many there are.
 */
import { ArchiveError } from "./archive_error.ts";
import { BadInput } from "./record_line.ts";

const SHOWN_MAX = 10;

export class InputCheck {
  readonly shown: string[] = [];
  count = 0;

  /** Runs a step of reading; what is wrong with the input is noted, and undefined returned. */
  attempt<Result>(place: () => string, read: () => Result): Result | undefined {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof BadInput)) throw error;
      this.add(place(), error);
      return undefined;
    }
  }

  add(place: string, { message }: BadInput): void {
    this.count++;
    if (this.shown.length < SHOWN_MAX) this.shown.push(`${place}: ${message}`);
  }

  /** The problems as lines. */
  get lines(): string[] {
    const hidden = this.count - this.shown.length;
    return hidden > 0 ? [...this.shown, `… and ${hidden} more`] : this.shown;
  }

  /** @throws ArchiveError when there are any */
  refuse(): void {
    if (this.count === 0) return;
    const what = this.count === 1 ? "one problem" : `${this.count} problems`;
    throw new ArchiveError(
      `Nothing was imported, because of ${what}; --skip-bad imports the rest\n  ${this.lines.join("\n  ")}`,
    );
  }
}
