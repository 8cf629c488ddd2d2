import { create } from "@bufbuild/protobuf";
import { durationFromMs, durationMs } from "@bufbuild/protobuf/wkt";
import type { RetryPolicy } from "../domain/retry.ts";
import { RetryPolicySchema } from "../gen/spool/v1/task_pb.ts";
import type { RetryPolicy as RetryPolicyMessage } from "../gen/spool/v1/task_pb.ts";
import { brokenPromise } from "./rpc-error.ts";

/** Any part of a retry policy. */
export type RetryPolicyParts = { readonly [Setting in keyof RetryPolicy]?: RetryPolicy[Setting] | undefined };

/** @param policy backoffs in whole milliseconds; missing parts stay unset */
export function toRetryPolicyMessage(policy: RetryPolicyParts): RetryPolicyMessage {
  const { initialBackoffMs, maxBackoffMs, backoffMultiplier, jitter } = policy;
  return create(RetryPolicySchema, {
    ...(initialBackoffMs !== undefined && { initialBackoff: durationFromMs(initialBackoffMs) }),
    ...(maxBackoffMs !== undefined && { maxBackoff: durationFromMs(maxBackoffMs) }),
    ...(backoffMultiplier !== undefined && { backoffMultiplier }),
    ...(jitter !== undefined && { jitter }),
  });
}

/** Returns the policy of a task. @throws SpoolRpcError (DATA_LOSS) if a field is missing */
export function fromRetryPolicyMessage(message: RetryPolicyMessage | undefined): RetryPolicy {
  const { initialBackoff, maxBackoff, backoffMultiplier = 0, jitter } = message ?? {};
  if (!initialBackoff || !maxBackoff || backoffMultiplier === 0 || jitter === undefined) {
    throw brokenPromise("the answer has an incomplete retry policy");
  }
  return {
    initialBackoffMs: durationMs(initialBackoff),
    maxBackoffMs: durationMs(maxBackoff),
    backoffMultiplier,
    jitter,
  };
}
