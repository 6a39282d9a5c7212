/**
 * Disks that fail for real under a running server: full, beyond a quota, read-only, files gone or not to be written to. Writes are
 * refused or go on, reads go on, `/readyz` says why, and when the disk is mended all goes on without a restart; what was
 * answered is there after a kill.
 */
import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { ServerProcess } from "../support/server_process.ts";
import { QuotaDisk, SmallDisk, setImmutable, whyNoQuotaDisk, whyNoSmallDisk } from "../support/small_disk.ts";
import { TemporaryFolder } from "../support/temporary_folder.ts";
import type { TestClient } from "../support/test_client.ts";

const BATCH = 10;
const KIB = 1024;
/** What a writer gives up after: more than any of these disks holds. */
const BATCHES_MAX = 2000;

/** Text that no codec makes small. */
const noise = (): string => Buffer.from(crypto.getRandomValues(new Uint8Array(1500))).toString("hex");

/** Writes batches, and knows which were answered, and which were refused. */
class Writer {
  readonly answered: number[] = [];
  readonly refused: number[] = [];
  readonly #client: TestClient;
  #next = 0;

  constructor(client: TestClient) {
    this.#client = client;
  }

  /** Resolves with the reply. */
  async write(): Promise<Record<string, unknown>> {
    const number = this.#next++;
    const records = Array.from({ length: BATCH }, (_, index) => ({
      ts: number * BATCH + index,
      doc: "d",
      col: "c",
      data: `${number} ${noise()}`,
    }));
    const reply = await this.#client.request("ins", records);
    (reply.error === undefined ? this.answered : this.refused).push(number);
    return reply;
  }

  async writeUntilRefused(): Promise<Record<string, unknown>> {
    for (let batch = 0; batch < BATCHES_MAX; batch++) {
      const reply = await this.write();
      if (reply.error !== undefined) return reply;
    }
    throw new Error("The disk took all of it");
  }

  /** All that was answered is there, nothing is there by half, and nothing that was never sent. */
  async check(client: TestClient): Promise<void> {
    const { records } = (await client.request("qdoc", { col: "c", doc: "d", from: 0, to: 1e15 })) as {
      records: { ts: number; data: string }[];
    };
    const counts = new Map<number, number>();
    for (const { ts, data } of records) {
      const number = Math.floor(ts / BATCH);
      expect(data.startsWith(`${number} `)).toBe(true);
      counts.set(number, (counts.get(number) ?? 0) + 1);
    }
    expect(this.answered.filter((number) => counts.get(number) !== BATCH)).toEqual([]);
    const known = new Set([...this.answered, ...this.refused]);
    for (const [number, count] of counts) expect([known.has(number), count]).toEqual([true, BATCH]);
  }
}

/** Resolves with what `/readyz` says when it has the status. */
async function readiness(server: ServerProcess, status: number): Promise<string> {
  for (;;) {
    const response = await fetch(`${server.url.replace("ws", "http")}/readyz`);
    const text = await response.text();
    if (response.status === status) return text;
    await Bun.sleep(10);
  }
}

type Broken = { readonly data: string; readonly disk: SmallDisk };

type Case = {
  readonly what: string;
  readonly durability?: string;
  readonly flushSeconds?: string;
  readonly hasQuota?: true;
  /** Where the small disk is, from the data directory on. */
  readonly disk: string;
  readonly damage: (broken: Broken) => void | Promise<void>;
  readonly mend: (broken: Broken) => void;
  /** What does not go on. */
  readonly fails: "writes" | "checkpoints";
  readonly reason: RegExp;
};

const collectionFile = ({ data }: Broken): string => join(data, "collections", "c.db");

function journalFile({ data }: Broken): string {
  const folder = join(data, "journal");
  return join(folder, readdirSync(folder).find((name) => name.endsWith(".log")) as string);
}

const CASES: readonly Case[] = [
  ...["always", "everysec"].map(
    (durability): Case => ({
      what: `a disk that is full, with durability ${durability}`,
      durability,
      flushSeconds: "1000",
      disk: ".",
      damage: ({ disk }) => disk.fill(200 * KIB),
      mend: ({ disk }) => disk.empty(),
      fails: "writes",
      reason: /journal.*\.log: the disk is full/,
    }),
  ),
  {
    what: "a journal that cannot be written to",
    flushSeconds: "1000",
    disk: "collections",
    damage: (broken) => setImmutable(journalFile(broken), true),
    mend: (broken) => setImmutable(journalFile(broken), false),
    fails: "writes",
    reason: /journal.*\.log: access is denied/,
  },
  {
    what: "a disk that is full for checkpoints",
    disk: "collections",
    damage: ({ disk }) => disk.fill(0),
    mend: ({ disk }) => disk.empty(),
    fails: "checkpoints",
    reason: /c\.db: the disk is full/,
  },
  {
    what: "a disk that is read-only for checkpoints",
    disk: "collections",
    damage: ({ disk }) => disk.setReadOnly(),
    mend: ({ disk }) => disk.setWritable(),
    fails: "checkpoints",
    reason: /c\.db: it (cannot be written to|cannot be opened)/,
  },
  {
    what: "a collection's file that is gone",
    disk: ".",
    damage: (broken) => renameSync(collectionFile(broken), join(broken.data, "away")),
    mend: (broken) => renameSync(join(broken.data, "away"), collectionFile(broken)),
    fails: "checkpoints",
    reason: /c\.db: it cannot be opened/,
  },
  {
    what: "a collection's file that may not be written to",
    disk: ".",
    damage: (broken) => setImmutable(collectionFile(broken), true),
    mend: (broken) => setImmutable(collectionFile(broken), false),
    fails: "checkpoints",
    reason: /c\.db: it (cannot be written to|cannot be opened)/,
  },
];

