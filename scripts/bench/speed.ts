/**
 * Work a second of CPU, ours as a ratio to the yardstick's: each round measures all servers in turn.
 */
import type { Measured } from "../../src/bench/runner.ts";
import { isLone, WORKLOAD_NAMES, type WorkloadName } from "../../src/bench/workloads.ts";
import { DataDirectory, type Load, MeasuredServer } from "./measured_server.ts";
import { ECHO, loadOf, median, ownServer, progress, report, type Setup, YARDSTICK } from "./setup.ts";

/** What an echo is comparable with: one small message, one small reply. */
const ECHOED: readonly WorkloadName[] = ["ins_single", "qry_one", "sval", "gval"];
const NAMES = WORKLOAD_NAMES.filter((name) => !isLone(name));

type Results = Map<WorkloadName, Measured>;

/** With each kind of data and order of time that is named; the first is the benchmark proper. */
export async function measureSpeed(setup: Setup): Promise<void> {
  await compare(setup, "Speed, sensor readings", loadOf(setup));
  const others: [string, Partial<Load>][] = [
    ["Speed, noisy flight data", { kind: "flight" }],
    ["Speed, text with escapes and emoji, newest first", { kind: "text", order: "descending" }],
    ["Speed, each record written twice", { order: "overwrite" }],
  ];
  const names: readonly WorkloadName[] = [
    "ins_batch100",
    "qry_all",
    "qry_past",
    "qdoc_all",
    "qdoc_where_text",
  ];
  for (const [title, changes] of others) await compare(setup, title, loadOf(setup, changes), names);
}

async function compare(
  setup: Setup,
  title: string,
  load: Load,
  names: readonly WorkloadName[] = NAMES,
): Promise<void> {
  const rounds: Record<"yardstick" | "echo" | "saved" | "memory", Results>[] = [];
  for (let round = 1; round <= setup.rounds; round++) {
    progress(`${title}: round ${round} of ${setup.rounds}`);
    using directory = new DataDirectory();
    rounds.push({
      yardstick: await measureAll(YARDSTICK, load, names),
      echo: await measureAll(
        ECHO,
        load,
        names.filter((name) => ECHOED.includes(name)),
      ),
      saved: await measureAll(ownServer(setup, { data: directory.path }), load, names),
      memory: await measureAll(ownServer(setup), load, names),
    });
  }
  const ratio = (name: WorkloadName, server: "echo" | "saved" | "memory"): number | undefined => {
    const ratios = rounds.map((round) => speedOf(round[server], name) / speedOf(round.yardstick, name));
    return ratios.some(Number.isNaN) ? undefined : median(ratios);
  };
  report(setup, title, {
    head: ["workload", "ratio, saved", "ratio, in memory", "echo", "units/CPU s", "p99 ms", "max ms"],
    rows: names.map((name) => {
      const measured = rounds.map(({ saved }) => saved.get(name) as Measured);
      return [
        name,
        ratio(name, "saved"),
        ratio(name, "memory"),
        ratio(name, "echo"),
        median(measured.map(({ unitsPerCpuSecond = Number.NaN }) => unitsPerCpuSecond)),
        median(measured.map(({ p99Ms }) => p99Ms)),
        Math.max(...measured.map(({ maxMs }) => maxMs)),
      ];
    }),
  });
}

const speedOf = (results: Results, name: WorkloadName): number =>
  results.get(name)?.unitsPerCpuSecond ?? Number.NaN;

async function measureAll(
  command: readonly string[],
  load: Load,
  names: readonly WorkloadName[],
): Promise<Results> {
  await using server = await MeasuredServer.start(command);
  using session = await server.open(load);
  const results: Results = new Map();
  for (const name of names) results.set(name, await session.run(name));
  return results;
}

/** A client that waits for each reply: what a message costs in time. */
export async function measureLone(setup: Setup): Promise<void> {
  const rows = [];
  for (const mode of ["in memory", "interval", "everysec", "always"]) {
    progress(`Lone client: ${mode}`);
    using directory = new DataDirectory();
    const options = mode === "in memory" ? {} : { data: directory.path, args: ["--durability", mode] };
    await using server = await MeasuredServer.start(ownServer(setup, options));
    using session = await server.open(loadOf(setup, { records: setup.isTiny ? 1000 : 100_000 }));
    await session.run("ins_batch100");
    const [insert, query] = [await session.run("ins_lone"), await session.run("qry_lone")];
    rows.push([mode, insert.p50Ms, insert.p99Ms, query.p50Ms, query.p99Ms]);
  }
  report(setup, "A lone client, milliseconds a message", {
    head: ["durability", "ins p50", "ins p99", "qry p50", "qry p99"],
    rows,
  });
}
