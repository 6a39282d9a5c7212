/**
 * Backups of a server that runs: makes a copy of its data beside it, sends that, and removes it.
 *
 * One at a time, since each takes as much room as the data.
 */
import type { MemoryDatabase } from "../engine/memory_database.ts";
import { nextTurn } from "../engine/next_turn.ts";
import type { BackupStream } from "../server/operations.ts";
import { writeBackup } from "../storage/backup_file.ts";
import type { Snapshot } from "../storage/storage.ts";
import { describeError, type Log } from "./log.ts";

export class LiveBackup {
  readonly #database: Pick<MemoryDatabase, "snapshot">;
  readonly #log: Pick<Log, "info" | "error">;
  #isUnderWay = false;

  constructor(database: Pick<MemoryDatabase, "snapshot">, log: Pick<Log, "info" | "error">) {
    this.#database = database;
    this.#log = log;
  }

  /**
   * The copy is gone when the last byte is sent, or nobody wants it any more.
   *
   * @throws StorageError
   */
  async start(signal: AbortSignal): Promise<BackupStream | "in memory" | "busy"> {
    if (this.#isUnderWay) return "busy";
    this.#isUnderWay = true;
    const end = async (snapshot?: Snapshot): Promise<void> => {
      try {
        await snapshot?.remove();
      } catch (error) {
        // What was sent is whole all the same.
        const fields = { folder: snapshot?.folder ?? null, error: describeError(error) };
        this.#log.error("A backup's copy was not removed, and takes room until the next start", fields);
      } finally {
        this.#isUnderWay = false;
      }
    };
    let snapshot: Snapshot | undefined;
    try {
      snapshot = await this.#database.snapshot();
      signal.throwIfAborted();
      if (snapshot === undefined) {
        await end();
        return "in memory";
      }
      const { folder, takenAt } = snapshot;
      const { bytes, blocks } = writeBackup(folder, takenAt);
      const onEnd = async (outcome: Outcome): Promise<void> => {
        await end(snapshot);
        const fields = { takenAt: takenAt.toISOString(), bytes };
        if (outcome === "sent") this.#log.info("Backup sent", fields);
        else if (outcome === "given up") this.#log.info("Backup given up by its client", fields);
        else this.#log.error("The backup failed", { ...fields, error: describeError(outcome) });
      };
      return { bytes, stream: streamOf(blocks, onEnd) };
    } catch (error) {
      await end(snapshot);
      throw error;
    }
  }
}

type Outcome = "sent" | "given up" | Error;

/** `onEnd` is called once, however it ends. */
function streamOf(
  blocks: AsyncGenerator<Uint8Array>,
  onEnd: (outcome: Outcome) => Promise<void>,
): ReadableStream<Uint8Array> {
  // It may be while a block is being read for it, which then goes nowhere.
  let isGivenUp = false;
  return new ReadableStream({
    async pull(controller) {
      // Files come from the system's memory at once: without this, nobody else had a turn until the end.
      await nextTurn();
      let next: IteratorResult<Uint8Array>;
      try {
        next = await blocks.next();
      } catch (error) {
        if (!isGivenUp) await onEnd(error as Error);
        throw error;
      }
      if (isGivenUp) return;
      if (!next.done) {
        controller.enqueue(next.value);
        return;
      }
      await onEnd("sent");
      controller.close();
    },
    async cancel() {
      isGivenUp = true;
      await blocks.return(undefined);
      await onEnd("given up");
    },
  });
}
