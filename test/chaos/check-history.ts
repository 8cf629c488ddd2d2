import type { HistoryLine } from "./history.ts";

/** The checker, which knows nothing of the harness. */
interface Checker<Violation> {
  check(lines: Iterable<HistoryLine>): Violation[];
  /** Describes violations, each with the shortest history that shows it. */
  report(lines: readonly HistoryLine[], violations: readonly Violation[]): string;
}

/** Checks a history. @returns the number of violations, and their description */
export async function checkHistory(lines: readonly HistoryLine[]): Promise<{ violations: number; text: string }> {
  const load = (file: string) => import(new URL(`checker/${file}`, import.meta.url).href) as Promise<Checker<unknown>>;
  const [{ check }, { report }] = await Promise.all([load("check.ts"), load("report.ts")]);
  const violations = check(lines);
  return { violations: violations.length, text: report(lines, violations).trimEnd() };
}
