import { create } from "@bufbuild/protobuf";
import type { TaskView } from "../domain/task.ts";
import { CancelOutcome as CancelOutcomeValue, CancelTaskResponseSchema } from "../gen/spool/v1/task_service_pb.ts";
import type { CancelTaskResponse } from "../gen/spool/v1/task_service_pb.ts";
import { brokenPromise } from "./rpc-error.ts";
import { fromTaskMessage, toTaskMessage } from "./task.ts";

/** What a cancel did: ended a pending task, told a running one, or found it ended. */
export type CancelOutcome = "cancelled" | "requested" | "already_terminal";

export interface CancelledTask {
  /** As it is after the cancel. */
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

/** @throws SpoolRpcError (DATA_LOSS) for an outcome that is not known here */
export function fromCancelTaskResponse({ task, outcome }: CancelTaskResponse): CancelledTask {
  const known = OUTCOMES.get(outcome);
  if (!known) throw brokenPromise(`the answer holds cancel outcome ${outcome}, which this client does not know`);
  return { task: fromTaskMessage(task), outcome: known };
}
