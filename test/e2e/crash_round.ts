/**
 * One round of the crash test: clients write known values, the server is killed at a random moment, and what is there
 * after a restart is held against what was sent and what was acknowledged.
 */
import { expect } from "bun:test";
import type { Durability } from "../../src/storage/storage.ts";
import { ServerProcess } from "../support/server_process.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";
import type { TestClient } from "../support/test_client.ts";

const COLLECTIONS = ["one", "two"];
const WRITERS = 4;
const FLUSH_SECONDS = 0.2;
/** In mode `interval`, what was acknowledged so long before the kill was saved by a checkpoint meanwhile. */
const SAVED_MS = 1500;

/** A batch, and what became of it: records of one batch carry its number. */
type Batch = { readonly size: number; ackedAt: number; deleteSent: boolean; deleteAcked: boolean };

/** Numbers from a seed, so that a failure can be had again (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** A device that writes batch after batch, each to both collections, and now and then deletes an old one. */
class Writer {
  readonly batches: Batch[] = [];
  /** The value that was sent last, and the last one acknowledged. */
  sentValue = -1;
  ackedValue = -1;

  constructor(
    readonly document: string,
    readonly random: () => number,
  ) {}

  async run(client: TestClient): Promise<void> {
    await Promise.all([this.#insert(client), this.#setValues(client), this.#delete(client)]);
  }

  async #insert(client: TestClient): Promise<void> {
    for (;;) {
      const number = this.batches.length;
      const batch: Batch = {
        size: 1 + Math.floor(this.random() * 40),
        ackedAt: Number.NaN,
        deleteSent: false,
        deleteAcked: false,
      };
      this.batches.push(batch);
      const records = COLLECTIONS.flatMap((col) =>
        Array.from({ length: batch.size }, (_, index) => ({
          ts: number * 100 + index,
          doc: this.document,
          data: `batch ${number}`,
          col,
        })),
      );
      expect(await client.request("ins", records)).not.toHaveProperty("error");
      batch.ackedAt = performance.now();
    }
  }

  async #setValues(client: TestClient): Promise<void> {
    for (;;) {
      const value = ++this.sentValue;
      expect(
        await client.request("sval", { col: "one", key: this.document, value: String(value) }),
      ).not.toHaveProperty("error");
      this.ackedValue = value;
    }
  }

  async #delete(client: TestClient): Promise<void> {
    for (;;) {
      await client.request("cols", {});
      const number = Math.floor(this.random() * this.batches.length * 3);
      const batch = this.batches[number];
      if (batch === undefined || Number.isNaN(batch.ackedAt) || batch.deleteSent) continue;
      batch.deleteSent = true;
      for (const col of COLLECTIONS) {
        const range = { col, doc: this.document, fromTs: number * 100, toTs: number * 100 + 99 };
        expect(await client.request("drrng", range)).not.toHaveProperty("error");
      }
      batch.deleteAcked = true;
    }
  }
}

/** How long the server is left to live, in milliseconds; long enough in mode `interval` that some of it is promised. */
const lifeOf = (durability: Durability): { min: number; max: number } =>
  durability === "interval" ? { min: 1800, max: 2600 } : { min: 30, max: 700 };

export async function runCrashRounds(
  durability: Durability,
  { seed, rounds }: { seed: number; rounds: number },
): Promise<void> {
  const random = randomFrom(seed);
  using folder = new TemporaryFolder();
  const args = [
    "--data",
    folder.join("data"),
    "--durability",
    durability,
    "--flush-interval",
    String(FLUSH_SECONDS),
  ];
  for (let round = 0; round < rounds; round++) {
    let killedAt = 0;
    const writers = Array.from(
      { length: WRITERS },
      (_, index) => new Writer(`round ${round} device ${index}`, random),
    );
    {
      await using server = await ServerProcess.start({ args });
      const clients = await Promise.all(writers.map(() => server.connect()));
      // Each ends when its connection does.
      const running = writers.map((writer, index) =>
        writer.run(clients[index] as TestClient).catch(rethrowUnlessClosed),
      );
      const { min, max } = lifeOf(durability);
      await Bun.sleep(min + random() * (max - min));
      // Before the kill: what the process itself takes to end counts for nobody.
      killedAt = performance.now();
      await server.kill("SIGKILL");
      await Promise.all(running);
    }
    await using server = await ServerProcess.start({ args });
    await using client = await server.connect();
    let promised = 0;
    for (const writer of writers) promised += await checkWriter(client, writer, { durability, killedAt });
    // A round in which nothing was promised would show nothing.
    if (durability === "interval") expect(promised).toBeGreaterThan(0);
  }
}

function rethrowUnlessClosed(error: unknown): void {
  if (!(error instanceof Error) || !/clos/i.test(error.message)) throw error;
}

/** Returns how many batches were promised, and found. */
async function checkWriter(
  client: TestClient,
  writer: Writer,
  { durability, killedAt }: { durability: Durability; killedAt: number },
): Promise<number> {
  let promised = 0;
  const isPromised = (ackedAt: number): boolean =>
    durability === "interval" ? killedAt - ackedAt > SAVED_MS : !Number.isNaN(ackedAt);
  for (const col of COLLECTIONS) {
    const { records } = (await client.request("qdoc", { col, doc: writer.document, from: 0, to: 1e15 })) as {
      records: { ts: number; data: string }[];
    };
    const found = new Map<number, number>();
    for (const { ts, data } of records) {
      const number = Math.floor(ts / 100);
      // Nothing that was never sent.
      expect(data).toBe(`batch ${number}`);
      expect(ts % 100).toBeLessThan((writer.batches[number] as Batch).size);
      found.set(number, (found.get(number) ?? 0) + 1);
    }
    for (const [number, { size, ackedAt, deleteSent, deleteAcked }] of writer.batches.entries()) {
      const count = found.get(number) ?? 0;
      // No batch and no deletion by half.
      expect([0, size]).toContain(count);
      if (isPromised(ackedAt) && !deleteSent) {
        promised++;
        expect(count).toBe(size);
      }
      if (deleteAcked && durability !== "interval") expect(count).toBe(0);
    }
  }
  const { value } = (await client.request("gval", { col: "one", key: writer.document })) as { value: string };
  if (durability !== "interval") expect(Number(value || -1)).toBeGreaterThanOrEqual(writer.ackedValue);
  expect(Number(value || -1)).toBeLessThanOrEqual(writer.sentValue);
  return promised;
}
