import { create } from "@bufbuild/protobuf";
import type { TaskFailure } from "../domain/event.ts";
import { TaskErrorSchema } from "../gen/spool/v1/task_pb.ts";
import type { TaskError } from "../gen/spool/v1/task_pb.ts";
import { brokenPromise } from "./rpc-error.ts";

export function toTaskError({ reason, message, details }: TaskFailure): TaskError {
  return create(TaskErrorSchema, { reason, message, ...(details && { details }) });
}

/** @throws SpoolRpcError (DATA_LOSS) if the error is missing */
export function fromTaskError(error: TaskError | undefined): TaskFailure {
  if (!error) throw brokenPromise("the answer has a failure without an error");
  return { reason: error.reason, message: error.message, ...(error.details && { details: error.details }) };
}
