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

/** The one table of reasons and codes. Code counts as gRPC does. */
export const CODES = {
  INVALID_ARGUMENT: Code.InvalidArgument,
  KIND_UNKNOWN: Code.InvalidArgument,
  TASK_NOT_FOUND: Code.NotFound,
  TASK_NOT_TERMINAL: Code.FailedPrecondition,
  SEQ_OUT_OF_RANGE: Code.OutOfRange,
  REQUEST_ID_REUSED: Code.AlreadyExists,
  LEASE_LOST: Code.Aborted,
  STORE_UNAVAILABLE: Code.Unavailable,
  DRAINING: Code.Unavailable,
  OVERLOADED: Code.ResourceExhausted,
  UNAUTHENTICATED: Code.Unauthenticated,
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

/** One of google/rpc/error_details.proto, in the shape that Connect takes too. */
export interface ErrorDetail {
  desc: DescMessage;
  value: Message;
}

/** An error as every door sends it. */
export interface RpcError {
  code: Code;
  message: string;
  /** ErrorInfo always; BadRequest where fields are to blame; RetryInfo where a retry helps. */
  details: readonly ErrorDetail[];
}

export type ErrorLog = Pick<Logger, "error">;

/**
 * Says to a caller what a handler threw. What has no name is logged with a fresh error_id and its cause, and answered
 * as INTERNAL with that id and nothing from inside. Texts are clipped, so that the trailers fit every client.
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

/** The code that a caller is told of what a handler threw. */
export function codeOf(thrown: unknown): Code {
  return CODES[nameOf(thrown)?.reason ?? "INTERNAL"];
}

/** Why a call's signal fires when its deadline has passed. */
export function callDeadlineExceeded(): SpoolError {
  return new SpoolError("CALL_DEADLINE_EXCEEDED", "the deadline of the call has passed");
}

/** Why a call's signal fires when its caller has gone. */
export function callCancelled(): SpoolError {
  return new SpoolError("CALL_CANCELLED", "the caller has cancelled the call");
}

/** The error that a thrown value is or stands for; undefined for what has no name, or cannot be asked: kinds check params. */
function nameOf(thrown: unknown): SpoolError | undefined {
  return readOr(() => named(thrown), undefined);
}

function named(thrown: unknown): SpoolError | undefined {
  if (thrown instanceof SpoolError) return thrown.reason === "INTERNAL" ? undefined : thrown;
  if (thrown instanceof ConnectError) {
    // Connect's own reasons for ending a call's signal.
    if (thrown.code === Code.DeadlineExceeded) return callDeadlineExceeded();
    if (thrown.code === Code.Canceled || thrown.code === Code.Aborted) return callCancelled();
  }
  // Node's functions that take a signal throw an AbortError, with the signal's reason as its cause.
  if (thrown instanceof Error && thrown.name === "AbortError" && thrown.cause !== undefined) return named(thrown.cause);
  return undefined;
}

function internal(cause: unknown, log: ErrorLog): SpoolError {
  const errorId = randomUUID();
  log.error({ err: cause, error_id: errorId }, "a call failed for a reason that has no name");
  return new SpoolError("INTERNAL", `the server failed; its log tells why under ${errorId}`, {
    metadata: { error_id: errorId },
    cause,
  });
}

/** As many of the violations as fit, and a last one that says how many did not. */
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

/** A text that gRPC can carry: well-formed, and short, for some hold what a caller sent. */
function clip(text: string): string {
  // A UTF-16 unit is at most 3 bytes: most texts are known to fit without being measured.
  if (text.length * 3 <= ERROR_TEXT_BYTES_MAX) return text.toWellFormed();
  const bytes = Buffer.from(text.slice(0, ERROR_TEXT_BYTES_MAX));
  if (text.length <= ERROR_TEXT_BYTES_MAX && bytes.length <= ERROR_TEXT_BYTES_MAX) return text.toWellFormed();
  // The cut may fall inside a character; what it leaves of one is dropped.
  const kept = bytes.subarray(0, ERROR_TEXT_BYTES_MAX - 3).toString();
  return `${kept.replace(/\uFFFD+$/, "")}…`;
}
