import type { HistoryLine } from "../history.ts";
import type { Violation } from "./promises.ts";
import { PROMISES } from "./promises.ts";
import { shorten } from "./shorten.ts";

/** How many violations of one promise are printed in full. */
const SHOWN_MAX = 3;
/** Characters of a printed line. */
const LINE_CHARS_MAX = 300;

/** Returns violations as text: each with its name, a sentence, its task and the shortest history that shows it. */
export function report(lines: readonly HistoryLine[], violations: readonly Violation[]): string {
  if (violations.length === 0) return "no promise was broken\n";
  const text: string[] = [];
  for (const [promise, found] of Map.groupBy(violations, (violation) => violation.promise)) {
    text.push(`${promise}: ${found.length === 1 ? "1 violation" : `${found.length} violations`}`);
    text.push(`  The promise: ${PROMISES[promise]}`);
    for (const each of found.slice(0, SHOWN_MAX)) {
      const shortest = shorten(lines, each);
      const { taskId, message } = shortest.violation;
      text.push(`  ${taskId === null ? "" : `task ${taskId}: `}${message}`);
      text.push(...shortest.lines.map((line) => `    ${lineText(line)}`));
    }
    if (found.length > SHOWN_MAX) text.push(`  and ${found.length - SHOWN_MAX} more`);
  }
  return `${text.join("\n")}\n`;
}

/** Returns a line of the history as the history file has it, without the middle of what is long. */
function lineText(line: HistoryLine): string {
  const text = JSON.stringify(line);
  if (text.length <= LINE_CHARS_MAX) return text;
  const half = Math.floor((LINE_CHARS_MAX - 3) / 2);
  return `${text.slice(0, half)} … ${text.slice(-half)}`;
}
