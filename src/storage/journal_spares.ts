/**
 * Files of the journal that checkpoints have cut: kept to be written over, which costs half as much as a new file, whose
 * blocks have to be found first. No more are kept than the last checkpoint has dropped.
 */
import { rmSync } from "node:fs";
import { renameFile, unlinkFile } from "./disk_call.ts";
import type { JournalFolder } from "./journal_folder.ts";
import { type Segment, sparePath } from "./journal_segment.ts";

export class JournalSpares {
  readonly #folder: JournalFolder;
  #spares: string[];
  /** What the disk has not let go of yet: segments that are to become spares, and spares too many. */
  readonly #dropped: Segment[] = [];
  readonly #surplus: string[] = [];

  constructor(folder: JournalFolder, spares: readonly string[]) {
    this.#folder = folder;
    this.#spares = [...spares];
  }

  /** The one to be written over next. */
  get newest(): string | undefined {
    return this.#spares.at(-1);
  }

  /** All files that are there. */
  get paths(): string[] {
    return [...this.#dropped.map(({ path }) => path), ...this.#spares, ...this.#surplus];
  }

  /** Gives a spare the name of a segment. */
  async take(spare: string, path: string): Promise<void> {
    await renameFile(spare, path);
    // Others may have been added meanwhile.
    this.#spares = this.#spares.filter((each) => each !== spare);
  }

  /**
   * Keeps segments that nobody needs any more instead of the spares that there are.
   *
   * @throws what the system says; what is not done then is known, and done by the next call
   */
  async replaceBy(dropped: Iterable<Segment>): Promise<void> {
    this.#dropped.push(...dropped);
    this.#surplus.push(...this.#spares.splice(0));
    for (let path = this.#surplus[0]; path !== undefined; path = this.#surplus[0]) {
      await unlinkFile(path);
      this.#surplus.shift();
    }
    for (let segment = this.#dropped[0]; segment !== undefined; segment = this.#dropped[0]) {
      await this.#folder.closeSegment(segment);
      const spare = sparePath(this.#folder.path, segment.serial);
      await renameFile(segment.path, spare);
      this.#dropped.shift();
      this.#spares.push(spare);
    }
  }

  async close(): Promise<void> {
    for (const segment of this.#dropped) await this.#folder.closeSegment(segment);
  }

  /** A start has no use for them. */
  remove(): void {
    for (const path of [...this.#spares, ...this.#surplus]) rmSync(path, { force: true });
  }
}
