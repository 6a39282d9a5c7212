/**
 * What a record or a request costs with more and more of everything around it: nothing may grow with what is not asked
 * for. Microseconds of the server's CPU.
 */
import { usageOf } from "../../src/bench/process_usage.ts";
import type { Measured } from "../../src/bench/runner.ts";
import type { WorkloadName } from "../../src/bench/workloads.ts";
import { DataDirectory, type Load, MeasuredServer } from "./measured_server.ts";
import { loadOf, ownServer, progress, report, type Setup } from "./setup.ts";

const FLUSH_SECONDS = 3;
const IDLE_CPU_SECONDS = 0.05;
const NAMES: readonly WorkloadName[] = [
  "ins_batch100",
  "ins_single",
  "qry_one",
  "qry_all",
  "qdoc_limit100_reverse",
];

export async function measureGrowth(setup: Setup): Promise<void> {
  const sizes: Partial<Load>[] = setup.isTiny
    ? [{}, { collections: 5 }]
    : [
        { records: 10_000, documents: 10 },
        { records: 1_000_000, documents: 10 },
        { records: 10_000_000, documents: 10 },
        { records: 10_000, documents: 1_000 },
        { records: 1_000_000, documents: 1_000 },
        { records: 10_000_000, documents: 1_000 },
        ...(setup.isLarge ? [{ records: 50_000_000, documents: 1_000 }] : []),
        { records: 1_000_000, documents: 100_000 },
        { records: 10_000_000, documents: 100_000 },
        { records: 1_000_000, documents: 10_000, collections: 100 },
        { records: 1_000_000, documents: 10_000, collections: 10_000 },
      ];
  const rows = [];
  for (const size of sizes) {
    const load = loadOf(setup, size);
    progress(`Growth: ${load.records} records, ${load.documents} documents, ${load.collections} collections`);
    using directory = new DataDirectory();
    const args = ["--flush-interval", String(FLUSH_SECONDS)];
    await using server = await MeasuredServer.start(ownServer(setup, { data: directory.path, args }));
    using session = await server.open(load);
    const costs: number[] = [];
    for (const name of NAMES) {
      costs.push(microseconds(await session.run(name)));
      // What the checkpoint costs belongs to what was inserted, not to whoever asks next.
      if (name.startsWith("ins_") && !setup.isTiny) await settled(server);
    }
    rows.push([load.records, load.documents, load.collections, ...costs]);
  }
  report(
    setup,
    "Growth: microseconds of CPU a record (ins), request (qry_one), document (qry_all), record (newest 100)",
    {
      head: [
        "records",
        "documents",
        "collections",
        "ins, 100 a batch",
        "ins, single",
        "qry_one",
        "qry_all",
        "newest 100",
      ],
      rows,
    },
  );
}

/** Resolves when a checkpoint has begun and ended, and the server has nothing more to do. */
async function settled({ pid }: MeasuredServer): Promise<void> {
  await Bun.sleep(FLUSH_SECONDS * 1000);
  for (let before = usageOf(pid).cpuSeconds; ; ) {
    await Bun.sleep(1000);
    const now = usageOf(pid).cpuSeconds;
    if (now - before < IDLE_CPU_SECONDS) return;
    before = now;
  }
}

const microseconds = ({ unitsPerCpuSecond = Number.NaN }: Measured): number => 1e6 / unitsPerCpuSecond;
