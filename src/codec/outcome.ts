import type { EventBodies } from "../domain/event.ts";
import type { Final } from "../gen/spool/v1/event_pb.ts";
import type { GetResultResponse } from "../gen/spool/v1/task_service_pb.ts";
import { fromTaskError, toTaskError } from "./task-error.ts";

/** Returns the `outcome` field of Final and GetResultResponse. */
export function toOutcome({ status, result, error }: EventBodies["final"]) {
  if (status === "succeeded") return { case: "result", value: result ?? {} } as const;
  if (error === undefined) return { case: undefined };
  return { case: "error", value: toTaskError(error) } as const;
}

export function readOutcome(
  outcome: Final["outcome"] | GetResultResponse["outcome"],
): Pick<EventBodies["final"], "result" | "error"> {
  switch (outcome.case) {
    case "result":
      return { result: outcome.value };
    case "error":
      return { error: fromTaskError(outcome.value) };
    case undefined:
      return {};
  }
}
