/**
 * A small client beside a load: asks for one document, inserts a record, and again, until its standard input ends, and
 * then says how long it has waited. A process of its own, since the load would hold it up.
 *
 *   poller.ts URL KEY COLLECTION DOCUMENT PID    prints {"query":{"polls":…,"p50Ms":…,…},"insert":{…}}
 *
 * Of each wait, the time is taken off in which the server's main thread, PID, or this process could run and had no
 * processor: on a machine that is busy with something else that is most of the longest ones, and nobody's fault here.
 */
import { readFileSync } from "node:fs";
import { LoadSocket } from "../../src/bench/load_socket.ts";
import { messageFrame } from "../../src/bench/runner.ts";

const PAUSE_MS = 1;
const [url, key, col, doc, pid] = process.argv.slice(2) as [string, string, string, string, string];
const SCHEDULES = [`/proc/${pid}/task/${pid}/schedstat`, `/proc/self/task/${process.pid}/schedstat`];
const socket = await LoadSocket.open(new URL(url), key);
const query = messageFrame("qry", { col, doc, ts: 9e9 });
let ts = 1;
let isOver = false;
const inputEnded = (async () => {
  for await (const _ of Bun.stdin.stream()) {
  }
  isOver = true;
})();
const queryWaits: number[] = [];
const insertWaits: number[] = [];
process.stdout.write("\n");
while (!isOver) {
  await ask(query, queryWaits);
  await ask(messageFrame("ins", [{ ts: ++ts, doc, data: "here", col }]), insertWaits);
}
await inputEnded;
socket.close();
process.stdout.write(`${JSON.stringify({ query: summaryOf(queryWaits), insert: summaryOf(insertWaits) })}\n`);

async function ask(frame: Buffer, waits: number[]): Promise<void> {
  const delayedBefore = delayedMs();
  const askedAt = performance.now();
  await socket.ask(frame);
  const waitedMs = performance.now() - askedAt;
  waits.push(Math.max(0, waitedMs - (delayedMs() - delayedBefore)));
  await Bun.sleep(PAUSE_MS);
}

/** For how long the threads have waited for a processor, ever: the second number, in nanoseconds. */
function delayedMs(): number {
  const delays = SCHEDULES.map((file) => Number(readFileSync(file, "latin1").split(" ")[1]));
  return delays.reduce((sum, delay) => sum + delay, 0) / 1e6;
}

function summaryOf(waits: number[]): Record<"polls" | "p50Ms" | "p99Ms" | "maxMs", number> {
  waits.sort((a, b) => a - b);
  const quantile = (share: number): number =>
    waits[Math.min(waits.length - 1, Math.floor(share * waits.length))] ?? 0;
  return { polls: waits.length, p50Ms: quantile(0.5), p99Ms: quantile(0.99), maxMs: quantile(1) };
}
