import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Finding } from "../../src/doctor/check.ts";
import { evaluateHorizon, evaluateVacuum } from "../../src/doctor/evaluate-vacuum.ts";
import type { HorizonHolder, TableHealth } from "../../src/store/reports/vacuum-health.ts";

const horizon = (parts: Partial<HorizonHolder>): HorizonHolder => ({
  type: "session",
  name: "7",
  who: "psql, me",
  forMs: 0,
  xids: 0,
  ...parts,
});
const health = (parts: Partial<TableHealth>): TableHealth => ({
  table: "tasks",
  deadRows: 0,
  deadRowsMax: 1_000,
  vacuumedMs: null,
  isAutovacuumOff: false,
  unfrozenXids: 0,
  ...parts,
});

const CASES: Record<string, [status: Finding["status"], finding: Finding, found: RegExp][]> = {
  "what holds vacuum back": [
    ["ok", evaluateHorizon([]), /nothing holds back/],
    ["ok", evaluateHorizon([horizon({ forMs: 299_999 })]), /nothing holds back/],
    ["warn", evaluateHorizon([horizon({ forMs: 300_000 })]), /session 7 \(psql, me\) keeps dead rows .* for 5 min/],
    ["fail", evaluateHorizon([horizon({ forMs: 300_000 }), horizon({ forMs: 3_600_000 })]), /and 1 more/],
    [
      "warn",
      evaluateHorizon([horizon({ type: "prepared transaction", name: "tpc", who: "", forMs: 600_000 })]),
      /transaction tpc/,
    ],
    ["ok", evaluateHorizon([horizon({ type: "replication slot", forMs: null, xids: 999_999 })]), /nothing/],
    [
      "warn",
      evaluateHorizon([horizon({ type: "replication slot", forMs: null, xids: 1_000_000 })]),
      /1,000,000 transactions/,
    ],
    [
      "fail",
      evaluateHorizon([horizon({ type: "replication slot", forMs: null, xids: 50_000_000 })]),
      /replication slot/,
    ],
  ],
  "the rows that vacuum has to remove": [
    ["ok", evaluateVacuum([]), /0 dead rows/],
    ["ok", evaluateVacuum([health({ deadRows: 99_999, deadRowsMax: 10 })]), /99,999 dead rows/],
    ["ok", evaluateVacuum([health({ deadRows: 499_999, deadRowsMax: 100_000 })]), /499,999 dead rows/],
    [
      "warn",
      evaluateVacuum([health({ deadRows: 500_000, deadRowsMax: 100_000, vacuumedMs: 7_200_000 })]),
      /tasks has 500,000 dead rows.* from 100,000 on; last vacuum 2 h/,
    ],
    ["warn", evaluateVacuum([health({ deadRows: 100_000, deadRowsMax: 10 })]), /no vacuum yet/],
    ["warn", evaluateVacuum([health({ isAutovacuumOff: true })]), /autovacuum is off for tasks/],
    ["ok", evaluateVacuum([health({ unfrozenXids: 499_999_999 })]), /dead rows/],
    ["warn", evaluateVacuum([health({ unfrozenXids: 500_000_000 })]), /tasks has rows .* 500 million/],
    ["fail", evaluateVacuum([health({ unfrozenXids: 1_500_000_000 })]), /1,500 million/],
  ],
};

describe("the doctor's evaluation of vacuum", () => {
  for (const [of, cases] of Object.entries(CASES)) {
    it(`of ${of} changes its status at the bounds`, () => {
      for (const [status, finding, found] of cases) {
        assert.equal(finding.status, status, finding.found);
        assert.match(finding.found, found);
      }
    });
  }

  it("names a section of docs/operating.md in every piece of advice", async () => {
    const docs = await readFile(join(import.meta.dirname, "../../docs/operating.md"), "utf8");
    for (const [, finding] of Object.values(CASES).flat()) {
      if (finding.status === "ok") continue;
      assert.ok(docs.includes(`\n## ${finding.section}\n`), `${finding.section} is not a section`);
    }
  });
});
