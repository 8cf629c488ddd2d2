import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { CHECK_NAMES } from "../../src/doctor/check.ts";
import { documentedMetrics, readOperating } from "./documented-metrics.ts";
import type { Metric } from "./documented-metrics.ts";
import { labelsOf } from "./metric-use.ts";
import { parsePromql } from "./promql.ts";

interface Alert {
  alert: string;
  expr: string;
  for: string;
  labels: { severity: string };
  annotations: { summary: string; description: string; runbook: string };
}

const ROOT = join(import.meta.dirname, "../..");
/** A quoted line of the log, `component: event`, or a quoted message of at least three words. */
const LINE = /`([a-z-]+: [a-z][^`]*|(?!npx )[a-z']+(?: [a-z']+){2,})`/g;

describe("docs/alerts.yaml", () => {
  const { groups } = parse(readFileSync(join(ROOT, "docs/alerts.yaml"), "utf8")) as {
    groups: { name: string; rules: Alert[] }[];
  };
  const alerts = groups.flatMap(({ rules }) => rules);
  let metrics: ReadonlyMap<string, Metric>;
  /** The paragraphs of "### Alarms", by their heading. */
  const [, alarms = ""] = /^### Alarms$([^]*?)^## /m.exec(readOperating()) ?? [];
  const described = new Map(
    [...alarms.matchAll(/^#### (\w+)\n\*(\w+)\.\*/gm)].map(([, name, severity]) => [name, severity]),
  );

  before(() => {
    metrics = documentedMetrics();
  });

  it("has alarms in groups, with unique names", () => {
    assert.ok(alerts.length >= 15);
    for (const names of [groups.map(({ name }) => name), alerts.map(({ alert }) => alert)]) {
      assert.deepEqual(names, [...new Set(names)]);
    }
  });

  it("is described in docs/operating.md with the same alarms, order and severities", () => {
    assert.deepEqual(
      [...described],
      alerts.map(({ alert, labels }) => [alert, labels.severity]),
    );
  });

  it("is described in docs/operating.md with quoted lines that exist in the source", () => {
    const quoted = [...readOperating().matchAll(LINE)].map(([, line]) => line!);
    assert.ok(quoted.length >= 20);
    const sources = globSync("src/**/*.ts", { cwd: ROOT }).map((file) => readFileSync(join(ROOT, file), "utf8"));
    const missing = quoted.filter((line) => !sources.some((source) => source.includes(line)));
    assert.deepEqual(missing, []);
  });

  it("is described with checks that the doctor makes", () => {
    const checks = [...alarms.matchAll(/`spool doctor`, `(\w+)`/g)].map(([, name]) => name!);
    assert.ok(checks.length >= 10);
    assert.deepEqual(
      checks.filter((name) => !CHECK_NAMES.some((known) => known === name)),
      [],
    );
  });

  it("is described with links to existing headings", () => {
    const headings = [...readOperating().matchAll(/^#+ (.+)$/gm)].map(([, text]) =>
      text!.toLowerCase().replaceAll(" ", "-"),
    );
    const links = [...readOperating().matchAll(/\]\(#([^)]+)\)/g)].map(([, anchor]) => anchor!);
    assert.ok(links.length >= 10);
    assert.deepEqual(
      links.filter((anchor) => !headings.includes(anchor)),
      [],
    );
  });

  for (const { alert, expr, annotations, labels, ...rest } of alerts) {
    it(`uses documented metrics: ${alert}`, () => {
      assert.doesNotThrow(() => labelsOf(parsePromql(expr), metrics));
    });

    it(`has a severity, a value and a runbook: ${alert}`, () => {
      assert.deepEqual(Object.keys(rest), ["for"]);
      assert.match(rest.for, /^\d+[mh]$/);
      assert.deepEqual(Object.keys(labels), ["severity"]);
      assert.match(labels.severity, /^(page|ticket)$/);
      assert.deepEqual(Object.keys(annotations), ["summary", "description", "runbook"]);
      assert.match(annotations.description, /\{\{ \$value\b/);
      assert.equal(annotations.runbook, `docs/operating.md#${alert.toLowerCase()}`);
      const known = labelsOf(parsePromql(expr), metrics);
      const told = Object.values(annotations).flatMap((text) => [...text.matchAll(/\$labels\.(\w+)/g)]);
      for (const [, label] of told) assert.ok(known.has(label!), `${label} is no label of it: ${[...known].join()}`);
    });
  }
});
