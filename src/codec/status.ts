import { isTerminal, TASK_STATUSES } from "../domain/task.ts";
import type { TaskStatus, TerminalStatus } from "../domain/task.ts";
import { TaskStatus as TaskStatusValue } from "../gen/spool/v1/task_pb.ts";
import { brokenPromise } from "./rpc-error.ts";

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

/** @returns undefined for UNSPECIFIED and for a status of a later version */
export function fromStatusValue(value: TaskStatusValue): TaskStatus | undefined {
  return STATUSES.get(value);
}

/** Reads the status in an answer. @throws SpoolRpcError (DATA_LOSS) for an unknown status */
export function readStatus(value: TaskStatusValue): TaskStatus {
  const status = STATUSES.get(value);
  if (!status) throw brokenPromise(`the answer has an unknown task status: ${value}`);
  return status;
}

/** Reads the status of an outcome. @throws SpoolRpcError (DATA_LOSS) for a status that is not terminal */
export function readTerminalStatus(value: TaskStatusValue): TerminalStatus {
  const status = readStatus(value);
  if (!isTerminal(status)) throw brokenPromise(`the answer has an outcome with status ${status}`);
  return status;
}
