/**
 * A small client that polls in a process of its own while something goes on.
 */
import { join } from "node:path";
import { KEY, type MeasuredServer } from "./measured_server.ts";

export type Waits = {
  readonly polls: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
};

/** What is polled, and so has to be there. */
export const POLLED = { col: "polled", doc: "device-0" };

/** How long its queries and its inserts wait while `work` is done. */
export async function pollDuring(
  server: MeasuredServer,
  work: () => Promise<void>,
): Promise<{ readonly query: Waits; readonly insert: Waits }> {
  const script = join(import.meta.dir, "poller.ts");
  const args = [server.url.href, KEY, POLLED.col, POLLED.doc, String(server.pid)];
  const poller = Bun.spawn([process.execPath, script, ...args], { stdio: ["pipe", "pipe", "inherit"] });
  const reader = poller.stdout.getReader();
  // An empty line says that it has begun.
  await reader.read();
  await work();
  await poller.stdin.end();
  let output = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    output += new TextDecoder().decode(part.value);
  }
  return JSON.parse(output) as { query: Waits; insert: Waits };
}
