/**
 * What a record or a request costs with more and more of everything around it: nothing may grow with what is not asked
 * for. Microseconds of the server's CPU.
 */
import type { Measured } from "../../src/bench/runner.ts";
import type { WorkloadName } from "../../src/bench/workloads.ts";
import { DataDirectory, type Load, MeasuredServer } from "./measured_server.ts";
import { loadOf, ownServer, progress, report, type Setup } from "./setup.ts";

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
    await using server = await MeasuredServer.start(ownServer(setup, { data: directory.path }));
    using session = await server.open(load);
    const costs: number[] = [];
    for (const name of NAMES) costs.push(microseconds(await session.run(name)));
    rows.push([String(load.records), String(load.documents), String(load.collections), ...costs]);
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

const microseconds = ({ unitsPerCpuSecond = Number.NaN }: Measured): number => 1e6 / unitsPerCpuSecond;
