import type { ProgressEvent, Task } from "../../client/types.ts";
import type { TaskFilter } from "../route.ts";

/** How far a task has come, as its latest progress says. */
export type LatestProgress = Pick<ProgressEvent, "phase" | "current" | "total">;

/** A task in a list. */
export interface TaskRow {
  readonly task: Task;
  /** The recent progress of a running task, if it has any. */
  readonly progress: LatestProgress | null;
}

/**
 * The rows of one page of a list, newest first, with what has changed put in. What is told of a task may come late: the
 * one with the higher last seq is the newer.
 *
 * @param isNewest whether the page is the first one, which tasks that are new belong to
 * @param max of rows: the oldest ones past it fall off, and `hasOverflow` says so
 */
export function mergeRows(
  rows: readonly TaskRow[],
  changed: readonly TaskRow[],
  { filter, isNewest, max }: { filter: TaskFilter; isNewest: boolean; max: number },
): { rows: readonly TaskRow[]; hasOverflow: boolean } {
  const byId = new Map(rows.map((row) => [row.task.taskId, row]));
  const oldest = rows.length < max ? "" : (rows.at(-1)?.task.taskId ?? "");
  let isChanged = false;
  for (const row of changed) {
    const { taskId } = row.task;
    const known = byId.get(taskId);
    if (known === undefined && (!isNewest || taskId < oldest)) continue;
    if (known !== undefined && known.task.lastSeq > row.task.lastSeq) continue;
    const isWanted = filter.statuses.length === 0 || filter.statuses.includes(row.task.status);
    if (isWanted) byId.set(taskId, row);
    else if (!byId.delete(taskId)) continue;
    isChanged = true;
  }
  if (!isChanged) return { rows, hasOverflow: false };
  const sorted = [...byId.values()].sort((a, b) => (a.task.taskId < b.task.taskId ? 1 : -1));
  return { rows: sorted.slice(0, max), hasOverflow: sorted.length > max };
}
