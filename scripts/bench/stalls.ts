/**
 * How long another client's small request waits while something large is going on.
 */
import { COLLECTION, documentName, FIRST_TS } from "../../src/bench/data.ts";
import type { BenchSession } from "../../src/bench/session.ts";
import { DataDirectory, MeasuredServer } from "./measured_server.ts";
import { POLLED, pollDuring, type Waits } from "./polling.ts";
import { loadOf, ownServer, progress, report, type Setup } from "./setup.ts";

const FLUSH_SECONDS = 4;
const LARGE_FRAME_RECORDS = 100_000;

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
    withServer(setup, 1_200_000, { flushSeconds: FLUSH_SECONDS }, async (_, poll) =>
      poll(() => Bun.sleep(setup.isTiny ? 100 : (FLUSH_SECONDS + 4) * 1000)),
    ),
  "dcol of 2M records": (setup) =>
    withServer(setup, 2_000_000, {}, async (session, poll) =>
      poll(async () => {
        await session.ask("dcol", { col: COLLECTION });
        await Bun.sleep(setup.isTiny ? 50 : 1000);
      }),
    ),
  "histories of 4 MiB, back to back": (setup) =>
    withServer(setup, 1_000_000, {}, async (session, poll) =>
      poll(async () => {
        // Records are about a hundred bytes.
        const query = { col: COLLECTION, from: FIRST_TS, limit: 40_000 };
        for (let count = 0; count < (setup.isTiny ? 3 : 200); count++) {
          await session.ask("qdoc", { ...query, doc: documentName(count % 20), reverse: count % 2 === 1 });
        }
      }),
    ),
  "frames of 16 MiB": (setup) =>
    withServer(setup, 1_000, {}, async (session, poll) =>
      poll(async () => {
        const count = setup.isTiny ? 100 : LARGE_FRAME_RECORDS;
        for (let frame = 0; frame < (setup.isTiny ? 2 : 10); frame++) {
          const records = Array.from({ length: count }, (_, index) => ({
            ts: FIRST_TS + frame * count + index,
            doc: documentName(index % 100),
            data: '{"temperature":21.5,"state":"ok"}',
            col: "large",
          }));
          await session.ask("ins", records);
        }
      }),
    ),
};

type Poll = (work: () => Promise<void>) => Promise<Waits>;

async function withServer(
  setup: Setup,
  records: number,
  { flushSeconds = 86_400 }: { flushSeconds?: number },
  work: (session: BenchSession, poll: Poll) => Promise<Waits>,
): Promise<Waits> {
  using directory = new DataDirectory();
  const args = ["--flush-interval", String(flushSeconds)];
  await using server = await MeasuredServer.start(ownServer(setup, { data: directory.path, args }));
  const documents = setup.isTiny ? 20 : Math.min(records, 20);
  using session = await server.open(loadOf(setup, { records: setup.isTiny ? 2_000 : records, documents }));
  await session.ask("ins", [{ ts: 1, ...POLLED, data: "here" }]);
  await session.run("ins_batch100");
  // Awaited here: server and directory go when this returns.
  return await work(session, async (during) => (await pollDuring(server, during)).query);
}
