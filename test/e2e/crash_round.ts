/**
 * Rounds of the crash test: clients write known values, the server is killed at a random moment, and what is there after
 * a restart is held against what was sent and what was acknowledged; and against what was there after earlier rounds.
 */
import { expect } from "bun:test";
import type { Durability } from "../../src/storage/storage.ts";
import { ServerProcess } from "../support/server_process.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";
import type { TestClient } from "../support/test_client.ts";

const COLLECTIONS = ["one", "two"];
const WRITERS = 4;
const FLUSH_SECONDS = 0.2;
/** So many starts are killed too, before they are ready. */
const KILLED_STARTS = 0.3;
/** How long a server, and a start that is killed, is left to live. */
const LIFE_MS = { min: 30, max: 500 };
const START_MS_MAX = 300;

/** A batch, and what became of it: records of one batch carry its number. */
type Batch = { readonly size: number; isAcked: boolean; deleteSent: boolean; deleteAcked: boolean };

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
  /** So many of the first batches are saved, as `stat` said. */
  savedBatches = 0;

  constructor(
    readonly document: string,
    readonly random: () => number,
  ) {}

  /** Whether something of it must outlive a kill. */
  hasPromise(durability: Durability): boolean {
    return durability === "interval" ? this.savedBatches > 0 : this.batches.some(({ isAcked }) => isAcked);
  }

  async run(client: TestClient): Promise<void> {
    await Promise.all([
      this.#insert(client),
      this.#setValues(client),
      this.#delete(client),
      this.#askStatus(client),
    ]);
  }

  async #insert(client: TestClient): Promise<void> {
    for (;;) {
      const number = this.batches.length;
      const batch: Batch = {
        size: 1 + Math.floor(this.random() * 40),
        isAcked: false,
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
      batch.isAcked = true;
    }
  }

  /** As a device does that waits until it may drop its own copy. */
  async #askStatus(client: TestClient): Promise<void> {
    const noted: { acknowledged: number; batches: number }[] = [];
    for (;;) {
      const batches = this.batches.filter(({ isAcked }) => isAcked).length;
      const { stat } = (await client.request("stat", {})) as {
        stat: { writes: { acknowledged: number; durable: number } };
      };
      noted.push({ acknowledged: stat.writes.acknowledged, batches });
      for (const each of noted) {
        if (each.acknowledged <= stat.writes.durable)
          this.savedBatches = Math.max(this.savedBatches, each.batches);
      }
      await Bun.sleep(this.random() * 20);
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
      if (batch === undefined || !batch.isAcked || batch.deleteSent) continue;
      batch.deleteSent = true;
      for (const col of COLLECTIONS) {
        const range = { col, doc: this.document, fromTs: number * 100, toTs: number * 100 + 99 };
        expect(await client.request("drrng", range)).not.toHaveProperty("error");
      }
      batch.deleteAcked = true;
    }
  }
}

/** Returns how many batches were promised, and found. */
export async function runCrashRounds(
  durability: Durability,
  { seed, rounds }: { seed: number; rounds: number },
): Promise<number> {
  const random = randomFrom(seed);
  using folder = new TemporaryFolder();
  const args = [
    ...["--data", folder.join("data"), "--durability", durability],
    ...["--flush-interval", String(FLUSH_SECONDS)],
  ];
  /** What each document of earlier rounds had after its own. */
  const settled = new Map<string, string>();
  let promised = 0;
  for (let round = 0; round < rounds; round++) {
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
      // Where only checkpoints promise anything, all lives may be too short for one: the first is not.
      if (round === 0) while (!writers.every((writer) => writer.hasPromise(durability))) await Bun.sleep(1);
      await Bun.sleep(LIFE_MS.min + random() * (LIFE_MS.max - LIFE_MS.min));
      await server.kill("SIGKILL");
      await Promise.all(running);
    }
    if (random() < KILLED_STARTS) {
      const start = ServerProcess.launch({ args });
      await Bun.sleep(random() * START_MS_MAX);
      await start.kill("SIGKILL");
    }
    await using server = await ServerProcess.start({ args });
    await using client = await server.connect();
    for (const writer of writers) promised += await checkWriter(client, writer, durability);
    await checkSettled(client, settled, writers);
  }
  return promised;
}

/** Nothing of earlier rounds has changed, and there is nothing that nobody has sent. */
async function checkSettled(
  client: TestClient,
  settled: Map<string, string>,
  writers: readonly Writer[],
): Promise<void> {
  const { collections } = (await client.request("cols", {})) as { collections: string[] };
  const known = new Set(writers.map(({ document }) => document));
  for (const col of collections) {
    expect(COLLECTIONS).toContain(col);
    const { records } = (await client.request("qry", { col, ts: 1e15 })) as { records: object };
    for (const doc of Object.keys(records)) {
      const place = `${col} ${doc}`;
      const text = JSON.stringify(await client.request("qdoc", { col, doc })).replace(/^\{"id":"[^"]*"/, "");
      if (known.has(doc)) settled.set(place, text);
      else expect(text).toBe(settled.get(place) as string);
    }
    const there = new Set(Object.keys(records).map((doc) => `${col} ${doc}`));
    const missing = [...settled.keys()].filter((place) => place.startsWith(`${col} `) && !there.has(place));
    expect(missing).toEqual([]);
  }
}

function rethrowUnlessClosed(error: unknown): void {
  if (!(error instanceof Error) || !/clos/i.test(error.message)) throw error;
}

/** Returns how many batches were promised, and found. */
async function checkWriter(client: TestClient, writer: Writer, durability: Durability): Promise<number> {
  let promised = 0;
  const counts: Map<number, number>[] = [];
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
    counts.push(found);
    for (const [number, { size, isAcked, deleteSent, deleteAcked }] of writer.batches.entries()) {
      const count = found.get(number) ?? 0;
      // No batch and no deletion by half.
      expect([0, size]).toContain(count);
      const isPromised = durability === "interval" ? number < writer.savedBatches : isAcked;
      if (isPromised && !deleteSent) {
        promised++;
        expect(count).toBe(size);
      }
      if (deleteAcked && durability !== "interval") expect(count).toBe(0);
    }
  }
  if (durability !== "interval") {
    // A batch went to both, so it is in both; a deletion is a message for each.
    for (const [number, { deleteSent }] of writer.batches.entries()) {
      if (!deleteSent) expect(counts[0]?.get(number)).toBe(counts[1]?.get(number) as number);
    }
  }
  const { value } = (await client.request("gval", { col: "one", key: writer.document })) as { value: string };
  if (durability !== "interval") expect(Number(value || -1)).toBeGreaterThanOrEqual(writer.ackedValue);
  expect(Number(value || -1)).toBeLessThanOrEqual(writer.sentValue);
  return promised;
}
