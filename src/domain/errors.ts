import { recognizeCopies } from "./recognize-copies.ts";

/**
 * Why a call is rejected. Each reason has one gRPC code, in rpc/errors.ts. proto/spool/v1/errors.proto documents them.
 */
export type Reason =
  | "INVALID_ARGUMENT"
  | "KIND_UNKNOWN"
  | "TASK_NOT_FOUND"
  | "TASK_EXPIRED"
  | "TASK_NOT_TERMINAL"
  | "SEQ_OUT_OF_RANGE"
  | "REQUEST_ID_REUSED"
  | "LEASE_LOST"
  | "STORE_UNAVAILABLE"
  | "DRAINING"
  | "OVERLOADED"
  | "UNAUTHENTICATED"
  | "PERMISSION_DENIED"
  | "NAMESPACE_NOT_FOUND"
  | "NAMESPACE_UNAVAILABLE"
  | "LIMIT_EXCEEDED"
  | "TOKEN_NOT_FOUND"
  | "CALL_DEADLINE_EXCEEDED"
  | "CALL_CANCELLED"
  | "APPEND_GAP"
  | "OUT_OF_PLACE"
  | "SESSION_LOST"
  | "WORKER_SILENT"
  | "ORIGIN_REFUSED"
  | "UNIMPLEMENTED"
  | "INTERNAL";

/** A field of a request and what it must be. */
export interface Violation {
  /** The path in the request, in the names of the proto: `params.count`. */
  field: string;
  /** What is wrong, with the bound. */
  description: string;
}

interface Details {
  metadata?: Readonly<Record<string, string>>;
  violations?: readonly Violation[];
  /** When a retry may succeed, in ms from now. */
  retryAfterMs?: number;
  cause?: unknown;
}

/** An error that is sent to callers: a reason for programs and a message for people. */
export class SpoolError extends Error {
  readonly reason: Reason;
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly Violation[];
  readonly retryAfterMs: number | undefined;

  constructor(reason: Reason, message: string, { metadata = {}, violations = [], retryAfterMs, cause }: Details = {}) {
    super(message, { cause });
    this.name = new.target.name;
    this.reason = reason;
    this.metadata = metadata;
    this.violations = violations;
    this.retryAfterMs = retryAfterMs;
  }
}
recognizeCopies(SpoolError, "SpoolError");

export class InvalidArgument extends SpoolError {
  constructor(violations: readonly Violation[]) {
    super("INVALID_ARGUMENT", violations.map(({ field, description }) => `${field}: ${description}`).join("; "), {
      violations,
    });
  }
}
recognizeCopies(InvalidArgument, "InvalidArgument");

export class KindUnknown extends SpoolError {
  readonly known: readonly string[];

  constructor(kind: string, known: readonly string[]) {
    super("KIND_UNKNOWN", `unknown kind ${JSON.stringify(kind)}; known kinds: ${known.join(", ")}`, {
      metadata: { kind },
      violations: [{ field: "kind", description: `must be one of ${known.join(", ")}` }],
    });
    this.known = known;
  }
}

export class TaskNotFound extends SpoolError {
  constructor(taskId: string) {
    super("TASK_NOT_FOUND", `there is no task ${taskId}`, { metadata: { task_id: taskId } });
  }
}

/** The task was removed, and the marker that it left is still stored. */
export class TaskExpired extends SpoolError {
  constructor(taskId: string, removedAt: Date) {
    const at = removedAt.toISOString();
    super("TASK_EXPIRED", `task ${taskId} was removed at ${at}`, { metadata: { task_id: taskId, removed_at: at } });
  }
}
recognizeCopies(TaskExpired, "TaskExpired");

export class TaskNotTerminal extends SpoolError {
  /** @param because why the call needs a task that has ended */
  constructor(taskId: string, status: string, because = "it has no result yet") {
    super("TASK_NOT_TERMINAL", `task ${taskId} is ${status}: ${because}`, {
      metadata: { task_id: taskId, current_status: status },
    });
  }
}

/**
 * A stream starts at a position that the tape of an unfinished task does not have yet. The position belongs to another
 * task, or to a database that was restored since. Waiting for it would skip the events in between.
 */
export class SeqOutOfRange extends SpoolError {
  constructor(taskId: string, fromSeq: bigint, lastSeq: bigint) {
    super(
      "SEQ_OUT_OF_RANGE",
      `from_seq ${fromSeq} is past the end of the tape of task ${taskId}, which has not ended and whose last event is ` +
        `${lastSeq}: follow from ${lastSeq + 1n} or before`,
      { metadata: { task_id: taskId, from_seq: `${fromSeq}`, last_seq: `${lastSeq}` } },
    );
  }
}

export class RequestIdReused extends SpoolError {
  /** @param differing the fields that differ from the first start */
  constructor(requestId: string, taskId: string, differing: readonly string[]) {
    const what = `it differs in ${differing.join(", ")}`;
    super("REQUEST_ID_REUSED", `request_id ${JSON.stringify(requestId)} started task ${taskId} before: ${what}`, {
      metadata: { request_id: requestId, task_id: taskId, differs: differing.join(", ") },
    });
  }
}

/** The same for callers that may not see the task that has the request_id. */
export class RequestIdTaken extends SpoolError {
  constructor(requestId: string) {
    const what = `request_id ${JSON.stringify(requestId)} started a task before that this caller may not see`;
    super("REQUEST_ID_REUSED", what, { metadata: { request_id: requestId } });
  }
}

