/**
 * The wall clock, as a machine without a battery or with a bad time server has it: nothing that is stored depends on it,
 * and nothing that has to happen waits for it.
 */
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { join } from "node:path";
import { unpackPage } from "../../src/engine/chunk_codec.ts";
import { SlabAllocator } from "../../src/engine/slab.ts";
import type { ServerStatus } from "../../src/protocol/server_status.ts";
import { ServerProcess } from "../support/server_process.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";
import type { TestClient } from "../support/test_client.ts";
import { buildLibrary, whyNoLibrary } from "./power_cut/recording.ts";

const reason = whyNoLibrary();
if (reason !== undefined) console.warn(`A clock that jumps is not tested: ${reason}`);

/** What is stored. How it was cut into chunks depends on when checkpoints came, so chunks are joined. */
function storedIn(data: string): unknown {
  using database = new Database(join(data, "collections", "c.db"), { readonly: true });
  const chunks = database
    .query(
      `SELECT document, count, first_ts, last_ts, coalesce(bodies.body, growing.body) AS body FROM chunks
       LEFT JOIN bodies ON bodies.id = chunks.id LEFT JOIN growing ON growing.id = chunks.id
       ORDER BY document, first_ts`,
    )
    .all() as { document: number; count: number; first_ts: number; last_ts: number; body: Uint8Array }[];
  const texts = new Map<number, string>();
  const slabs = new SlabAllocator();
  for (const { document, count, first_ts, last_ts, body } of chunks) {
    const bounds = { count, firstHigh: 0, firstLow: first_ts, lastHigh: 0, lastLow: last_ts };
    const { slab, start, textEnd } = unpackPage(slabs, body, bounds);
    texts.set(document, (texts.get(document) ?? "") + slab.bytes.toString("utf8", start, start + textEnd));
  }
  const rowsOf = (table: string) => database.query(`SELECT * FROM ${table}`).values();
  return [[...texts], rowsOf("documents"), rowsOf("key_values")];
}

async function write(client: TestClient): Promise<void> {
  for (let ts = 0; ts < 600; ts++) {
    const reply = await client.request("ins", [{ col: "c", doc: `d${ts % 2}`, ts, data: `value ${ts}` }]);
    expect(reply).not.toHaveProperty("error");
  }
  await client.request("drrng", { col: "c", doc: "d1", fromTs: 100, toTs: 200 });
  await client.request("sval", { col: "c", key: "k", value: "v" });
}

/** Waits for the sync of every second, and for a checkpoint. */
async function waitForDisk(client: TestClient): Promise<void> {
  const statusOf = async () => ((await client.request("stat", {})) as { stat: ServerStatus }).stat;
  const { writes } = await statusOf();
  for (;;) {
    const status = await statusOf();
    const isDurable = (status.writes?.durable ?? 0) >= (writes?.acknowledged ?? 0);
    if (isDurable && status.lastCheckpoint !== null) return;
  }
}

test.skipIf(reason !== undefined)(
  "a clock that jumps changes nothing that is stored",
  async () => {
    using folder = new TemporaryFolder();
    const library = buildLibrary(join(import.meta.dir, "clock_jumps.c"), folder.path);
    const stored: unknown[] = [];
    for (const [name, env] of [
      ["steady", {}],
      ["jumping", { LD_PRELOAD: library }],
    ] as const) {
      const data = folder.join(name);
      const args = ["--data", data, "--flush-interval", "1.2", "--log-level", "debug"];
      let log = "";
      {
        await using server = await ServerProcess.start({ args, env });
        await using client = await server.connect();
        await write(client);
        await waitForDisk(client);
        await server.kill("SIGKILL");
        log += server.output;
      }
      await using server = await ServerProcess.start({ args, env });
      await using client = await server.connect();
      const { records } = (await client.request("qdoc", { col: "c", doc: "d0" })) as {
        records: { ts: number }[];
      };
      expect(records.map(({ ts }) => ts)).toEqual(Array.from({ length: 300 }, (_, index) => index * 2));
      expect(await server.kill("SIGTERM")).toBe(0);
      // The log tells the time: it shows whether the clock jumps at all.
      const days = new Set(
        [...(log + server.output).matchAll(/^(\d{4}-\d\d-\d\d)T/gm)].map(([, day]) => day),
      );
      if (name === "jumping") expect(days.size).toBeGreaterThan(1);
      stored.push(storedIn(data));
    }
    expect(stored[1]).toEqual(stored[0]);
  },
  30_000,
);
