import type { ProgressEvent, Task } from "../../client/types.ts";
import type { TaskFilter } from "../route.ts";

/** The latest progress of a task. */
export type LatestProgress = Pick<ProgressEvent, "phase" | "current" | "total">;

/** A row of a task list. */
export interface TaskRow {
  readonly task: Task;
  /** The recent progress of a running task, if it has any. */
  readonly progress: LatestProgress | null;
}

/**
 * Merges changes into the rows of one page, newest first. Changes may arrive late: the one with the higher last seq
 * wins.
 *
 * @param isNewest whether this is the first page, to which new tasks are added
 * @param max the maximum number of rows; older rows are dropped, and `hasOverflow` is true
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
