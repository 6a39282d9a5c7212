/**
 * What operators take from scripts/operations: that it speaks of what there is, and of all of it.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ERRORS } from "../src/protocol/errors.ts";
import { REFUSALS } from "../src/server/metrics.ts";
import { METRIC_TYPES } from "./support/metric_types.ts";

const read = (name: string): string => readFileSync(join(import.meta.dir, "..", name), "utf8");
const DASHBOARD = read("scripts/operations/grafana_dashboard.json");
const ALERTS = read("scripts/operations/prometheus_alerts.yml");

/** As samples are called: a histogram is three. */
const SAMPLES = new Map(
  Object.entries(METRIC_TYPES).flatMap(([name, type]) =>
    (type === "histogram" ? ["_bucket", "_sum", "_count"] : [""]).map((suffix) => [`${name}${suffix}`, name]),
  ),
);

/** The metrics that a text names. @throws when one is none */
function metricsIn(text: string): Set<string> {
  const names = [...text.matchAll(/\bfluxiondb_([a-z_]+)/g)].map(([, name]) => name as string);
  return new Set(
    names.map((name) => {
      const metric = SAMPLES.get(name);
      if (metric === undefined) throw new Error(`There is no metric fluxiondb_${name}`);
      return metric;
    }),
  );
}

type Panel = {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly datasource?: unknown;
  readonly targets?: readonly { readonly expr: string }[];
};

/** How Grafana writes a variable in a panel. */
const CHOSEN = ': {"type":"prometheus","uid":"$' + '{datasource}"}';

describe("the dashboard", () => {
  const { panels, templating } = JSON.parse(DASHBOARD) as {
    panels: readonly Panel[];
    templating: { list: readonly { name: string; type: string }[] };
  };

  test("shows every metric, and none that there is not", () => {
    const expressions = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)).join("\n");
    expect([...metricsIn(expressions)].sort()).toEqual(Object.keys(METRIC_TYPES).sort());
  });

  test("asks the data source and the servers that its reader chooses", () => {
    expect(templating.list.map(({ name, type }) => `${name}: ${type}`)).toEqual([
      "datasource: datasource",
      "instance: query",
    ]);
    for (const { type, title, datasource, targets = [] } of panels) {
      if (type === "row") continue;
      expect(`${title}: ${JSON.stringify(datasource)}`).toEndWith(CHOSEN);
      for (const { expr } of targets) expect(expr).toContain('instance=~"$instance"');
    }
  });

  test("has its panels side by side", () => {
    const cells = new Set<string>();
    for (const { title, gridPos } of panels) {
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect({ title, isTaken: cells.has(`${x} ${y}`) }).toEqual({ title, isTaken: false });
          cells.add(`${x} ${y}`);
        }
      }
    }
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  });
});

describe("the alert rules", () => {
  const expressions = [...ALERTS.matchAll(/^ +expr: (.*)$/gm)].map(([, expression]) => expression as string);

  test("are about metrics, codes and reasons that there are", () => {
    expect(expressions.length).toBeGreaterThan(8);
    expect(metricsIn(expressions.join("\n")).size).toBeGreaterThan(6);
    for (const [, code] of ALERTS.matchAll(/code="([^"]*)"/g))
      expect(Object.keys(ERRORS)).toContain(code as string);
    for (const [, reason] of ALERTS.matchAll(/reason="([^"]*)"/g)) {
      expect(REFUSALS as readonly string[]).toContain(reason as string);
    }
  });

  test("each say how bad it is and what to do", () => {
    for (const part of ["severity: (?:critical|warning)", 'summary: ".+"', 'description: ".+"']) {
      expect(ALERTS.match(new RegExp(part, "g"))).toHaveLength(expressions.length);
    }
  });
});
