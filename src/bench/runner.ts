/**
 * Runs one workload against a server: so many messages at a time on each connection, the next one with each reply.
 */
import { type LoadSocket, textFrame } from "./load_socket.ts";
import { type ProcessUsage, usageOf } from "./process_usage.ts";

/** Every message has this id, so that an error is told by a reply's first bytes. */
const ID = "b";
const ERROR_START = Buffer.from(`{"id":"${ID}","error":`);
/** Frames beyond this are made while the load runs. */
const PREPARED_BYTES_MAX = 512 * 1024 * 1024;

export type Workload = {
  readonly name: string;
  readonly messages: number;
  /** The frame of message `index`. */
  readonly frame: (index: number) => Buffer;
  /** After so many the frames repeat themselves. */
  readonly differentFrames: number;
  /** What is counted: records, documents, or messages. */
  readonly unitsPerMessage: number;
  /** How many messages of a connection are under way at a time. */
  readonly depth: number;
  /** Asked before; throws when the answer is wrong. */
  readonly check?: (ask: (type: string, data: unknown) => Promise<unknown>) => Promise<void>;
};

export type Measured = {
  readonly name: string;
  readonly units: number;
  readonly seconds: number;
  readonly unitsPerSecond: number;
  /** Where the server's process is known. */
  readonly unitsPerCpuSecond?: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly replyBytes: number;
  readonly memoryBytes?: number;
};

/** A message as older servers take it too: `data` is a string of JSON. */
export function messageFrame(type: string, data: unknown): Buffer {
  return textFrame(JSON.stringify({ id: ID, type, data: JSON.stringify(data) }));
}

/** @throws Error that quotes the server's, when it answered with one */
export async function askServer(socket: LoadSocket, type: string, data: unknown): Promise<unknown> {
  const text = await socket.ask(messageFrame(type, data));
  const reply = JSON.parse(text) as { error?: string };
  if (reply.error !== undefined) throw new Error(`The server answered ${type} with: ${text.slice(0, 500)}`);
  return reply;
}

export async function runWorkload(
  workload: Workload,
  { sockets, pid }: { sockets: readonly LoadSocket[]; pid: number | undefined },
): Promise<Measured> {
  const [first] = sockets as [LoadSocket];
  await workload.check?.((type, data) => askServer(first, type, data));
  const frameAt = prepare(workload);
  const latencies = new Float64Array(workload.messages);
  const before = pid === undefined ? undefined : usageOf(pid);
  const startedAt = performance.now();
  const replyBytes = await drive(workload, { sockets, frameAt, latencies });
  const seconds = (performance.now() - startedAt) / 1000;
  const after = pid === undefined ? undefined : usageOf(pid);
  return summarize(workload, { latencies, seconds, replyBytes, before, after });
}

function prepare(workload: Workload): (index: number) => Buffer {
  const { frame, differentFrames, messages } = workload;
  const count = Math.min(messages, differentFrames);
  if (count * frame(0).length > PREPARED_BYTES_MAX) return (index) => frame(index % differentFrames);
  const frames = Array.from({ length: count }, (_, index) => frame(index));
  return (index) => frames[index % count] as Buffer;
}

/** Resolves with the bytes of all replies. */
function drive(
  { messages, depth }: Workload,
  {
    sockets,
    frameAt,
    latencies,
  }: { sockets: readonly LoadSocket[]; frameAt: (index: number) => Buffer; latencies: Float64Array },
): Promise<number> {
  let sent = 0;
  let done = 0;
  let replyBytes = 0;
  return new Promise((resolve, reject) => {
    for (const socket of sockets) {
      // A ring: replies come in the order of their messages.
      const sentAt = new Float64Array(depth);
      let next = 0;
      let oldest = 0;
      const send = (): void => {
        if (sent === messages) return;
        sentAt[next++ % depth] = performance.now();
        socket.send(frameAt(sent++));
      };
      socket.onEnd = reject;
      socket.onReply = (size, head) => {
        latencies[done++] = performance.now() - (sentAt[oldest++ % depth] as number);
        replyBytes += size;
        if (isError(size, head)) {
          reject(
            new Error(`The server answered with: ${head.toString("utf8", 0, Math.min(size, head.length))}`),
          );
        } else if (done === messages) resolve(replyBytes);
        else send();
      };
      for (let count = 0; count < depth; count++) send();
    }
  });
}

function isError(size: number, head: Buffer): boolean {
  return size > ERROR_START.length && ERROR_START.compare(head, 0, ERROR_START.length) === 0;
}

type Raw = {
  readonly latencies: Float64Array;
  readonly seconds: number;
  readonly replyBytes: number;
  readonly before: ProcessUsage | undefined;
  readonly after: ProcessUsage | undefined;
};

function summarize(
  { name, messages, unitsPerMessage }: Workload,
  { latencies, seconds, replyBytes, before, after }: Raw,
): Measured {
  const units = messages * unitsPerMessage;
  const sorted = latencies.sort();
  const quantile = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] as number;
  return {
    name,
    units,
    seconds,
    unitsPerSecond: units / seconds,
    // The kernel counts in hundredths of a second: less than one is no measurement.
    ...(before !== undefined &&
      after !== undefined && {
        unitsPerCpuSecond: units / Math.max(0.01, after.cpuSeconds - before.cpuSeconds),
        memoryBytes: after.memoryBytes,
      }),
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
    maxMs: quantile(1),
    replyBytes,
  };
}
