import type { ComponentChildren } from "preact";
import type { Task } from "../../client/types.ts";
import { formatDuration } from "../format.ts";
import { now } from "../parts/clock.ts";
import { TimeText } from "../parts/time-text.tsx";

/** The fields of a task besides its tape. */
export function TaskFacts({ task }: { task: Task }) {
  const { createdAt, startedAt, finishedAt, runAt, deadlineAt, attemptDeadlineAt, cancelRequestedAt } = task;
  return (
    <dl class="facts">
      <Fact name="Created">
        <TimeText time={createdAt} />
      </Fact>
      <Fact name="Started">{startedAt && <TimeText time={startedAt} />}</Fact>
      <Fact name="Ended">{finishedAt && <TimeText time={finishedAt} />}</Fact>
      <Fact name={finishedAt ? "Took" : "Running for"}>
        {startedAt && formatDuration((finishedAt?.getTime() ?? now.value) - startedAt.getTime())}
      </Fact>
      <Fact name="Not before">{task.status === "pending" && runAt && <TimeText time={runAt} />}</Fact>
      <Fact name="Attempt">
        {task.attempt > 0 && `${task.attempt} of ${task.maxAttempts + task.handovers}`}
        {task.handovers > 0 && `, ${task.handovers} of them handed over`}
      </Fact>
      <Fact name="Timeout of an attempt">{task.timeoutMs !== null && formatDuration(task.timeoutMs)}</Fact>
      <Fact name="Attempt deadline">{attemptDeadlineAt && <TimeText time={attemptDeadlineAt} />}</Fact>
      <Fact name="Deadline">{deadlineAt && <TimeText time={deadlineAt} />}</Fact>
      <Fact name="Kept after its end">{task.retentionMs !== null && formatDuration(task.retentionMs)}</Fact>
      <Fact name="Cancel requested">{cancelRequestedAt && <TimeText time={cancelRequestedAt} />}</Fact>
      <Fact name="Started by">{task.startedBy}</Fact>
      <Fact name="Cancelled by">{task.cancelledBy}</Fact>
      <Fact name="Request id">{task.requestId && <code>{task.requestId}</code>}</Fact>
      <Fact name="Task id">
        <code>{task.taskId}</code>
      </Fact>
    </dl>
  );
}

/** A name and a value; renders nothing if there is no value. */
function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  const parts = Array.isArray(children) ? children : [children];
  if (parts.every((part) => part === null || part === false)) return null;
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
