/**
 * `fluxiondb bench`: what a running server of this protocol, ours or an older one, does a second.
 */
import { type Command, Option } from "commander";
import { DATA_KINDS, type DataKind, ORDERS, type Order } from "../bench/data.ts";
import type { Measured } from "../bench/runner.ts";
import { BenchSession } from "../bench/session.ts";
import { WORKLOAD_NAMES, type WorkloadName } from "../bench/workloads.ts";
import { addServerOptions, readApiKey, readUrl } from "./client_options.ts";
import { CommandError, usageError } from "./command_error.ts";
import { GROUP_SERVER } from "./command_group.ts";
import { integerIn, oneOf, type ValueReader } from "./option_value.ts";
import { writeNote, writeOutput } from "./output.ts";
import { renderTable } from "./table.ts";

type BenchOptions = {
  readonly url: URL;
  readonly apiKey: string;
  readonly records: number;
  readonly documents: number;
  readonly collections: number;
  readonly connections: number;
  readonly only: readonly WorkloadName[];
  readonly kind: DataKind;
  readonly order: Order;
  readonly scale: number;
  readonly pid: number | undefined;
  readonly json: boolean;
  readonly keep: boolean;
};

const HELP = `
Workloads, in this order; --only takes some of them. Those that ask need what ins_batch100 has written:
  ${WORKLOAD_NAMES.join(", ")}

  ins_batch100 sends records by the hundred, ins_single one a message; lone is a single client that waits for each
  reply. qry_all asks for the latest record of all documents, qry_past for that of a time in the past; qdoc_… are
  histories. Units are records for ins, documents for qry_all and qry_past, records looked at for qdoc, keys for
  gvals, and messages for the rest.

It writes to collections of its own, fluxiondb-bench…, and deletes them afterwards.

Examples:
  fluxiondb bench --api-key KEY                                    all of it, against ws://127.0.0.1:8080
  fluxiondb bench --url ws://db:8080 --only ins_batch100,qdoc_all --data-kind flight
  fluxiondb bench --api-key KEY --pid $(cat data/server.pid)       with the server's CPU and memory (Linux)
  fluxiondb bench --api-key KEY --records 100000 --json | jq .unitsPerSecond
`;

export function addBench(program: Command): void {
  const command = program.command("bench").description("Measure a running server").helpGroup(GROUP_SERVER);
  addServerOptions(command)
    .addOption(option("--records <number>", "records to write", integerIn({ min: 1, max: 1e9 }), "1000000"))
    .addOption(
      option("--documents <number>", "documents they belong to", integerIn({ min: 1, max: 1e7 }), "1000"),
    )
    .addOption(
      option("--collections <number>", "collections these belong to", integerIn({ min: 1, max: 1e6 }), "1"),
    )
    .addOption(option("--connections <number>", "connections", integerIn({ min: 1, max: 1000 }), "2"))
    .addOption(option("--only <names>", "some of the workloads, joined by commas", workloadNames))
    .addOption(option("--data-kind <kind>", DATA_KINDS.join("|"), oneOf(DATA_KINDS), "sensor"))
    .addOption(option("--order <order>", `${ORDERS.join("|")} in time`, oneOf(ORDERS), "ascending"))
    .addOption(
      option(
        "--percent <number>",
        "of the usual number of messages",
        integerIn({ min: 1, max: 1000 }),
        "100",
      ),
    )
    .addOption(
      option("--pid <number>", "the server's process, if it runs here", integerIn({ min: 1, max: 2 ** 31 })),
    )
    .option("--json", "one line of JSON a workload")
    .option("--keep", "leave the data there")
    .addHelpText("after", HELP);
  command.action(() => bench(readOptions(command)));
}

async function bench(options: BenchOptions): Promise<void> {
  using session = await failing(BenchSession.open(options));
  const leftovers = await failing(session.leftovers());
  const isWriting = options.only.includes("ins_batch100");
  if (leftovers.length > 0 && isWriting) {
    throw new CommandError(
      `The server has ${leftovers.join(", ")} from a run with --keep. Delete it first, or measure without ins_batch100`,
    );
  }
  const rows: Measured[] = [];
  let failure: unknown;
  try {
    for (const name of options.only) {
      if (process.stderr.isTTY) writeNote(`${name} …\r`);
      const measured = await failing(session.run(name));
      rows.push(measured);
      if (options.json) writeOutput(`${JSON.stringify(measured)}\n`);
    }
  } catch (error) {
    failure = error;
  }
  if (!options.keep && leftovers.length === 0) {
    // Where the server is gone this fails too, and the first failure is the one to tell.
    await failing(session.clearUp()).catch((error) => {
      failure ??= error;
    });
  }
  if (failure !== undefined) throw failure;
  if (!options.json) writeOutput(render(rows));
}

function render(rows: readonly Measured[]): string {
  const head = [
    "workload",
    "units",
    "units/s",
    "units/CPU s",
    "p50 ms",
    "p99 ms",
    "max ms",
    "replies MB",
    "RSS MB",
  ];
  return renderTable(
    head,
    rows.map((row) => [
      row.name,
      String(row.units),
      Math.round(row.unitsPerSecond),
      row.unitsPerCpuSecond === undefined ? undefined : Math.round(row.unitsPerCpuSecond),
      row.p50Ms,
      row.p99Ms,
      row.maxMs,
      row.replyBytes / 1e6,
      row.memoryBytes === undefined ? undefined : row.memoryBytes / 1e6,
    ]),
  );
}

/** What goes wrong out there is told without a stack. */
async function failing<Value>(work: Promise<Value>): Promise<Value> {
  try {
    return await work;
  } catch (cause) {
    throw new CommandError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

function readOptions(command: Command): BenchOptions {
  const values = command.opts();
  if (values.documents > values.records) throw usageError("--documents: expected no more than --records");
  if (values.collections > values.documents)
    throw usageError("--collections: expected no more than --documents");
  if (values.pid !== undefined && process.platform !== "linux")
    throw usageError("--pid: works on Linux only");
  return {
    url: webSocketUrl(readUrl(command)),
    apiKey: readApiKey(command),
    records: values.records,
    documents: values.documents,
    collections: values.collections,
    connections: values.connections,
    only: values.only ?? WORKLOAD_NAMES,
    kind: values.dataKind,
    order: values.order,
    scale: values.percent / 100,
    pid: values.pid,
    json: values.json === true,
    keep: values.keep === true,
  };
}

function option<Value>(
  flags: string,
  description: string,
  read: ValueReader<Value>,
  fallback?: string,
): Option {
  const made = new Option(flags, description);
  made.argParser((text) => read(text, `--${made.name()}`));
  if (fallback !== undefined) made.default(read(fallback, `--${made.name()}`), fallback);
  return made;
}

function webSocketUrl(url: URL): URL {
  const address = new URL(url);
  address.protocol = url.protocol.replace("http", "ws");
  return address;
}

const workloadNames: ValueReader<readonly WorkloadName[]> = (text, source) =>
  text.split(",").map((name) => oneOf(WORKLOAD_NAMES)(name.trim(), source));