const QUOTA_CASES: readonly Case[] = [
  ...["always", "everysec"].map(
    (durability): Case => ({
      what: `a quota that is used up, with durability ${durability}`,
      durability,
      flushSeconds: "1000",
      hasQuota: true,
      disk: ".",
      damage: ({ disk }) => disk.fill(200 * KIB),
      mend: ({ disk }) => disk.empty(),
      fails: "writes",
      reason: /journal.*\.log: the disk's quota is used up/,
    }),
  ),
  {
    what: "a quota that is used up for checkpoints",
    hasQuota: true,
    disk: "collections",
    damage: ({ disk }) => disk.fill(0),
    mend: ({ disk }) => disk.empty(),
    fails: "checkpoints",
    reason: /c\.db: it (cannot be written to|cannot be opened)/,
  },
];

using probe = new TemporaryFolder();
const whyNot = whyNoSmallDisk(probe.path);
if (whyNot !== undefined) console.warn(`Failing disks are not tested: ${whyNot}`);
const whyNoQuota = whyNot ?? whyNoQuotaDisk(probe.path);
if (whyNoQuota !== undefined) console.warn(`Quotas are not tested: ${whyNoQuota}`);

const TESTED = [...(whyNot === undefined ? CASES : []), ...(whyNoQuota === undefined ? QUOTA_CASES : [])];

test.skipIf(TESTED.length === 0).each(TESTED.map((each) => [each.what, each] as const))(
  "%s: reads go on, nothing that was answered is lost, and it goes on by itself",
  async (
    _,
    { durability = "everysec", flushSeconds = "0.05", hasQuota, disk: place, damage, mend, fails, reason },
  ) => {
    using folder = new TemporaryFolder();
    const data = folder.join("data");
    mkdirSync(data);
    using disk = new (hasQuota ? QuotaDisk : SmallDisk)(join(data, place));
    const broken = { data, disk };
    const args = ["--data", data, "--durability", durability, "--flush-interval", flushSeconds];
    let writer: Writer;
    {
      await using server = await ServerProcess.start({ args });
      await using client = await server.connect();
      writer = new Writer(client);
      // Twice: the first time the collection has no file yet.
      // The second time there is more than one checkpoint, and a file that was mended.
      for (let time = 0; time < (fails === "checkpoints" ? 2 : 1); time++) {
        await writer.write();
        if (fails === "checkpoints") await saved(client);
        await damage(broken);
        if (fails === "writes") {
          const refusal = await writer.writeUntilRefused();
          expect(refusal).toMatchObject({ code: "storage_failed", error: expect.stringMatching(reason) });
          // None is taken that could not be saved.
          expect(await writer.write()).toMatchObject({ code: "storage_failed" });
        } else {
          // The journal takes them.
          expect(await writer.write()).not.toHaveProperty("error");
        }
        expect(await readiness(server, 503)).toMatch(reason);
        await writer.check(client);
        mend(broken);
        expect(await readiness(server, 200)).toBe("ready\n");
        expect(await writer.write()).not.toHaveProperty("error");
        await writer.check(client);
      }
      await server.kill("SIGKILL");
    }
    await using server = await ServerProcess.start({ args });
    await using client = await server.connect();
    await writer.check(client);
    expect(writer.answered.length).toBeGreaterThanOrEqual(2);
  },
  30_000,
);

/** Resolves when a checkpoint has saved what is there. */
async function saved(client: TestClient): Promise<void> {
  const ended = async (): Promise<number> => {
    const { stat } = (await client.request("stat", {})) as {
      stat: { uptimeMs: number; lastCheckpoint: { agoMs: number } | null };
    };
    return stat.lastCheckpoint === null ? 0 : stat.uptimeMs - stat.lastCheckpoint.agoMs;
  };
  const from = await ended();
  // The one that is under way may be past what was written; the one after it is not.
  for (let later = from, count = 0; count < 2; ) {
    await Bun.sleep(5);
    const now = await ended();
    if (now > later + 5) count++;
    later = Math.max(later, now);
  }
}
