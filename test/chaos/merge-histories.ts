import { isAnswered } from "./history.ts";
import type { HistoryLine } from "./history.ts";

/** When the harness saw a line: a fault is written when it is over, and has the time at which it began. */
const seenAt = (line: HistoryLine) => (line.type === "fault" ? line.until : line.at);

/** Merges what the processes of a run saw, by the clock that all of them share. */
export function mergeHistories(histories: readonly (readonly HistoryLine[])[]): HistoryLine[] {
  return histories.flat().toSorted((one, other) => seenAt(one) - seenAt(other));
}

/**
 * Returns the lines that a process which was killed could not write: its streams have ended, at the latest with the last
 * thing that it saw.
 */
export function endsOfStreams(lines: readonly HistoryLine[]): HistoryLine[] {
  const open = new Map<string, (at: number) => HistoryLine>();
  for (const line of lines) {
    if (line.type === "opened") {
      const { follower, taskId } = line;
      open.set(follower, (at) => ({ type: "ended", at, follower, taskId, reason: "left" }));
    } else if (line.type === "tasks_opened") {
      const { follower, namespace } = line;
      open.set(follower, (at) => ({ type: "tasks_ended", at, follower, namespace, reason: "left" }));
    } else if (line.type === "ended" || line.type === "tasks_ended") {
      open.delete(line.follower);
    }
  }
  return [...open.values()].map((end) => end(lines.at(-1)!.at));
}

/** Returns the ids of the tasks that some answer named. */
export function namedTasks(lines: readonly HistoryLine[]): Set<string> {
  return new Set(lines.flatMap(namedBy));
}

function namedBy(line: HistoryLine): readonly string[] {
  if (isAnswered(line)) return line.code === undefined ? [line.taskId] : [];
  switch (line.type) {
    case "listed":
      return line.code === undefined ? line.taskIds : [];
    case "news":
      return [line.taskId];
    default:
      return [];
  }
}
