import { anyUnpack, durationMs } from "@bufbuild/protobuf/wkt";
import type { Any } from "@bufbuild/protobuf/wkt";
import type { Reason, Violation } from "../domain/errors.ts";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../gen/google/rpc/error_details_pb.ts";

/** The codes of gRPC, each at the place of its number. */
export const RPC_CODES = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
] as const;

/** A gRPC code by its name: `NOT_FOUND`, `UNAVAILABLE`, … */
export type RpcCode = (typeof RPC_CODES)[number];

/** What an error of Spool says besides its code and message. */
export interface ErrorDetails {
  /** A reason of errors.proto; a newer server may know more of them. */
  reason?: Reason | (string & {}) | undefined;
  metadata?: Readonly<Record<string, string>> | undefined;
  violations?: readonly Violation[] | undefined;
  retryAfterMs?: number | undefined;
}

/**
 * A call that failed: refused by the server, not reached, or refused here before it was sent. Programs look at
 * `reason`, then at `code`; the message is for people and may change.
 */
export class SpoolRpcError extends Error {
  /** UNAVAILABLE too where a connection broke before the answer, whatever the transport calls that. */
  readonly code: RpcCode;
  /** A reason of errors.proto; undefined where something other than Spool answered, or nothing did. */
  readonly reason: ErrorDetails["reason"];
  /** What the reason's comment in errors.proto lists: `task_id`, `current_status`, … */
  readonly metadata: Readonly<Record<string, string>>;
  /** The fields that were refused, in the names of the proto. */
  readonly violations: readonly Violation[];
  /** The server's hint that the same call may do better after so long. */
  readonly retryAfterMs: number | undefined;

  constructor(code: RpcCode, message: string, details: ErrorDetails = {}, { cause }: { cause?: unknown } = {}) {
    super(message, { cause });
    this.name = "SpoolRpcError";
    this.code = code;
    this.reason = details.reason;
    this.metadata = details.metadata ?? {};
    this.violations = details.violations ?? [];
    this.retryAfterMs = details.retryAfterMs;
  }
}

/** An answer that breaks what the service promises. Asking again would hide it, so nothing does. */
export function brokenPromise(message: string, { cause }: { cause?: unknown } = {}): SpoolRpcError {
  return new SpoolRpcError("DATA_LOSS", message, {}, { cause });
}

/** Reads the details of a google.rpc.Status. Those that it does not know are passed over. */
export function readErrorDetails(packed: readonly Any[]): ErrorDetails {
  const details: ErrorDetails = {};
  for (const any of packed) {
    const info = anyUnpack(any, ErrorInfoSchema);
    if (info?.domain === "spool") {
      details.reason = info.reason;
      details.metadata = info.metadata;
    }
    const request = anyUnpack(any, BadRequestSchema);
    if (request) details.violations = request.fieldViolations.map(({ field, description }) => ({ field, description }));
    const retry = anyUnpack(any, RetryInfoSchema);
    if (retry?.retryDelay) details.retryAfterMs = Math.max(0, durationMs(retry.retryDelay));
  }
  return details;
}
