/**
 * Rounds of the power cut test: a server is recorded while devices write; then disks are made as a power cut at some
 * moment might have left them, and on each of them a server must start and have what was promised by that moment.
 */
import { expect } from "bun:test";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Durability } from "../../../src/storage/storage.ts";
import { ServerProcess } from "../../support/server_process.ts";
import { TemporaryFolder } from "../../support/temporary_folder.ts";
import { randomFrom } from "../crash_round.ts";
import { Device, type Facets } from "./device.ts";
import { Disk, FATES, type Fate, filesOf, writeDisk } from "./disk.ts";
import { Promises } from "./promise.ts";
import { buildRecorder, type Entry, readRecording, recorderEnvironment } from "./recording.ts";

const DEVICES = 3;
/** Between checkpoints; without any, the journal alone has to keep the promise. */
const FLUSH_SECONDS = { often: "0.15", never: "1000" };
/** A recording goes on until so many values of `durable` were seen: with checkpoints, and without. */
const ADVANCES: Readonly<Record<Durability, { often: number; never: number }>> = {
  always: { often: 60, never: 60 },
  everysec: { often: 10, never: 2 },
  interval: { often: 6, never: Number.POSITIVE_INFINITY },
};
/** This share of the cuts is right behind an answer. */
const BEHIND_ANSWER = 0.5;

export type PowerCutOptions = {
  readonly durability: Durability;
  readonly seed: number;
  /** So many servers are recorded, each but the first on a disk that a cut has left. */
  readonly recordings: number;
  readonly cutsARecording: number;
};

/** A device of an earlier recording, and what there was of it after the cut that ended it. */
type Settled = { readonly device: Device; readonly facets: Facets };

type Recorded = { readonly entries: readonly Entry[]; readonly devices: readonly Device[] };

export async function runPowerCuts(options: PowerCutOptions): Promise<{ promised: number }> {
  const random = randomFrom(options.seed);
  using folder = new TemporaryFolder();
  const recorder = buildRecorder(folder.path);
  let base = folder.join("disk");
  writeDisk(base, new Map());
  let settled: readonly Settled[] = [];
  let promised = 0;
  for (let recording = 0; recording < options.recordings; recording++) {
    const live = folder.join(`live-${recording}`);
    copyDisk(base, live);
    const flush = options.durability === "interval" || random() < 0.6 ? "often" : "never";
    const log = folder.join(`${recording}.log`);
    const recorded = await record(live, { ...options, recorder, flush, random, log });
    checkRecording(recorded.entries, { base, live });
    const cuts = cutsOf(recorded.entries, options.cutsARecording, random);
    const disks = cutDisks(recorded, { ...options, base, cuts, random });
    for (const [index, { left, fate, promises, at }] of disks.entries()) {
      const disk = folder.join(`disk-${recording}-${index}`);
      writeDisk(disk, left);
      const next = folder.join(`next-${recording}-${index}`);
      copyDisk(disk, next);
      const found = await check(disk, { ...options, recorded, promises, settled }).catch((cause) => {
        throw new Error(`${fate} after entry ${at} of ${recorded.entries.length}`, { cause });
      });
      promised += found.promised;
      if (index < disks.length - 1) continue;
      base = next;
      settled = [...settled, ...found.settled];
    }
  }
  return { promised };
}

type RecordOptions = PowerCutOptions & {
  readonly flush: keyof typeof FLUSH_SECONDS;
  readonly random: () => number;
  readonly recorder: string;
  readonly log: string;
};

async function record(
  live: string,
  { durability, recorder, flush, random, log }: RecordOptions,
): Promise<Recorded> {
  const env = recorderEnvironment({ recorder, log, folder: live });
  await using server = await ServerProcess.start({ args: argsFor(live, { durability, flush }), env });
  const devices = Array.from({ length: DEVICES }, () => new Device(crypto.randomUUID(), random));
  const clients = await Promise.all(devices.map(() => server.connect()));
  const enough = Promise.withResolvers<void>();
  const seen = new Set<number>();
  const onStatus = (text: string): void => {
    const { durable } = JSON.parse(text).stat.writes;
    seen.add(durable);
    if (seen.size > ADVANCES[durability][flush]) enough.resolve();
  };
  const running = devices.map((device, index) =>
    device.run(clients[index] as (typeof clients)[number], onStatus).catch((error: Error) => {
      if (!/clos/.test(error.message)) enough.reject(error);
    }),
  );
  await enough.promise;
  await server.kill("SIGKILL");
  await Promise.all(running);
  return { entries: readRecording({ log, folder: live }), devices };
}

type Mode = Pick<RecordOptions, "durability" | "flush">;

const argsFor = (folder: string, { durability, flush }: Mode): string[] => [
  ...["--data", join(folder, "data"), "--durability", durability, "--flush-interval", FLUSH_SECONDS[flush]],
];

