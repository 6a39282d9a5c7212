/**
 * The journal's folder, with two descriptors of it: one to sync it, and one in reserve.
 *
 * Clients who only connect may take all the files that a process may open. Whoever writes is not to suffer from that:
 * what is in reserve is let go for the file that the journal needs next.
 */
import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { closeFile, openFile, syncAll, syncFolder } from "./disk_call.ts";
import type { Segment } from "./journal_segment.ts";

const OUT_OF_FILES = new Set(["EMFILE", "ENFILE"]);

export const isOutOfFiles = (error: unknown): boolean =>
  OUT_OF_FILES.has(String((error as NodeJS.ErrnoException).code));

export class JournalFolder {
  readonly path: string;
  /** How often files were added or renamed, and how many of these the disk knows of. */
  #changes = 0;
  #synced = -1;
  #handle: number | undefined;
  #reserve: number | undefined;

  /** `isSynced`: whether the disk knows of all the files that are in it. */
  constructor(path: string, { isSynced }: { readonly isSynced: boolean }) {
    this.path = path;
    if (isSynced) this.#synced = this.#changes;
  }

  /** Call when a file was added or renamed. */
  changed(): void {
    this.#changes++;
  }

  /** Makes it, if need be, and takes the descriptors. */
  async prepare(): Promise<void> {
    if (this.#handle !== undefined) return;
    mkdirSync(this.path, { recursive: true, mode: 0o700 });
    // Also of one that was there: who has made it may have been killed before.
    await syncFolder(dirname(this.path));
    this.#handle = await openFile(this.path, "r");
    this.#reserve = await openFile(this.path, "r");
  }

  /** With what is in reserve, where there is no other descriptor. */
  async openFile(path: string, flags: string | number): Promise<number> {
    try {
      return await openFile(path, flags);
    } catch (error) {
      if (this.#reserve === undefined || !isOutOfFiles(error)) throw error;
    }
    // In one turn, so that nobody takes it in between.
    closeSync(this.#reserve);
    this.#reserve = undefined;
    return openSync(path, flags, 0o600);
  }

  /** Keeps the descriptor in reserve, if there is none. */
  async closeFile(handle: number): Promise<void> {
    if (this.#reserve !== undefined || this.#handle === undefined) return closeFile(handle);
    closeSync(handle);
    this.#reserve = openSync(this.path, "r");
  }

  async closeSegment(segment: Segment): Promise<void> {
    const { handle } = segment;
    segment.handle = undefined;
    if (handle !== undefined) await this.closeFile(handle);
  }

  /** Waits until the disk knows of all the files that are in it now. */
  async sync(): Promise<void> {
    const changes = this.#changes;
    if (this.#synced >= changes) return;
    await this.prepare();
    await syncAll(this.#handle as number);
    // What was added meanwhile may have come too late for this one.
    this.#synced = Math.max(this.#synced, changes);
  }

  async close(): Promise<void> {
    const handles = [this.#handle, this.#reserve];
    this.#handle = undefined;
    this.#reserve = undefined;
    for (const handle of handles) if (handle !== undefined) await closeFile(handle);
  }
}
