/**
 * Memory, disk, and how long a start takes.
 */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { documentName } from "../../src/bench/data.ts";
import { usageOf } from "../../src/bench/process_usage.ts";
import { DataDirectory, type Load, MeasuredServer } from "./measured_server.ts";
import { loadOf, median, ownServer, progress, report, type Setup } from "./setup.ts";

/** Chunks that rest for half a minute are packed, and checkpoints come every 15 seconds. */
const SETTLING_MS = 70_000;
const MEGABYTE = 1e6;
const STARTS = 5;

export async function measureFootprint(setup: Setup): Promise<void> {
  const sizes: Partial<Load>[] = setup.isTiny
    ? [{}]
    : [
        { records: 1_000_000 },
        { records: 1_200_000 },
        { records: 10_000_000 },
        { records: 1_000_000, documents: 100_000 },
        { records: 1_000_000, kind: "flight" },
        ...(setup.isLarge ? [{ records: 50_000_000 }] : []),
      ];
  const rows = [];
  for (const size of sizes) rows.push(await measureSize(setup, loadOf(setup, size)));
  report(setup, "Memory, disk and start", {
    head: [
      "records",
      "documents",
      "data",
      "memory B/record",
      "packed B/record",
      "packed B/document",
      "disk B/record",
      "journal MB",
      "start ms",
      "after kill -9 ms",
    ],
    rows,
  });
}

async function measureSize(setup: Setup, load: Load): Promise<(string | number)[]> {
  const { records, documents, kind } = load;
  progress(`Footprint: ${records} records of ${documents} documents, ${kind}`);
  using directory = new DataDirectory();
  const command = ownServer(setup, { data: directory.path });
  let full: number;
  let packed: number;
  let journalBytes = 0;
  {
    await using server = await MeasuredServer.start(command);
    const before = usageOf(server.pid).memoryBytes;
    const watch = setInterval(() => {
      journalBytes = Math.max(journalBytes, journalBytesOf(directory.path));
    }, 100);
    using session = await server.open(load);
    await session.run("ins_batch100");
    full = usageOf(server.pid).memoryBytes - before;
    await Bun.sleep(setup.isTiny ? 100 : SETTLING_MS);
    packed = usageOf(server.pid).memoryBytes - before;
    clearInterval(watch);
    await server.stop("SIGTERM");
  }
  const diskBytes = folderBytes(directory.path);
  const starts = [];
  for (let count = 0; count < STARTS; count++) starts.push(await timeStart(command));
  return [
    String(records),
    String(documents),
    kind,
    full / records,
    packed / records,
    packed / documents,
    diskBytes / records,
    journalBytes / MEGABYTE,
    median(starts),
    await timeStartAfterKill(setup, load),
  ];
}

/** With the whole load in the journal, and no checkpoint of it. */
async function timeStartAfterKill(setup: Setup, load: Load): Promise<number> {
  using directory = new DataDirectory();
  const command = ownServer(setup, { data: directory.path, args: ["--flush-interval", "86400"] });
  {
    await using server = await MeasuredServer.start(command);
    using session = await server.open(load);
    await session.run("ins_batch100");
  }
  // Awaited here: the directory goes when this returns.
  return await timeStart(command);
}

/** From the command to the first right answer, in milliseconds. */
async function timeStart(command: readonly string[]): Promise<number> {
  const startedAt = performance.now();
  await using server = await MeasuredServer.start(command);
  using session = await server.open({
    records: 1,
    documents: 1,
    collections: 1,
    kind: "sensor",
    order: "ascending",
    scale: 1,
    connections: 1,
  });
  const query = { col: "fluxiondb-bench", doc: documentName(0), ts: 9e9 };
  const { records } = (await session.ask("qry", query)) as { records: object };
  const tookMs = performance.now() - startedAt;
  if (Object.keys(records).length !== 1) throw new Error("The server has lost its records");
  return tookMs;
}

function journalBytesOf(directory: string): number {
  const folder = join(directory, "journal");
  return existsSync(folder) ? folderBytes(folder) : 0;
}

/** A file of the journal may go meanwhile. */
function folderBytes(directory: string): number {
  return (readdirSync(directory, { recursive: true }) as string[])
    .map((name) => statSync(join(directory, name), { throwIfNoEntry: false }))
    .reduce((sum, found) => sum + (found?.isFile() ? found.size : 0), 0);
}
