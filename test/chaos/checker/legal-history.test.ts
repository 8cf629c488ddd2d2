import assert from "node:assert/strict";
import fc from "fast-check";
import type { HistoryLine } from "../history.ts";
import { check } from "./check.ts";
import { legalHistory } from "./model/legal-history.ts";
import { report } from "./report.ts";

const RUNS = 1_000;

const SEED = fc.integer({ min: 0, max: 2 ** 31 - 1 });

describe("a legal history", () => {
  it("gives no violation", () => {
    fc.assert(
      fc.property(SEED, fc.integer({ min: 20, max: 400 }), (seed, steps) => {
        const lines = legalHistory(seed, { steps });
        const violations = check(lines);
        assert.equal(violations.length, 0, violations.length === 0 ? "" : report(lines, violations));
      }),
      { numRuns: RUNS },
    );
  });

  it("gives no violation if the run is killed at any line", () => {
    fc.assert(
      fc.property(SEED, fc.double({ min: 0, max: 1, noNaN: true }), (seed, part) => {
        const lines = legalHistory(seed);
        const cut = lines.slice(0, Math.floor(lines.length * part));
        assert.deepEqual(check(cut), []);
      }),
      { numRuns: 200 },
    );
  });

  it("is the same for the same seed, and has every type of line", () => {
    assert.deepEqual(legalHistory(7), legalHistory(7));
    const types: Record<HistoryLine["type"], true> = {
      run: true,
      fault: true,
      start_sent: true,
      start_answered: true,
      cancel_sent: true,
      cancel_answered: true,
      delete_sent: true,
      delete_answered: true,
      read_sent: true,
      read_answered: true,
      page_sent: true,
      page_answered: true,
      result_sent: true,
      result_answered: true,
      opened: true,
      event: true,
      ended: true,
      tasks_opened: true,
      news: true,
      tasks_ended: true,
      listed: true,
      attempt: true,
      settled: true,
    };
    const found = new Set([1, 2, 3, 4, 5].flatMap((seed) => legalHistory(seed).map(({ type }) => type)));
    assert.deepEqual([...found].toSorted(), Object.keys(types).toSorted());
  });
});
