import assert from "node:assert/strict";
import { readDashboard, whereChosen } from "./dashboard.ts";
import { documentedMetrics } from "./documented-metrics.ts";
import type { Metric } from "./documented-metrics.ts";
import { labelsOf, selectorsIn } from "./metric-use.ts";
import { parsePromql } from "./promql.ts";
import type { PromqlNode } from "./promql.ts";

const DATASOURCE = { type: "prometheus", uid: "${datasource}" };
/** Grafana puts what was chosen. */
const VARIABLES: Record<string, string> = { job: "a-job", instance: "a-server", kind: "a-kind", __rate_interval: "1m" };
/** Grafana 11's. */
const SCHEMA_VERSION_MIN = 39;
const PANELS_MAX = 32;
const GRID_WIDTH = 24;

describe("docs/grafana-dashboard.json", () => {
  const dashboard = readDashboard();
  let metrics: ReadonlyMap<string, Metric>;
  const panels = dashboard.panels.filter(({ type }) => type !== "row");
  const variables = dashboard.templating.list;

  before(() => {
    metrics = documentedMetrics();
  });

  it("requires Grafana 11 or newer and has a limited number of panels", () => {
    assert.ok(dashboard.schemaVersion >= SCHEMA_VERSION_MIN);
    assert.ok(panels.length >= 20 && panels.length <= PANELS_MAX, `${panels.length} panels`);
  });

  it("has variables for the data source, the service, its servers and kinds, with existing labels", () => {
    assert.deepEqual(
      variables.map(({ name }) => name),
      ["datasource", "job", "instance", "kind"],
    );
    assert.equal(variables[0]!.type, "datasource");
    for (const { name, query } of variables.slice(1)) {
      assert.ok(typeof query === "object");
      const [, metric, label] = /^label_values\((.+), (\w+)\)$/.exec(query.query)!;
      assert.equal(label, name);
      assert.ok(labelsOf(parseTarget(metric!), metrics).has(label));
    }
  });

  it("has no overlapping panels", () => {
    const places = dashboard.panels.map(({ gridPos }) => gridPos);
    assert.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length);
    for (const [index, a] of places.entries()) {
      assert.ok(a.x >= 0 && a.x + a.w <= GRID_WIDTH, dashboard.panels[index]!.title);
      for (const b of places.slice(index + 1)) {
        const overlap = a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
        assert.ok(!overlap, `${JSON.stringify(a)} lies over ${JSON.stringify(b)}`);
      }
    }
  });

  it("shows every documented metric of Spool", () => {
    const shown = new Set(
      panels
        .flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => selectorsIn(parseTarget(expr))))
        .map(({ metric }) => metric),
    );
    const isShown = (name: string) => shown.has(name) || [...shown].some((series) => baseOf(series) === baseOf(name));
    const hidden = [...metrics.keys()].filter((name) => name.startsWith("spool_") && !isShown(name));
    assert.deepEqual(hidden, []);
  });

  for (const { title, description, datasource, fieldConfig, targets = [] } of panels) {
    it(`says what is normal and has a unit: ${title}`, () => {
      assert.match(description ?? "", /\b[Nn]ormal\b/);
      assert.match(fieldConfig?.defaults.unit ?? "", /^\w+$/);
      assert.deepEqual(datasource, DATASOURCE);
    });

    it(`uses documented metrics of the chosen service: ${title}`, () => {
      assert.ok(targets.length > 0);
      for (const target of targets) {
        assert.deepEqual(target.datasource, DATASOURCE);
        const expression = parseTarget(target.expr);
        const labels = labelsOf(expression, metrics);
        const told = [...target.legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label!);
        assert.deepEqual(told.toSorted(), [...labels].toSorted(), `${target.legendFormat}: ${target.expr}`);
        for (const { metric, matchers, isRange } of selectorsIn(expression)) {
          assert.equal(isRange, metrics.get(metric)!.type !== "gauge", `${metric}, over time or not: ${target.expr}`);
          const chosen = matchers.filter(({ label }) => label in VARIABLES);
          for (const { label, value } of chosen) assert.equal(value, VARIABLES[label], target.expr);
          const isOfJob = chosen.some(({ label, operator }) => label === "job" && operator === "=");
          assert.ok(isOfJob, `${metric} of every job: ${target.expr}`);
        }
      }
    });
  }
});

function parseTarget(expr: string): PromqlNode {
  return parsePromql(whereChosen(expr, VARIABLES));
}

function baseOf(series: string): string {
  return series.replace(/_(bucket|sum|count)$/, "");
}
