/**
 * How long another client's small request waits while something large is going on.
 */
import { COLLECTION, documentName, FIRST_TS } from "../../src/bench/data.ts";
import { LoadSocket } from "../../src/bench/load_socket.ts";
import { messageFrame } from "../../src/bench/runner.ts";
import type { BenchSession } from "../../src/bench/session.ts";
import { DataDirectory, KEY, MeasuredServer } from "./measured_server.ts";
import { POLLED, pollDuring, type Waits } from "./polling.ts";
import { loadOf, ownServer, progress, report, type Setup } from "./setup.ts";

const FLUSH_SECONDS = 4;
const LARGE_FRAME_RECORDS = 100_000;
const MANY_DOCUMENTS = { records: 200_000, documents: 200_000 };
const LATE_DOCUMENTS = 5_000;
const PACKED_AFTER_SECONDS = 50;
const VALUES_IN_FLIGHT = 128;

export async function measureStalls(setup: Setup): Promise<void> {
  const rows = [];
  for (const [name, run] of Object.entries(SITUATIONS)) {
    progress(`Stalls: ${name}`);
    const { polls, p50Ms, p99Ms, maxMs } = await run(setup);
    rows.push([name, polls, p50Ms, p99Ms, maxMs]);
  }
  report(setup, "What a small request waits meanwhile, in milliseconds", {
    head: ["meanwhile", "polls", "p50", "p99", "longest"],
    rows,
  });
}

const SITUATIONS: Readonly<Record<string, (setup: Setup) => Promise<Waits>>> = {
  "a checkpoint of 1.2M fresh records": (setup) =>
    withServer(setup, { records: 1_200_000, flushSeconds: FLUSH_SECONDS }, async ({ poll }) =>
      poll(() => Bun.sleep(setup.isTiny ? 100 : (FLUSH_SECONDS + 4) * 1000)),
    ),
  "a checkpoint of 200,000 fresh documents": (setup) =>
    withServer(setup, { ...MANY_DOCUMENTS, flushSeconds: FLUSH_SECONDS }, async ({ poll }) =>
      poll(() => Bun.sleep(setup.isTiny ? 100 : (FLUSH_SECONDS + 4) * 1000)),
    ),
  "500,000 key-values that are set, and their checkpoint": (setup) =>
    withServer(setup, { records: 1_000, flushSeconds: FLUSH_SECONDS }, async ({ server, poll }) =>
      poll(async () => {
        await setValues(server, setup.isTiny ? 1_000 : 500_000);
        await Bun.sleep(setup.isTiny ? 100 : (FLUSH_SECONDS + 4) * 1000);
      }),
    ),
  "the first poll of 200,000 documents by pattern, and one after each of 20 new ones": (setup) =>
    withServer(setup, MANY_DOCUMENTS, async ({ session, poll }) =>
      poll(async () => {
        for (let count = 0; count < (setup.isTiny ? 3 : 21); count++) {
          await session.ask("qry", { col: COLLECTION, doc: "/-1.*77/", ts: 9e9, from: 0 });
          await session.ask("ins", [{ ts: FIRST_TS, col: COLLECTION, doc: `new ${count}`, data: "" }]);
        }
      }),
    ),
  "dcol of 2M records": (setup) =>
    withServer(setup, { records: 2_000_000 }, async ({ session, poll }) =>
      poll(async () => {
        await session.ask("dcol", { col: COLLECTION });
        await Bun.sleep(setup.isTiny ? 50 : 1000);
      }),
    ),
  "histories of 4 MiB, back to back": (setup) =>
    withServer(setup, { records: 1_000_000 }, async ({ session, poll }) =>
      poll(async () => {
        // Records are about a hundred bytes.
        const query = { col: COLLECTION, from: FIRST_TS, limit: 40_000 };
        for (let count = 0; count < (setup.isTiny ? 3 : 200); count++) {
          await session.ask("qdoc", { ...query, doc: documentName(count % 20), reverse: count % 2 === 1 });
        }
      }),
    ),
  "frames of 16 MiB": (setup) => duringFrames(setup, "ins", (record) => record),
  "frames of 16 MiB that only the schema can read": (setup) =>
    duringFrames(setup, "ins", (record) => ({ ...record, ts: `0${record.ts}` })),
  "dmrec frames of 6 MiB": (setup) => duringFrames(setup, "dmrec", ({ ts, doc, col }) => ({ ts, doc, col })),
  "late records of 5,000 documents whose chunks are packed, in one frame": (setup) =>
    withServer(setup, { records: 1_000_000, documents: LATE_DOCUMENTS }, async ({ session, poll }) => {
      await Bun.sleep(setup.isTiny ? 0 : PACKED_AFTER_SECONDS * 1000);
      return poll(async () => {
        const count = setup.isTiny ? 20 : LATE_DOCUMENTS;
        const recordOf = (doc: number): LargeRecord => ({
          ts: FIRST_TS - 1,
          doc: documentName(doc),
          data: '{"temperature":21.5,"state":"ok"}',
          col: COLLECTION,
        });
        await session.ask(
          "ins",
          Array.from({ length: count }, (_, doc) => recordOf(doc)),
        );
      });
    }),
};

