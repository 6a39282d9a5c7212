/**
 * Reads single chunks' bodies back, on the thread that answers requests: a lookup in an open file costs less than
 * asking another thread for it. Few files are open at once.
 */
import { CollectionFile } from "./collection_file.ts";

const OPEN_FILES_MAX = 16;

export class ChunkReader {
  readonly #pathOf: (collection: string) => string;
  /** By collection, the one that was used last at the end. */
  readonly #files = new Map<string, CollectionFile>();

  constructor(pathOf: (collection: string) => string) {
    this.#pathOf = pathOf;
  }

  /** @throws StorageError when it cannot be read, or is damaged */
  read(collection: string, id: number): Uint8Array {
    let file = this.#files.get(collection);
    this.#files.delete(collection);
    file ??= CollectionFile.openBesideWriter(this.#pathOf(collection));
    this.#files.set(collection, file);
    if (this.#files.size > OPEN_FILES_MAX) this.forget(this.#files.keys().next().value as string);
    return file.readBody(id);
  }

  /** Closes a collection's file, before it is removed or replaced. */
  forget(collection: string): void {
    this.#files.get(collection)?.close();
    this.#files.delete(collection);
  }

  close(): void {
    for (const collection of [...this.#files.keys()]) this.forget(collection);
  }
}
