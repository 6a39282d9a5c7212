/**
 * What the server has counted since its start, in Prometheus' text format.
 *
 * Counting is on the way of every message, so it is plain numbers; text is made when it is asked for. The clock is
 * looked at for some messages only (see dispatch.ts), and the histogram of requests is of these.
 */
import { neverInline } from "../engine/never_inline.ts";
import type { ErrorCode } from "../protocol/errors.ts";
import { MESSAGE_TYPES, type MessageType } from "../protocol/messages.ts";
import type { ServerStatus } from "../protocol/server_status.ts";
import type { CommitObserver } from "../storage/storage.ts";
import { counter, family, gauge, Histogram, type Labels } from "./metric_family.ts";

/** A frame without a known type, or a commit, which is of many messages. */
const UNKNOWN = "unknown";
/** There from the start: of what appears with its first error, Prometheus does not see that it has increased. */
const ALARMING = ["storage_failed", "memory_full", "internal"] as const satisfies readonly ErrorCode[];
/** Why somebody was not let in. */
export const REFUSALS = ["api_key", "expired_key", "origin", "limit"] as const;
export type RefusalReason = (typeof REFUSALS)[number];

export class Metrics implements CommitObserver {
  readonly #nowMs: () => number;
  readonly #requests = new Float64Array(MESSAGE_TYPES.length);
  readonly #errors = new Map<string, { readonly labels: Labels; value: number }>();
  /** By type; behind these, of frames without a known one. From the first of each on. */
  readonly #durations: (Histogram | undefined)[] = Array.from({ length: MESSAGE_TYPES.length + 1 });
  readonly #commits = new Histogram();
  readonly #loopDelays = new Histogram();
  readonly #refused = Object.fromEntries(REFUSALS.map((each) => [each, 0])) as Record<RefusalReason, number>;
  #connections = 0;
  #checkpoints = 0;
  #checkpointFailures = 0;
  /** When the commit that is under way, or is tried again and again, began. */
  #commitSinceMs: number | undefined;

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
    neverInline(this.#addDurations);
    for (const code of ALARMING) for (const type of [...MESSAGE_TYPES, undefined]) this.#errorsOf(type, code);
  }

  request(typeNumber: number): void {
    this.#requests[typeNumber] = (this.#requests[typeNumber] as number) + 1;
  }

  failure(type: MessageType | undefined, code: ErrorCode): void {
    this.#errorsOf(type, code).value++;
  }

  #errorsOf(type: MessageType | undefined, code: ErrorCode): { readonly labels: Labels; value: number } {
    const key = `${type} ${code}`;
    let entry = this.#errors.get(key);
    if (entry === undefined) {
      entry = { labels: { type: type ?? UNKNOWN, code }, value: 0 };
      this.#errors.set(key, entry);
    }
    return entry;
  }

  /** Without a number, of a frame without a known type. */
  duration(typeNumber: number | undefined, ms: number): void {
    const place = typeNumber ?? MESSAGE_TYPES.length;
    (this.#durations[place] ?? this.#addDurations(place)).observe(ms);
  }

  #addDurations(place: number): Histogram {
    const durations = new Histogram();
    this.#durations[place] = durations;
    return durations;
  }

  connected(): void {
    this.#connections++;
  }

  refused(reason: RefusalReason): void {
    this.#refused[reason]++;
  }

  loopDelay(ms: number): void {
    this.#loopDelays.observe(ms);
  }

  commitBegan(): void {
    this.#commitSinceMs ??= this.#nowMs();
  }

  commitEnded(): void {
    if (this.#commitSinceMs === undefined) return;
    this.#commits.observe(this.#nowMs() - this.#commitSinceMs);
    this.#commitSinceMs = undefined;
  }

  checkpointEnded(): void {
    this.#checkpoints++;
  }

  checkpointFailed(): void {
    this.#checkpointFailures++;
  }

  render(status: ServerStatus, { isReady }: { readonly isReady: boolean }): string {
    return [
      gauge("ready", "Whether /readyz says so", isReady ? 1 : 0),
      ...this.#statusFamilies(status),
      ...this.#requestFamilies(),
      ...this.#diskFamilies(status),
    ].join("");
  }

  #statusFamilies(status: ServerStatus): string[] {
    const { memory, version, commit, durability } = status;
    return [
      gauge("build_info", "What runs: always 1", 1, { version, commit, durability }),
      gauge("uptime_seconds", "Time since the start", status.uptimeMs / 1000),
      gauge("collections", "Collections", status.collections),
      gauge("documents", "Documents", status.documents),
      gauge("records", "Records", status.records),
      gauge("key_values", "Key-values", status.keyValues),
      gauge("connections", "Connections that are open", status.connections),
      gauge("memory_used_bytes", "Records and caches", memory.usedBytes),
      gauge("memory_limit_bytes", "What records and caches may take", memory.limitBytes),
      gauge("memory_resident_bytes", "Memory of the whole process", memory.residentBytes),
      counter("cpu_seconds_total", "CPU time of the whole process", [{ value: cpuSeconds() }]),
    ];
  }

  #requestFamilies(): string[] {
    const requests = MESSAGE_TYPES.map((type, at) => ({
      labels: { type },
      value: this.#requests[at] as number,
    }));
    const refused = REFUSALS.map((reason) => ({ labels: { reason }, value: this.#refused[reason] }));
    const durations = this.#durations.flatMap(
      (each, at) => each?.samples({ type: MESSAGE_TYPES[at] ?? UNKNOWN }) ?? [],
    );
    return [
      counter("requests_total", "Messages by type", requests),
      counter("request_errors_total", "Error replies by type and code", [...this.#errors.values()]),
      family("request_duration_seconds", "histogram", DURATION_HELP, durations),
      counter("connections_total", "Connections that were made", [{ value: this.#connections }]),
      counter("connections_refused_total", "Who was not let in, and why: API keys, origins, limits", refused),
      family("event_loop_delay_seconds", "histogram", LOOP_DELAY_HELP, this.#loopDelays.samples({})),
    ];
  }

  /** None where data is in memory only. */
  #diskFamilies({ disk, lastCheckpoint }: ServerStatus): string[] {
    if (disk === null) return [];
    const lagMs = this.#commitSinceMs === undefined ? 0 : this.#nowMs() - this.#commitSinceMs;
    return [
      gauge("disk_data_bytes", "Files of collections", disk.dataBytes),
      gauge(
        "disk_journal_bytes",
        "The journal, with files kept to be used again, and the catalog",
        disk.journalBytes,
      ),
      gauge(
        "journal_lag_seconds",
        "How long the oldest write that is not committed has waited",
        lagMs / 1000,
      ),
      family("commit_duration_seconds", "histogram", COMMIT_HELP, this.#commits.samples({})),
      counter("checkpoints_total", "Checkpoints that ended well", [{ value: this.#checkpoints }]),
      counter("checkpoint_failures_total", "Checkpoints that failed", [{ value: this.#checkpointFailures }]),
      ...(lastCheckpoint === null
        ? []
        : [
            gauge("checkpoint_age_seconds", "Since the last checkpoint ended", lastCheckpoint.agoMs / 1000),
            gauge("checkpoint_duration_seconds", "How long it took", lastCheckpoint.tookMs / 1000),
          ]),
    ];
  }
}

const DURATION_HELP =
  "Time in the server's hands, without waiting for the disk; of small ins, sval and gval, of one in 64";

const LOOP_DELAY_HELP = "How late a timer came, ten times a second: what a request may wait for others";
const COMMIT_HELP = "From a group of writes to its commit, which their replies wait for";

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