type LargeRecord = { ts: number; doc: string; data: string; col: string };

function duringFrames(
  setup: Setup,
  type: "ins" | "dmrec",
  change: (record: LargeRecord) => object,
): Promise<Waits> {
  return withServer(setup, { records: 1_000 }, ({ session, poll }) =>
    poll(async () => {
      const count = setup.isTiny ? 100 : LARGE_FRAME_RECORDS;
      for (let frame = 0; frame < (setup.isTiny ? 2 : 10); frame++) {
        const records = Array.from({ length: count }, (_, index) => ({
          ts: FIRST_TS + frame * count + index,
          doc: documentName(index % 100),
          data: '{"temperature":21.5,"state":"ok"}',
          col: "large",
        }));
        await session.ask(type, records.map(change));
      }
    }),
  );
}

type Poll = (work: () => Promise<void>) => Promise<Waits>;
type Situation = { readonly server: MeasuredServer; readonly session: BenchSession; readonly poll: Poll };
type Loaded = { readonly records: number; readonly documents?: number; readonly flushSeconds?: number };

async function withServer(
  setup: Setup,
  { records, documents = 20, flushSeconds = 86_400 }: Loaded,
  work: (situation: Situation) => Promise<Waits>,
): Promise<Waits> {
  using directory = new DataDirectory();
  const args = ["--flush-interval", String(flushSeconds)];
  await using server = await MeasuredServer.start(ownServer(setup, { data: directory.path, args }));
  const size = setup.isTiny ? { records: 2_000, documents: 20 } : { records, documents };
  using session = await server.open(loadOf(setup, size));
  await session.ask("ins", [{ ts: 1, ...POLLED, data: "here" }]);
  await session.run("ins_batch100");
  const poll: Poll = async (during) => (await pollDuring(server, during)).query;
  // Awaited here: server and directory go when this returns.
  return await work({ server, session, poll });
}

async function setValues({ url }: MeasuredServer, count: number): Promise<void> {
  const socket = await LoadSocket.open(url, KEY);
  const done = Promise.withResolvers<void>();
  let sent = 0;
  let answered = 0;
  const send = (): void => {
    if (sent === count) return;
    const value = { col: "values", key: `device-${sent}/rate`, value: String(sent) };
    socket.send(messageFrame("sval", value));
    sent++;
  };
  socket.onEnd = done.reject;
  socket.onReply = () => {
    answered++;
    if (answered === count) done.resolve();
    else send();
  };
  for (let depth = 0; depth < VALUES_IN_FLIGHT; depth++) send();
  await done.promise;
  socket.close();
}
