import { isTerminal } from "../../domain/task.ts";
import { formatDuration, shortId } from "../format.ts";
import { now } from "../parts/clock.ts";
import { Labels } from "../parts/labels.tsx";
import { ProgressBar } from "../parts/progress-bar.tsx";
import { StatusBadge } from "../parts/status-badge.tsx";
import { TimeText } from "../parts/time-text.tsx";
import { formatRoute } from "../route.ts";
import type { TaskRow } from "./task-rows.ts";

/**
 * A table of tasks. It sets the roles explicitly, because tables lose them under another layout, as on a narrow page.
 */
export function TaskTable({ rows }: { rows: readonly TaskRow[] }) {
  return (
    <table class="tasks" role="table" aria-label="Tasks">
      <thead role="rowgroup">
        <tr role="row">
          <th role="columnheader">Status</th>
          <th role="columnheader">Task</th>
          <th role="columnheader">Progress</th>
          <th role="columnheader">Labels</th>
          <th role="columnheader">Created</th>
          <th role="columnheader" class="number">
            Time
          </th>
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map((row) => (
          <Row key={row.task.taskId} row={row} />
        ))}
      </tbody>
    </table>
  );
}

function Row({ row: { task, progress } }: { row: TaskRow }) {
  const { taskId, kind, status, startedAt, finishedAt, labels } = task;
  return (
    <tr role="row">
      <td role="cell">
        <StatusBadge status={status} />
      </td>
      <td role="cell" class="task-name">
        <a href={formatRoute({ page: "task", taskId, seq: null })}>{kind}</a>{" "}
        <code class="quiet">{shortId(taskId)}</code>
      </td>
      <td role="cell" class="task-progress">
        {progress && <ProgressBar {...progress} />}
        {task.awaitsWorker && <span class="quiet">no server or worker runs this kind</span>}
        {task.attempt > 1 && !isTerminal(status) && <span class="quiet">attempt {task.attempt}</span>}
      </td>
      <td role="cell">
        <Labels labels={labels} />
      </td>
      <td role="cell" class="task-created">
        <TimeText time={task.createdAt} />
      </td>
      <td role="cell" class="number">
        {startedAt && formatDuration((finishedAt?.getTime() ?? now.value) - startedAt.getTime())}
      </td>
    </tr>
  );
}
