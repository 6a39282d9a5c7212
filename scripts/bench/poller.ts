/**
 * A small client beside a load: asks for one document again and again, until its standard input ends, and then says
 * how long it has waited. A process of its own, since the load would hold it up.
 *
 *   poller.ts URL KEY COLLECTION DOCUMENT        prints {"polls":…,"p50Ms":…,"p99Ms":…,"maxMs":…}
 */
import { LoadSocket } from "../../src/bench/load_socket.ts";
import { messageFrame } from "../../src/bench/runner.ts";

const PAUSE_MS = 1;
const [url, key, col, doc] = process.argv.slice(2) as [string, string, string, string];
const socket = await LoadSocket.open(new URL(url), key);
const frame = messageFrame("qry", { col, doc, ts: 9e9 });
let isOver = false;
const inputEnded = (async () => {
  for await (const _ of Bun.stdin.stream()) {
  }
  isOver = true;
})();
const waits: number[] = [];
process.stdout.write("\n");
while (!isOver) {
  const askedAt = performance.now();
  await socket.ask(frame);
  waits.push(performance.now() - askedAt);
  await Bun.sleep(PAUSE_MS);
}
await inputEnded;
socket.close();
waits.sort((a, b) => a - b);
const quantile = (share: number): number =>
  waits[Math.min(waits.length - 1, Math.floor(share * waits.length))] ?? 0;
const result = { polls: waits.length, p50Ms: quantile(0.5), p99Ms: quantile(0.99), maxMs: quantile(1) };
process.stdout.write(`${JSON.stringify(result)}\n`);
