import { anyUnpack, durationMs } from "@bufbuild/protobuf/wkt";
import type { Any } from "@bufbuild/protobuf/wkt";
import type { Reason, Violation } from "../domain/errors.ts";
import { recognizeCopies } from "../domain/recognize-copies.ts";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../gen/google/rpc/error_details_pb.ts";

/** The gRPC codes, indexed by number. */
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

/** The name of a gRPC code: `NOT_FOUND`, `UNAVAILABLE`, … */
export type RpcCode = (typeof RPC_CODES)[number];

/** The details of an error of Spool. */
export interface ErrorDetails {
  /** A reason of errors.proto. Newer servers may send reasons that this client does not know. */
  reason?: Reason | (string & {}) | undefined;
  metadata?: Readonly<Record<string, string>> | undefined;
  violations?: readonly Violation[] | undefined;
  retryAfterMs?: number | undefined;
}

/**
 * A failed call: the server rejected it or was not reached, or the client rejected it before sending. Programs should
 * check `reason`, then `code`. The message is for people and may change.
 */
export class SpoolRpcError extends Error {
  /** Also UNAVAILABLE if a connection broke before the answer, whatever code the transport reports. */
  readonly code: RpcCode;
  /** A reason of errors.proto; undefined if no answer came, or the answer did not come from Spool. */
  readonly reason: ErrorDetails["reason"];
  /** The metadata that errors.proto lists for the reason: `task_id`, `current_status`, … */
  readonly metadata: Readonly<Record<string, string>>;
  /** The rejected fields, by their proto names. */
  readonly violations: readonly Violation[];
  /** The server's hint when a retry may succeed, in ms. */
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
recognizeCopies(SpoolRpcError, "SpoolRpcError"); // The clients over gRPC and for the web may have a copy each.

/**
 * Returns the error for an answer that violates the service's guarantees. It is never retried, because a retry would
 * hide the violation.
 */
export function brokenPromise(message: string, { cause }: { cause?: unknown } = {}): SpoolRpcError {
  return new SpoolRpcError("DATA_LOSS", message, {}, { cause });
}

/** Reads the details of a google.rpc.Status and ignores unknown ones. */
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
