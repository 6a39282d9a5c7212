/**
 * What a series tells its collection, which keeps account of what a checkpoint has to save.
 */
import type { Chunk } from "./chunk.ts";
import type { ChunkStore } from "./chunk_store.ts";
import type { Name } from "./name.ts";

export interface SeriesHost {
  readonly name: Name;
  readonly chunks: ChunkStore;
  /** Of all its documents; kept by those who insert and remove. */
  recordCount: number;
  chunkAdded(): void;
  chunkChanged(chunk: Chunk): void;
  chunkRemoved(chunk: Chunk): void;
  /** The latest record of the document at that place of latest_text.ts is another one, or is going to be. */
  latestChanged(place: number): void;
  /** The packed form of a chunk, from disk. @throws DatabaseError `storage_failed` */
  readChunk(id: number): Uint8Array;
  /** Frees the memory of chunks that are gone, now or later. */
  free(chunks: readonly Chunk[]): void;
}
