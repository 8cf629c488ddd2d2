import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { promtool } from "./support/promtool.ts";

interface AlertCases {
  tests: { alert_rule_test: { alertname: string; exp_alerts: object[] }[] }[];
}

const ALERTS = join(import.meta.dirname, "../../docs/alerts.yaml");

describe("docs/alerts.yaml in promtool", () => {
  const files = globSync(join(import.meta.dirname, "alarms/*.yaml")).sort();
  const cases = files.flatMap((file) =>
    (parse(readFileSync(file, "utf8")) as AlertCases).tests.flatMap((test) => test.alert_rule_test),
  );
  const { groups } = parse(readFileSync(ALERTS, "utf8")) as { groups: { rules: { alert: string }[] }[] };

  it("passes the check of rules", () => {
    promtool(["check", "rules", "--lint=all", "--lint-fatal", ALERTS]);
  });

  it("has test series that raise each alarm, and series that do not", () => {
    for (const { alert } of groups.flatMap(({ rules }) => rules)) {
      const isThere = cases.filter(({ alertname }) => alertname === alert).map((one) => one.exp_alerts.length > 0);
      assert.deepEqual(new Set(isThere), new Set([true, false]), alert);
    }
  });

  for (const file of files) {
    it(`raises the expected alarms with the expected texts: ${file.split("/").at(-1)}`, () => {
      promtool(["test", "rules", file]);
    });
  }
});
