import assert from "node:assert/strict";
import type { HistoryLine } from "../history.ts";
import { check } from "./check.ts";
import { BUGS, plantBug } from "./planted/bugs.ts";
import { PROMISES } from "./promises.ts";
import type { Violation } from "./promises.ts";
import { report } from "./report.ts";
import { shorten } from "./shorten.ts";

/** How many different histories each bug is planted in. */
const HISTORIES = 3;

function shows(lines: readonly HistoryLine[], { promise, taskId, subject }: Violation): boolean {
  return check(lines).some(
    (found) => found.promise === promise && found.taskId === taskId && found.subject === subject,
  );
}

describe("the checker", () => {
  for (const bug of BUGS) {
    it(`reports that ${bug.name}, as ${bug.promise} alone, in ${bug.linesMax} lines at most`, () => {
      let from = 1;
      for (let count = 0; count < HISTORIES; count++) {
        const { lines, seed } = plantBug(bug, from);
        from = seed + 1;
        const violations = check(lines);
        assert.deepEqual([...new Set(violations.map(({ promise }) => promise))], [bug.promise], `seed ${seed}`);
        const shortest = shorten(lines, violations[0]!);
        assert.ok(shortest.lines.length <= bug.linesMax, `seed ${seed}: ${shortest.lines.length} lines`);
      }
    });
  }

  it("has a planted bug for each promise", () => {
    const broken = new Set(BUGS.map(({ promise }) => promise));
    assert.deepEqual(
      Object.keys(PROMISES).filter((promise) => !broken.has(promise as keyof typeof PROMISES)),
      [],
    );
  });
});

describe("the shortest history of a violation", () => {
  const shortened = BUGS.map((bug) => {
    const { lines } = plantBug(bug);
    const violation = check(lines)[0]!;
    return { lines, violation, shortest: shorten(lines, violation) };
  });

  it("shows the violation, and not without any one of its lines", () => {
    for (const { violation, shortest } of shortened) {
      assert.ok(shows(shortest.lines, violation));
      for (const index of shortest.lines.keys()) assert.ok(!shows(shortest.lines.toSpliced(index, 1), violation));
    }
  });

  it("is the same each time, and has lines of the history in their order", () => {
    for (const { lines, violation, shortest } of shortened) {
      assert.deepEqual(shorten(lines, violation), shortest);
      const places = shortest.lines.map((line) => lines.indexOf(line));
      assert.ok(places.every((place, index) => place >= 0 && (index === 0 || place > places[index - 1]!)));
    }
  });

  it("is printed with the promise, the task and each line", () => {
    for (const { lines, violation, shortest } of shortened) {
      const text = report(lines, [violation]);
      assert.ok(text.startsWith(`${violation.promise}: 1 violation\n  The promise: ${PROMISES[violation.promise]}\n`));
      if (violation.taskId !== null) assert.ok(text.includes(`  task ${violation.taskId}: `));
      assert.equal(text.split("\n").filter((line) => line.startsWith('    {"type":')).length, shortest.lines.length);
    }
  });
});

describe("the report of a history without a violation", () => {
  it("says so", () => {
    assert.equal(report([], check([])), "no promise was broken\n");
  });
});
