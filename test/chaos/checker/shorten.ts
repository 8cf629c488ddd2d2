import type { HistoryLine } from "../history.ts";
import { check } from "./check.ts";
import type { Violation } from "./promises.ts";

/** A violation with a history that shows it. */
export interface ShortHistory {
  lines: HistoryLine[];
  /** The violation with the message that fits these lines. */
  violation: Violation;
}

/**
 * Returns the fewest lines found that still show a violation: without any one of them, the same violation is gone.
 * Removes lines in ever smaller parts (delta debugging), always in the same order.
 */
export function shorten(lines: readonly HistoryLine[], violation: Violation): ShortHistory {
  const find = (part: readonly HistoryLine[]) => check(part).find((found) => isSame(found, violation));
  const shows = (part: readonly HistoryLine[]) => find(part) !== undefined;
  const concerned = linesOf(lines, violation);
  let left = shows(concerned) ? concerned : [...lines];
  for (let size = Math.ceil(left.length / 2); ; size = Math.ceil(size / 2)) {
    let isShorter = false;
    for (let from = 0; from < left.length;) {
      const rest = left.toSpliced(from, size);
      if (shows(rest)) {
        left = rest;
        isShorter = true;
      } else from += size;
    }
    if (size === 1 && !isShorter) return { lines: left, violation: find(left) ?? violation };
  }
}

/** Whether two violations are one, although what their messages compare may differ. */
function isSame(found: Violation, wanted: Violation): boolean {
  return found.promise === wanted.promise && found.taskId === wanted.taskId && found.subject === wanted.subject;
}

/** Returns the lines that may concern a violation. */
function linesOf(lines: readonly HistoryLine[], { taskId, otherTaskIds = [] }: Violation): HistoryLine[] {
  if (taskId === null) return lines.filter(({ type }) => WITHOUT_TASK.includes(type));
  const taskIds = new Set([taskId, ...otherTaskIds]);
  const isOf = (line: HistoryLine) => "taskId" in line && line.taskId !== undefined && taskIds.has(line.taskId);
  const starts = new Set(lines.filter((line) => line.type === "start_answered" && isOf(line)).map(callOf));
  const cursors = new Set(lines.filter((line) => line.type === "tasks_opened").map(({ cursor }) => cursor));
  return lines.filter(
    (line, index) =>
      isOf(line) ||
      (line.type === "start_sent" && starts.has(callOf(line))) ||
      (line.type === "listed" && "taskIds" in line) ||
      line.type === "tasks_opened" ||
      line.type === "tasks_ended" ||
      // What a cursor has seen depends on the last event of its frame, of whatever task.
      (line.type === "news" && cursors.has(line.cursor)) ||
      index === lines.length - 1,
  );
}

/** Lines that a violation may need that concerns no task. */
const WITHOUT_TASK: readonly HistoryLine["type"][] = [
  "start_sent",
  "start_answered",
  "listed",
  "tasks_opened",
  "tasks_ended",
];

function callOf(line: HistoryLine): string {
  return "call" in line ? `${line.client} ${line.call}` : "";
}
