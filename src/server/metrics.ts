/**
 * What the server has counted since its start, in Prometheus' text format.
 *
 * Counting is on the way of every message, so it is plain numbers; text is made when it is asked for. The clock is
 * looked at for some messages only (see dispatch.ts), and the histograms are of these.
 *
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 */
import type { ErrorCode } from "../protocol/errors.ts";
import { MESSAGES, type MessageType } from "../protocol/messages.ts";
import type { ServerStatus } from "../protocol/server_status.ts";

/** Upper bounds in milliseconds; what is longer counts in the total only. */
const BUCKETS_MS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500];

type Histogram = { readonly counts: number[]; count: number; sumMs: number };
type Labels = Readonly<Record<string, string>>;
type Sample = { readonly name?: string; readonly labels?: Labels; readonly value: number };

const TYPES = Object.keys(MESSAGES) as MessageType[];
/** A frame without a known type, or a commit, which is of many messages. */
const UNKNOWN = "unknown";

/** Shown also before the first of them. */
const FAILED_LOGINS = ["Missing API key parameter", "Unknown API key", "API key expired"];

export class Metrics {
  readonly #requests = Object.fromEntries(TYPES.map((type) => [type, 0])) as Record<MessageType, number>;
  readonly #errors = new Map<string, { readonly labels: Labels; value: number }>();
  readonly #durations = new Map<string, Histogram>();
  #connections = 0;
  #refused = 0;
  readonly #failedLogins = new Map<string, number>(FAILED_LOGINS.map((reason) => [reason, 0]));
  #loopDelayMs = 0;
  #loopDelayMaxMs = 0;

  request(type: MessageType): void {
    this.#requests[type]++;
  }

  failure(type: MessageType | undefined, code: ErrorCode): void {
    const key = `${type} ${code}`;
    const entry = this.#errors.get(key);
    if (entry === undefined) this.#errors.set(key, { labels: { type: type ?? UNKNOWN, code }, value: 1 });
    else entry.value++;
  }

  duration(type: MessageType | undefined, ms: number): void {
    const name = type ?? UNKNOWN;
    let histogram = this.#durations.get(name);
    if (histogram === undefined) {
      histogram = { counts: BUCKETS_MS.map(() => 0), count: 0, sumMs: 0 };
      this.#durations.set(name, histogram);
    }
    histogram.count++;
    histogram.sumMs += ms;
    const bucket = BUCKETS_MS.findIndex((limit) => ms <= limit);
    if (bucket >= 0) (histogram.counts[bucket] as number)++;
  }

  connected(): void {
    this.#connections++;
  }

  refused(): void {
    this.#refused++;
  }

  /** `reason` is what the client is told. */
  loginFailed(reason: string): void {
    this.#failedLogins.set(reason, (this.#failedLogins.get(reason) ?? 0) + 1);
  }

  loopDelay(ms: number): void {
    this.#loopDelayMs = ms;
    this.#loopDelayMaxMs = Math.max(this.#loopDelayMaxMs, ms);
  }

  /** The longest delay is that since the last call. */
  render(status: ServerStatus): string {
    const text = [...this.#statusFamilies(status), ...this.#ownFamilies()].join("");
    this.#loopDelayMaxMs = 0;
    return text;
  }

  #statusFamilies(status: ServerStatus): string[] {
    const { memory, disk, lastCheckpoint, version, commit, durability } = status;
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
      ...(disk === null
        ? []
        : [
            gauge("disk_data_bytes", "Files of collections", disk.dataBytes),
            gauge("disk_journal_bytes", "The journal, which the next checkpoint cuts", disk.journalBytes),
          ]),
      ...(lastCheckpoint === null
        ? []
        : [
            gauge("checkpoint_age_seconds", "Since the last checkpoint ended", lastCheckpoint.agoMs / 1000),
            gauge("checkpoint_duration_seconds", "How long it took", lastCheckpoint.tookMs / 1000),
          ]),
    ];
  }

  #ownFamilies(): string[] {
    const requests = TYPES.map((type) => ({ labels: { type }, value: this.#requests[type] }));
    return [
      family("requests_total", "counter", "Messages by type", requests),
      family("request_errors_total", "counter", "Error replies by type and code", [...this.#errors.values()]),
      family("request_duration_seconds", "histogram", DURATION_HELP, this.#durationSamples()),
      family("connections_total", "counter", "Connections that were made", [{ value: this.#connections }]),
      family("connections_refused_total", "counter", "Connections that were refused", [
        { value: this.#refused },
      ]),
      family(
        "failed_logins_total",
        "counter",
        "API keys that were refused, for connections and over HTTP",
        Array.from(this.#failedLogins, ([reason, value]) => ({ labels: { reason }, value })),
      ),
      gauge("event_loop_delay_seconds", "How late a timer came, last", this.#loopDelayMs / 1000),
      gauge(
        "event_loop_delay_max_seconds",
        "The same, the longest since the last scrape",
        this.#loopDelayMaxMs / 1000,
      ),
    ];
  }

  #durationSamples(): Sample[] {
    return Array.from(this.#durations, ([type, { counts, count, sumMs }]) => {
      let below = 0;
      const buckets = counts.map((each, index): Sample => {
        below += each;
        const le = String((BUCKETS_MS[index] as number) / 1000);
        return { name: "_bucket", labels: { type, le }, value: below };
      });
      return [
        ...buckets,
        { name: "_bucket", labels: { type, le: "+Inf" }, value: count },
        { name: "_sum", labels: { type }, value: sumMs / 1000 },
        { name: "_count", labels: { type }, value: count },
      ];
    }).flat();
  }
}

const DURATION_HELP =
  "Time in the server's hands, without waiting for the disk; of small ins, sval and gval, of one in 64";

const gauge = (name: string, help: string, value: number, labels?: Labels): string =>
  family(name, "gauge", help, [{ value, ...(labels && { labels }) }]);

function family(name: string, type: string, help: string, samples: readonly Sample[]): string {
  const full = `fluxiondb_${name}`;
  const lines = samples.map(
    (sample) => `${full}${sample.name ?? ""}${renderLabels(sample.labels)} ${sample.value}\n`,
  );
  return `# HELP ${full} ${help}\n# TYPE ${full} ${type}\n${lines.join("")}`;
}

function renderLabels(labels: Labels | undefined): string {
  if (labels === undefined) return "";
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return `{${pairs.join(",")}}`;
}

const escapeLabel = (value: string): string =>
  value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
