import { TASK_STATUSES } from "../../domain/task.ts";
import type { TaskStatus } from "../../domain/task.ts";
import { TaskStatus as TaskStatusValue } from "../../gen/spool/v1/task_pb.ts";

const VALUES = {
  pending: TaskStatusValue.PENDING,
  running: TaskStatusValue.RUNNING,
  succeeded: TaskStatusValue.SUCCEEDED,
  failed: TaskStatusValue.FAILED,
  cancelled: TaskStatusValue.CANCELLED,
} satisfies Record<TaskStatus, TaskStatusValue>;

const STATUSES: ReadonlyMap<TaskStatusValue, TaskStatus> = new Map(
  TASK_STATUSES.map((status) => [VALUES[status], status]),
);

export function toStatusValue(status: TaskStatus): TaskStatusValue {
  return VALUES[status];
}

/** @returns undefined for UNSPECIFIED and for what a later version may have added */
export function fromStatusValue(value: TaskStatusValue): TaskStatus | undefined {
  return STATUSES.get(value);
}