/** The attempt no longer owns its task. It may stop: its writes have no effect. */
export class LeaseLost extends SpoolError {
  constructor(taskId: string) {
    super("LEASE_LOST", `this attempt no longer owns task ${taskId}`, { metadata: { task_id: taskId } });
  }
}

/** Events are missing before the events that a worker sends. */
export class AppendGap extends SpoolError {
  constructor(taskId: string, appended: bigint) {
    super("APPEND_GAP", `first_number: must be at most ${appended + 1n}, events before it are missing`, {
      metadata: { task_id: taskId, appended: `${appended}` },
    });
  }
}

/** A worker sent a message that is not allowed at this point of the stream. */
export class OutOfPlace extends SpoolError {
  constructor(what: string) {
    super("OUT_OF_PLACE", what);
  }
}

/** The session of a stream has expired, or was resumed on another stream. */
export class SessionLost extends SpoolError {
  constructor(message: string) {
    super("SESSION_LOST", message);
  }
}

/** A worker was silent for too long. */
export class WorkerSilent extends SpoolError {
  constructor(silentMs: number) {
    super("WORKER_SILENT", `nothing came from the worker for ${silentMs} ms`, { retryAfterMs: 100 });
  }
}

/** SQLSTATE classes of a database that rejects connections or has closed this one. */
const UNREACHABLE = ["08", "28", "3D", "57P"];

/**
 * The database cannot be reached, or cannot serve a statement that it would serve at another time. Acknowledged data
 * stays.
 */
export class StoreUnavailable extends SpoolError {
  /** Whether the database was reached and rejected the statement. */
  readonly isReached: boolean;

  /** @param sqlstate the SQLSTATE of the database's answer, if it answered */
  constructor(cause: unknown, { sqlstate }: { sqlstate?: string | undefined } = {}) {
    const isReached = sqlstate !== undefined && !UNREACHABLE.some((prefix) => sqlstate.startsWith(prefix));
    super("STORE_UNAVAILABLE", isReached ? "the database is in trouble" : "the database cannot be reached", {
      ...(sqlstate === undefined ? {} : { metadata: { sqlstate } }),
      retryAfterMs: 1_000,
      cause,
    });
    this.isReached = isReached;
  }
}

export class Draining extends SpoolError {
  constructor() {
    super("DRAINING", "the server is shutting down", { retryAfterMs: 1_000 });
  }
}

export class Overloaded extends SpoolError {
  constructor(what: string) {
    super("OVERLOADED", `overloaded: ${what}`, { retryAfterMs: 250 });
  }
}

/** What is wrong with the credential of a call. */
export type CredentialProblem = "missing" | "wrong" | "expired" | "revoked";

const CREDENTIAL_MESSAGES: Record<CredentialProblem, string> = {
  missing: "missing bearer token: send the header authorization: Bearer TOKEN",
  wrong: "wrong bearer token",
  expired: "the token has expired",
  revoked: "the token was revoked",
};

export class Unauthenticated extends SpoolError {
  constructor(problem: CredentialProblem) {
    super("UNAUTHENTICATED", CREDENTIAL_MESSAGES[problem], { metadata: { token: problem } });
  }
}

/** The caller is known, and its rights do not include the call. */
export class PermissionDenied extends SpoolError {
  /** @param denied the name of the `principal`, and what it lacks: the `scope`, `namespace`, `kind`, `label` or `limit` */
  constructor(what: string, denied: Readonly<Record<string, string>>) {
    super("PERMISSION_DENIED", what, { metadata: denied });
  }
}

/** The caller may use the namespace, but the service has no such namespace. */
export class NamespaceNotFound extends SpoolError {
  constructor(namespace: string) {
    const what = `there is no namespace ${JSON.stringify(namespace)}: create it with spool namespace set`;
    super("NAMESPACE_NOT_FOUND", what, { metadata: { namespace } });
  }
}

/** Error for a namespace that exists and that this server cannot serve now. */
export class NamespaceUnavailable extends SpoolError {
  /** @param why such as `is being opened` */
  constructor(namespace: string, why: string, options?: ErrorOptions) {
    super("NAMESPACE_UNAVAILABLE", `the namespace ${namespace} ${why}`, {
      metadata: { namespace },
      retryAfterMs: 500,
      ...options,
    });
  }
}

export class TokenNotFound extends SpoolError {
  constructor(tokenId: string) {
    super("TOKEN_NOT_FOUND", `there is no token ${tokenId}`, { metadata: { token_id: tokenId } });
  }
}

/** A limit of a namespace or of a caller is reached. */
export class LimitExceeded extends SpoolError {
  /**
   * @param limit the name of the limit, and its value `max`
   * @param retryAfterMs when a retry may succeed; left out: waiting does not help
   */
  constructor(
    what: string,
    { limit, max, of, retryAfterMs }: { limit: string; max: number; of: string; retryAfterMs?: number },
  ) {
    const metadata = { limit, max: `${max}`, of };
    super("LIMIT_EXCEEDED", what, { metadata, ...(retryAfterMs !== undefined && { retryAfterMs }) });
  }
}

/** A browser calls on behalf of a page whose origin is not allowed. */
export class OriginRefused extends SpoolError {
  /** @param seen the `host` of the request, and its `origin` if it has one */
  constructor(what: string, seen: Readonly<Record<string, string>>) {
    super("ORIGIN_REFUSED", what, { metadata: seen });
  }
}

/** The method does not exist, or the request has a compression that the server does not support. */
export class Unimplemented extends SpoolError {
  constructor(what: string) {
    super("UNIMPLEMENTED", what);
  }
}
