import { randomUUID } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import type { DescMessage, Message } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Logger } from "pino";
import { SpoolError } from "../domain/errors.ts";
import type { Reason, Violation } from "../domain/errors.ts";
import { ERROR_TEXT_BYTES_MAX, ERROR_VIOLATIONS_BYTES_MAX } from "../domain/limits.ts";
import { readOr } from "../domain/thrown.ts";
import {
  BadRequest_FieldViolationSchema,
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "../gen/google/rpc/error_details_pb.ts";
import type { BadRequest } from "../gen/google/rpc/error_details_pb.ts";

const DOMAIN = "spool";

/** The code of each reason. Connect's codes have the numbers of gRPC's. */
export const CODES = {
  INVALID_ARGUMENT: Code.InvalidArgument,
  KIND_UNKNOWN: Code.InvalidArgument,
  TASK_NOT_FOUND: Code.NotFound,
  TASK_EXPIRED: Code.NotFound,
  TASK_NOT_TERMINAL: Code.FailedPrecondition,
  SEQ_OUT_OF_RANGE: Code.OutOfRange,
  REQUEST_ID_REUSED: Code.AlreadyExists,
  LEASE_LOST: Code.Aborted,
  STORE_UNAVAILABLE: Code.Unavailable,
  DRAINING: Code.Unavailable,
  OVERLOADED: Code.ResourceExhausted,
  UNAUTHENTICATED: Code.Unauthenticated,
  PERMISSION_DENIED: Code.PermissionDenied,
  NAMESPACE_NOT_FOUND: Code.NotFound,
  NAMESPACE_UNAVAILABLE: Code.Unavailable,
  LIMIT_EXCEEDED: Code.ResourceExhausted,
  TOKEN_NOT_FOUND: Code.NotFound,
  CALL_DEADLINE_EXCEEDED: Code.DeadlineExceeded,
  CALL_CANCELLED: Code.Canceled,
  APPEND_GAP: Code.FailedPrecondition,
  OUT_OF_PLACE: Code.FailedPrecondition,
  SESSION_LOST: Code.Aborted,
  WORKER_SILENT: Code.Unavailable,
  ORIGIN_REFUSED: Code.PermissionDenied,
  UNIMPLEMENTED: Code.Unimplemented,
  INTERNAL: Code.Internal,
} satisfies Record<Reason, Code>;

/** A message of google/rpc/error_details.proto, in the shape that Connect accepts as well. */
export interface ErrorDetail {
  desc: DescMessage;
  value: Message;
}

/** An error as every endpoint sends it. */
export interface RpcError {
  code: Code;
  message: string;
  /** ErrorInfo always; BadRequest for invalid fields; RetryInfo if a retry helps. */
  details: readonly ErrorDetail[];
}

export type ErrorLog = Pick<Logger, "error">;

/**
 * Converts what a handler threw to the error for its caller. An unknown error is logged with a new error_id and its
 * cause. Its caller gets INTERNAL with that id and no internals. Texts are clipped, so that trailers fit every client.
 */
export function toRpcError(thrown: unknown, log: ErrorLog): RpcError {
  const error = nameOf(thrown) ?? internal(thrown, log);
  const metadata = Object.fromEntries(Object.entries(error.metadata).map(([key, value]) => [key, clip(value)]));
  const details: ErrorDetail[] = [
    { desc: ErrorInfoSchema, value: create(ErrorInfoSchema, { domain: DOMAIN, reason: error.reason, metadata }) },
  ];
  if (error.violations.length > 0) details.push({ desc: BadRequestSchema, value: badRequest(error.violations) });
  if (error.retryAfterMs !== undefined) {
    const retryDelay = durationFromMs(error.retryAfterMs);
    details.push({ desc: RetryInfoSchema, value: create(RetryInfoSchema, { retryDelay }) });
  }
  return { code: CODES[error.reason], message: clip(error.message), details };
}

/** Returns the code that the caller gets for what a handler threw. */
export function codeOf(thrown: unknown): Code {
  return CODES[nameOf(thrown)?.reason ?? "INTERNAL"];
}

/** The reason of a call's signal when the deadline has passed. */
export function callDeadlineExceeded(): SpoolError {
  return new SpoolError("CALL_DEADLINE_EXCEEDED", "the deadline of the call has passed");
}

/** The reason of a call's signal when the caller has disconnected or cancelled. */
export function callCancelled(): SpoolError {
  return new SpoolError("CALL_CANCELLED", "the caller has cancelled the call");
}

/**
 * Returns the SpoolError that a thrown value is or stands for. Undefined: the error is unknown, or its fields throw when
 * read (the code of kinds may throw anything).
 */
function nameOf(thrown: unknown): SpoolError | undefined {
  return readOr(() => named(thrown), undefined);
}

function named(thrown: unknown): SpoolError | undefined {
  if (thrown instanceof SpoolError) return thrown.reason === "INTERNAL" ? undefined : thrown;
  if (thrown instanceof ConnectError) {
    // The reasons with which Connect aborts a call's signal.
    if (thrown.code === Code.DeadlineExceeded) return callDeadlineExceeded();
    if (thrown.code === Code.Canceled || thrown.code === Code.Aborted) return callCancelled();
  }
  // Functions of Node that accept a signal throw an AbortError whose cause is the signal's reason.
  if (thrown instanceof Error && thrown.name === "AbortError" && thrown.cause !== undefined) return named(thrown.cause);
  return undefined;
}

function internal(cause: unknown, log: ErrorLog): SpoolError {
  const errorId = randomUUID();
  log.error({ err: cause, error_id: errorId }, "rpc: call failed with an unknown error");
  return new SpoolError("INTERNAL", `internal error ${errorId}: the server's log has the cause under this error_id`, {
    metadata: { error_id: errorId },
    cause,
  });
}

/** Creates a BadRequest with as many violations as fit, and a last one with the number of the others. */
function badRequest(violations: readonly Violation[]): BadRequest {
  const message = create(BadRequestSchema);
  let bytes = 0;
  for (const [index, { field, description }] of violations.entries()) {
    const violation = create(BadRequest_FieldViolationSchema, { field: clip(field), description: clip(description) });
    bytes += toBinary(BadRequest_FieldViolationSchema, violation).length;
    if (bytes > ERROR_VIOLATIONS_BYTES_MAX) {
      const left = create(BadRequest_FieldViolationSchema, { description: `and ${violations.length - index} more` });
      message.fieldViolations.push(left);
      break;
    }
    message.fieldViolations.push(violation);
  }
  return message;
}

/** Returns a well-formed text within ERROR_TEXT_BYTES_MAX: a text may contain what a caller sent. */
function clip(text: string): string {
  // A UTF-16 unit takes at most 3 bytes, so most texts fit without being encoded.
  if (text.length * 3 <= ERROR_TEXT_BYTES_MAX) return text.toWellFormed();
  const bytes = Buffer.from(text.slice(0, ERROR_TEXT_BYTES_MAX));
  if (text.length <= ERROR_TEXT_BYTES_MAX && bytes.length <= ERROR_TEXT_BYTES_MAX) return text.toWellFormed();
  // The cut may split a character: its remainder is dropped.
  const kept = bytes.subarray(0, ERROR_TEXT_BYTES_MAX - 3).toString();
  return `${kept.replace(/\uFFFD+$/, "")}…`;
}
