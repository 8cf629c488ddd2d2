import { create } from "@bufbuild/protobuf";
import type { TaskView } from "../domain/task.ts";
import { CancelOutcome as CancelOutcomeValue, CancelTaskResponseSchema } from "../gen/spool/v1/task_service_pb.ts";
import type { CancelTaskResponse } from "../gen/spool/v1/task_service_pb.ts";
import { brokenPromise } from "./rpc-error.ts";
import { fromTaskMessage, toTaskMessage } from "./task.ts";

/** What a cancel did: it ended a pending task, notified a running task, or found the task finished. */
export type CancelOutcome = "cancelled" | "requested" | "already_terminal";

export interface CancelledTask {
  /** The task after the cancel. */
  task: TaskView;
  outcome: CancelOutcome;
}

const VALUES = {
  cancelled: CancelOutcomeValue.CANCELLED,
  requested: CancelOutcomeValue.REQUESTED,
  already_terminal: CancelOutcomeValue.ALREADY_TERMINAL,
} as const satisfies Record<CancelOutcome, CancelOutcomeValue>;

const OUTCOMES = new Map<CancelOutcomeValue, CancelOutcome>(
  Object.entries(VALUES).map(([outcome, value]) => [value, outcome as CancelOutcome]),
);

export function toCancelTaskResponse({ task, outcome }: CancelledTask): CancelTaskResponse {
  return create(CancelTaskResponseSchema, { task: toTaskMessage(task), outcome: VALUES[outcome] });
}

/** @throws SpoolRpcError (DATA_LOSS) for an unknown outcome */
export function fromCancelTaskResponse({ task, outcome }: CancelTaskResponse): CancelledTask {
  const known = OUTCOMES.get(outcome);
  if (!known) throw brokenPromise(`the answer has an unknown cancel outcome: ${outcome}`);
  return { task: fromTaskMessage(task), outcome: known };
}
