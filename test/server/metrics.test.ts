import { expect, test } from "bun:test";
import { MESSAGE_TYPES } from "../../src/protocol/messages.ts";
import { Metrics } from "../../src/server/metrics.ts";
import { parsePrometheus } from "../support/prometheus_text.ts";

const STATUS = {
  version: '1 "x" \\ \n',
  commit: "abc",
  uptimeMs: 1000,
  collections: 1,
  documents: 2,
  records: 3,
  keyValues: 4,
  connections: 0,
  memory: { usedBytes: 5, limitBytes: 6, residentBytes: 7 },
  writes: null,
  durability: "everysec",
  disk: { dataBytes: 8, journalBytes: 9 },
  lastCheckpoint: null,
} as const;

const samples = (metrics: Metrics) =>
  [...parsePrometheus(metrics.render(STATUS, { isReady: true })).values()].flatMap(
    (family) => family.samples,
  );

test("durations fall into buckets that count all below them", () => {
  const metrics = new Metrics();
  for (const ms of [0.01, 0.05, 0.06, 3, 4, 9999]) metrics.duration(MESSAGE_TYPES.indexOf("qry"), ms);
  const buckets = samples(metrics).filter(({ name }) => name === "fluxiondb_request_duration_seconds_bucket");
  const counts = Object.fromEntries(buckets.map(({ labels, value }) => [labels.le, value]));
  expect(counts).toMatchObject({ "0.00005": 2, "0.0001": 3, "0.0025": 3, "0.005": 5, "2.5": 5, "+Inf": 6 });
});

test("the journal's lag is that of the commit that is under way, however often it is tried", () => {
  let nowMs = 0;
  const metrics = new Metrics(() => nowMs);
  const value = (name: string) => samples(metrics).find((each) => each.name === `fluxiondb_${name}`)?.value;
  expect(value("journal_lag_seconds")).toBe(0);
  metrics.commitBegan();
  nowMs = 1000;
  metrics.commitBegan();
  nowMs = 3000;
  expect(value("journal_lag_seconds")).toBe(3);
  metrics.commitEnded();
  expect(value("journal_lag_seconds")).toBe(0);
  expect(value("commit_duration_seconds_sum")).toBe(3);
  expect(value("commit_duration_seconds_count")).toBe(1);
});

test("labels hold any text", () => {
  const [info] = samples(new Metrics()).filter(({ name }) => name === "fluxiondb_build_info");
  expect(info?.labels.version).toBe('1 \\"x\\" \\\\ \\n');
});
