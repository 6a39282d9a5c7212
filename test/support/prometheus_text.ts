/**
 * Reads Prometheus' text format as strictly as its definition allows, and throws at whatever is not of it.
 */

export type Sample = {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
};
export type Family = { readonly type: string; readonly help: string; readonly samples: Sample[] };

const HELP = /^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) ((?:[^\\]|\\\\|\\n)+)$/;
const TYPE = /^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram|summary|untyped)$/;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\\\|\\"|\\n)*)"(?:,|$)/y;
const VALUE = /^(?:[+-]?(?:[0-9]+(?:\.[0-9]*)?(?:e[+-]?[0-9]+)?|Inf)|NaN)$/;
const SUFFIXES: Readonly<Record<string, readonly string[]>> = { histogram: ["_bucket", "_sum", "_count"] };

export function parsePrometheus(text: string): Map<string, Family> {
  if (!text.endsWith("\n")) throw new Error("The last line has no end");
  const families = new Map<string, Family>();
  let current: { name: string; help: string; family?: Family } | undefined;
  for (const line of text.slice(0, -1).split("\n")) {
    const help = HELP.exec(line);
    const type = TYPE.exec(line);
    if (help !== null) {
      const [, name = "", meaning = ""] = help;
      if (families.has(name)) throw new Error(`${name} comes twice`);
      current = { name, help: meaning };
    } else if (type !== null) {
      const [, name = "", kind = ""] = type;
      if (current?.name !== name || current.family)
        throw new Error(`The type does not follow the help: ${line}`);
      current.family = { type: kind, help: current.help, samples: [] };
      families.set(name, current.family);
    } else {
      if (current?.family === undefined) throw new Error(`A sample of no family: ${line}`);
      addSample(current.name, current.family, readSample(line));
    }
  }
  for (const [name, family] of families) checkFamily(name, family);
  return families;
}

function readSample(line: string): Sample {
  const [, name = "", labelText = "", value = ""] = SAMPLE.exec(line) ?? [];
  if (name === "" || !VALUE.test(value)) throw new Error(`No sample: ${line}`);
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < labelText.length) {
    const [, label, content] = LABEL.exec(labelText) ?? [];
    if (label === undefined || content === undefined) throw new Error(`No labels: ${line}`);
    if (Object.hasOwn(labels, label)) throw new Error(`A label comes twice: ${line}`);
    labels[label] = content;
  }
  return { name, labels, value: Number(value.replace("Inf", "Infinity")) };
}

function addSample(name: string, { type, samples }: Family, sample: Sample): void {
  if (!(SUFFIXES[type] ?? [""]).some((suffix) => sample.name === name + suffix)) {
    throw new Error(`${sample.name} stands with ${name}`);
  }
  if (samples.some((other) => identity(other) === identity(sample))) {
    throw new Error(`${identity(sample)} comes twice`);
  }
  samples.push(sample);
}

const identity = ({ name, labels }: Sample): string =>
  `${name}${JSON.stringify(Object.entries(labels).sort())}`;

function checkFamily(name: string, { type, samples }: Family): void {
  if (type === "counter") {
    if (!name.endsWith("_total")) throw new Error(`The counter ${name} does not end with _total`);
    if (samples.some(({ value }) => !(value >= 0))) throw new Error(`${name} is below zero`);
  }
  if (type !== "histogram") return;
  const series = new Map<string, Sample[]>();
  for (const sample of samples) {
    const key = JSON.stringify(Object.entries(sample.labels).filter(([label]) => label !== "le"));
    series.set(key, [...(series.get(key) ?? []), sample]);
  }
  for (const each of series.values()) checkHistogram(name, each);
}

function checkHistogram(name: string, samples: readonly Sample[]): void {
  const [count] = samples.filter((each) => each.name === `${name}_count`);
  const [sum] = samples.filter((each) => each.name === `${name}_sum`);
  const buckets = samples.filter((each) => each.name === `${name}_bucket`);
  if (count === undefined || sum === undefined) throw new Error(`${name} has no count or no sum`);
  let below = 0;
  let bound = Number.NEGATIVE_INFINITY;
  for (const { labels, value } of buckets) {
    const le = Number(labels.le?.replace("Inf", "Infinity"));
    if (!(le > bound)) throw new Error(`The bounds of ${name} do not rise`);
    if (value < below) throw new Error(`The buckets of ${name} are not cumulative`);
    bound = le;
    below = value;
  }
  if (bound !== Number.POSITIVE_INFINITY) throw new Error(`${name} has no last bucket`);
  if (below !== count.value) throw new Error(`${name} counts ${count.value}, and its buckets ${below}`);
}
