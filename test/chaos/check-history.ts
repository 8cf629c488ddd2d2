import { check } from "./checker/check.ts";
import { report } from "./checker/report.ts";
import type { HistoryLine } from "./history.ts";

/** Checks a history. @returns the number of violations, and their description */
export function checkHistory(lines: readonly HistoryLine[]): { violations: number; text: string } {
  const violations = check(lines);
  return { violations: violations.length, text: report(lines, violations).trimEnd() };
}