/** All that was done must be in the recording: without a power cut it makes the files that there are. */
function checkRecording(entries: readonly Entry[], { base, live }: { base: string; live: string }): void {
  const files = contentsOf(live);
  // The last entry may tell of what did not come to be done; a write that waits for the disk by itself is two.
  const ends = entries.at(-1)?.kind === "sync begun" ? [0, 1, 2] : [0, 1];
  const made = ends.map((undone) => {
    const some = entries.slice(0, entries.length - undone);
    const disk = new Disk(base);
    for (const entry of some) disk.apply(entry);
    return disk.cut("kept", Math.random);
  });
  // And the kernel ends a write between two pages when the process is killed: its file is something in between.
  const isMade = ends.some((undone, index) => {
    const cutShort = undone === 0 ? undefined : entries.at(-undone)?.path;
    return differences(made[index] as ReadonlyMap<string, Buffer>, files).every((path) => path === cutShort);
  });
  if (!isMade) expect(differences(made[0] as ReadonlyMap<string, Buffer>, files)).toEqual([]);
}

function contentsOf(folder: string): Map<string, Buffer | undefined> {
  const entries = filesOf(folder).map((path) => [
    path,
    statSync(join(folder, path)).isFile() ? readFileSync(join(folder, path)) : undefined,
  ]);
  return new Map(entries as [string, Buffer | undefined][]);
}

/** Empty files come and go between being made and being written down. */
function differences(
  a: ReadonlyMap<string, Buffer | undefined>,
  b: ReadonlyMap<string, Buffer | undefined>,
): string[] {
  const paths = new Set([...a.keys(), ...b.keys()]);
  const none = Buffer.alloc(0);
  return [...paths].filter((path) => !(a.get(path) ?? none).equals(b.get(path) ?? none));
}

function copyDisk(from: string, to: string): void {
  writeDisk(to, contentsOf(from));
}

/** Entries before which the power goes, in order. */
function cutsOf(entries: readonly Entry[], count: number, random: () => number): number[] {
  const isAnswer = (entry: Entry | undefined): boolean => entry?.kind === "send";
  // Before the first answer nothing is promised, and there may be no data directory at all: one cut is enough.
  const first = entries.findIndex(isAnswer);
  const place = (): number => first + Math.floor(random() * (entries.length - first));
  return Array.from({ length: count }, (_, index) => {
    if (index === 0) return Math.floor(random() * entries.length);
    let at = place();
    if (random() < BEHIND_ANSWER) while (at < entries.length && !isAnswer(entries[at - 1])) at++;
    return at;
  }).sort((a, b) => a - b);
}

type Cut = {
  readonly at: number;
  readonly fate: Fate;
  readonly left: Map<string, Buffer | undefined>;
  /** Of each device. */
  readonly promises: readonly number[];
};

function cutDisks(
  { entries, devices }: Recorded,
  options: PowerCutOptions & { base: string; cuts: readonly number[]; random: () => number },
): Cut[] {
  const disk = new Disk(options.base);
  const promises = new Promises(options.durability);
  let at = 0;
  return options.cuts.map((cut, index) => {
    for (; at < cut; at++) {
      disk.apply(entries[at] as Entry);
      promises.apply(entries[at] as Entry);
    }
    const fate = FATES[(index + Math.abs(options.seed)) % FATES.length] as Fate;
    const left = disk.cut(fate, options.random);
    return { at, fate, left, promises: devices.map((device) => promises.writesOf(device)) };
  });
}

async function check(
  disk: string,
  {
    durability,
    recorded,
    promises,
    settled,
  }: PowerCutOptions & {
    recorded: Recorded;
    promises: readonly number[];
    settled: readonly Settled[];
  },
): Promise<{ promised: number; settled: Settled[] }> {
  await using server = await ServerProcess.start({ args: argsFor(disk, { durability, flush: "often" }) });
  await using client = await server.connect();
  for (const { device, facets } of settled) expect(await device.read(client)).toEqual(facets);
  const found: Settled[] = [];
  for (const [index, device] of recorded.devices.entries()) {
    const facets = await device.read(client);
    found.push({ device, facets });
    const states = [...device.states()].slice(promises[index]);
    // Without a journal each collection is as of its own last checkpoint.
    const parts = durability === "interval" ? facets.map((_, facet) => [facet]) : [[0, 1, 2]];
    for (const part of parts) {
      const isSame = (state: Facets): boolean => part.every((facet) => state[facet] === facets[facet]);
      if (states.some(isSame)) continue;
      const expected = states[0] as Facets;
      // The first state that was promised: what differs shows what is lost, or is there by half.
      expect(part.map((facet) => facets[facet])).toEqual(part.map((facet) => expected[facet]));
    }
  }
  return { promised: promises.reduce((sum, count) => sum + count, 0), settled: found };
}
