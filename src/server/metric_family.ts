/**
 * Metrics as Prometheus' text format has them: a family is a name, what it means, its type and its samples.
 *
 *     # HELP fluxiondb_requests_total Messages by type
 *     # TYPE fluxiondb_requests_total counter
 *     fluxiondb_requests_total{type="ins"} 5
 *
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 */

import { neverInline } from "../engine/never_inline.ts";

export type Labels = Readonly<Record<string, string>>;
/** `name`: what stands behind the family's. */
export type Sample = { readonly name?: string; readonly labels?: Labels; readonly value: number };

/** Upper bounds in milliseconds; what is longer counts in the total only. */
const BUCKETS_MS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500];

/** How often something took how long. */
export class Histogram {
  static {
    neverInline(Histogram.prototype.observe);
  }

  readonly #counts = BUCKETS_MS.map(() => 0);
  #count = 0;
  #sumMs = 0;

  observe(ms: number): void {
    this.#count++;
    this.#sumMs += ms;
    let bucket = 0;
    while (bucket < BUCKETS_MS.length && ms > (BUCKETS_MS[bucket] as number)) bucket++;
    if (bucket < BUCKETS_MS.length) (this.#counts[bucket] as number)++;
  }

  /** In seconds; each bucket counts what is in those before it too. */
  samples(labels: Labels): Sample[] {
    let below = 0;
    const buckets = this.#counts.map((each, index): Sample => {
      below += each;
      const le = String((BUCKETS_MS[index] as number) / 1000);
      return { name: "_bucket", labels: { ...labels, le }, value: below };
    });
    return [
      ...buckets,
      { name: "_bucket", labels: { ...labels, le: "+Inf" }, value: this.#count },
      { name: "_sum", labels, value: this.#sumMs / 1000 },
      { name: "_count", labels, value: this.#count },
    ];
  }
}

export const gauge = (name: string, help: string, value: number, labels: Labels = {}): string =>
  family(name, "gauge", help, [{ value, labels }]);

export const counter = (name: string, help: string, samples: readonly Sample[]): string =>
  family(name, "counter", help, samples);

export function family(
  name: string,
  type: "counter" | "gauge" | "histogram",
  help: string,
  samples: readonly Sample[],
): string {
  const full = `fluxiondb_${name}`;
  const lines = samples.map(
    (sample) => `${full}${sample.name ?? ""}${renderLabels(sample.labels)} ${sample.value}\n`,
  );
  return `# HELP ${full} ${help}\n# TYPE ${full} ${type}\n${lines.join("")}`;
}

function renderLabels(labels: Labels = {}): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

const escapeLabel = (value: string): string =>
  value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
