/**
 * What a well-behaved client waits for a small query and a small insert while others mean harm, on a saved server.
 */
import { join } from "node:path";
import { LoadSocket } from "../../src/bench/load_socket.ts";
import { askServer } from "../../src/bench/runner.ts";
import { DEAR, dearText, LARGE, LARGE_REPLY_BYTES, SCANNED, SCANNED_RECORDS } from "./hostile_data.ts";
import { DataDirectory, KEY, MeasuredServer } from "./measured_server.ts";
import { POLLED, pollDuring } from "./polling.ts";
import { ownServer, progress, report, type Setup } from "./setup.ts";

type Situation = {
  readonly name: string;
  /** What attacker.ts does, and how many times over; none: nobody means harm. */
  readonly kind?: string;
  readonly count: number;
  readonly isLoaded?: boolean;
};

const SITUATIONS: readonly Situation[] = [
  { name: "nothing", count: 0 },
  { name: "10,000 idle connections", kind: "idle", count: 9_990 },
  { name: "5,000 half-open connections", kind: "half open", count: 5_000 },
  { name: "1,000 handshakes a byte at a time", kind: "slow handshakes", count: 1_000 },
  { name: "8 floods of small frames", kind: "small frames", count: 8 },
  { name: "bad frames, again and again", kind: "bad frames", count: 32 },
  { name: "failed logins, again and again", kind: "failed logins", count: 32 },
  { name: "8 readers of 100 MB that do not read", kind: "slow readers", count: 8 },
  { name: "4 scans of 10M records, over and over", kind: "scan", count: 4 },
  { name: "4 patterns that take seconds, over and over", kind: "patterns", count: 4 },
];

const SECONDS = 8;
const RECORDS_A_FRAME = 5_000;
const FRAMES_AT_A_TIME = 4;

export async function measureHostile(setup: Setup): Promise<void> {
  using directory = new DataDirectory();
  await using server = await MeasuredServer.start(ownServer(setup, { data: directory.path }));
  const socket = await LoadSocket.open(server.url, KEY);
  await askServer(socket, "ins", [{ ts: 1, ...POLLED, data: "here" }]);
  progress("Hostile clients: loading");
  await load(server, LARGE, { count: setup.isTiny ? 100 : LARGE_REPLY_BYTES / 1000, data: "x".repeat(980) });
  const data = '{"temperature":21.53,"humidity":40.1,"state":"ok"}';
  await load(server, SCANNED, { count: setup.isTiny ? 1_000 : SCANNED_RECORDS, data });
  for (const { col, doc, count, length } of DEAR) {
    const records = Array.from({ length: count }, (_, at) => ({
      ts: at,
      col,
      doc,
      data: dearText(length, at + 1),
    }));
    await askServer(socket, "ins", records);
  }
  const rows = [];
  for (const { name, kind, count } of SITUATIONS) {
    progress(`Hostile clients: ${name}`);
    const { query, insert, done } = await measure(setup, server, kind, count);
    rows.push([name, done, query.p50Ms, query.p99Ms, query.maxMs, insert.p50Ms, insert.p99Ms, insert.maxMs]);
  }
  socket.close();
  report(setup, "What a small request waits while others mean harm, in milliseconds", {
    head: ["meanwhile", "times", "qry p50", "p99", "longest", "ins p50", "p99", "longest"],
    rows,
  });
}

async function measure(setup: Setup, server: MeasuredServer, kind: string | undefined, count: number) {
  const seconds = setup.isTiny ? 0.2 : SECONDS;
  const times = setup.isTiny ? Math.min(count, 10) : count;
  let done = 0;
  const waits = await pollDuring(server, async () => {
    if (kind === undefined) return Bun.sleep(seconds * 1000);
    const script = join(import.meta.dir, "attacker.ts");
    const command = ["nice", "-n", "19", process.execPath, script, server.url.href, KEY, kind, String(times)];
    const attacker = Bun.spawn(command, { stdio: ["pipe", "pipe", "inherit"] });
    const reader = attacker.stdout.getReader();
    // An empty line says that it is in place; getting there is part of what others wait for.
    await reader.read();
    await Bun.sleep(seconds * 1000);
    await attacker.stdin.end();
    const { value } = await reader.read();
    done = Number(new TextDecoder().decode(value));
    await attacker.exited;
  });
  return { ...waits, done };
}

type Document = { readonly col: string; readonly doc: string };

async function load(
  server: MeasuredServer,
  document: Document,
  { count, data }: { count: number; data: string },
): Promise<void> {
  let next = 0;
  const send = async (): Promise<void> => {
    const socket = await LoadSocket.open(server.url, KEY);
    while (next < count) {
      const first = next;
      next = Math.min(count, next + RECORDS_A_FRAME);
      const records = Array.from({ length: next - first }, (_, at) => ({
        ts: first + at,
        ...document,
        data,
      }));
      await askServer(socket, "ins", records);
    }
    socket.close();
  };
  await Promise.all(Array.from({ length: FRAMES_AT_A_TIME }, send));
}
