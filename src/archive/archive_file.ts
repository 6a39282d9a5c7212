/**
 * Files of an archive appear whole: they are written under another name, reach the disk, and are renamed.
 */
import { closeSync, fdatasync, openSync, renameSync, rmSync, writeSync } from "node:fs";

/** The ending of what is being written; what an interrupted run has left is written over by the next one. */
export const PARTIAL = ".partial";

const BUFFER_BYTES = 256 * 1024;
/** Others may read what was exported, as the process's mask has it; keys have a mode of their own. */
const MODE = 0o666;

export class ArchiveFile {
  readonly path: string;
  readonly #handle: number;
  #texts: string[] = [];
  #length = 0;
  #isOpen = true;

  constructor(path: string, { mode = MODE }: { readonly mode?: number } = {}) {
    this.path = path;
    // One that is there might have another mode.
    if (mode !== MODE) rmSync(`${path}${PARTIAL}`, { force: true });
    this.#handle = openSync(`${path}${PARTIAL}`, "w", mode);
  }

  write(text: string): void {
    this.#texts.push(text);
    this.#length += text.length;
    if (this.#length >= BUFFER_BYTES) this.#flush();
  }

  /** Resolves when the file is on the disk, whole, under its name. */
  async finish(): Promise<void> {
    this.#flush();
    await new Promise<void>((resolve, reject) => {
      fdatasync(this.#handle, (error) => (error ? reject(error) : resolve()));
    });
    this.#close();
    renameSync(`${this.path}${PARTIAL}`, this.path);
  }

  /** Leaves nothing behind. Does nothing after `finish`. */
  discard(): void {
    if (!this.#isOpen) return;
    this.#close();
    rmSync(`${this.path}${PARTIAL}`, { force: true });
  }

  #flush(): void {
    const bytes = Buffer.from(this.#texts.join(""), "utf8");
    this.#texts = [];
    this.#length = 0;
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#handle, bytes, at);
  }

  #close(): void {
    this.#isOpen = false;
    closeSync(this.#handle);
  }
}
