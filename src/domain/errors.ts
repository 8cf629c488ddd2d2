/** Why a call is refused. One reason has one gRPC code, in rpc/errors.ts; proto/spool/v1/errors.proto documents them. */
export type Reason =
  | "INVALID_ARGUMENT"
  | "KIND_UNKNOWN"
  | "TASK_NOT_FOUND"
  | "TASK_NOT_TERMINAL"
  | "SEQ_OUT_OF_RANGE"
  | "REQUEST_ID_REUSED"
  | "LEASE_LOST"
  | "STORE_UNAVAILABLE"
  | "DRAINING"
  | "OVERLOADED"
  | "UNAUTHENTICATED"
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
  /** A hint that the same call may do better after so long. */
  retryAfterMs?: number;
  cause?: unknown;
}

/** An error that callers are told of, with a reason for programs and a message for people. */
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

export class InvalidArgument extends SpoolError {
  constructor(violations: readonly Violation[]) {
    super("INVALID_ARGUMENT", violations.map(({ field, description }) => `${field}: ${description}`).join("; "), {
      violations,
    });
  }
}

export class KindUnknown extends SpoolError {
  constructor(kind: string, known: readonly string[]) {
    super("KIND_UNKNOWN", `kind: nothing here runs ${JSON.stringify(kind)}; known are ${known.join(", ")}`, {
      metadata: { kind },
      violations: [{ field: "kind", description: `must be one of ${known.join(", ")}` }],
    });
  }
}

export class TaskNotFound extends SpoolError {
  constructor(taskId: string) {
    super("TASK_NOT_FOUND", `there is no task ${taskId}`, { metadata: { task_id: taskId } });
  }
}

export class TaskNotTerminal extends SpoolError {
  constructor(taskId: string, status: string) {
    super("TASK_NOT_TERMINAL", `task ${taskId} is ${status}: it has no result yet`, {
      metadata: { task_id: taskId, current_status: status },
    });
  }
}

/**
 * A stream was asked for from a position that the tape of a running task does not have yet: the position is of another
 * task, or of a database that was restored since. To wait there would leave out the events in between.
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
  /** @param differing the fields that are not as they were in the first start */
  constructor(requestId: string, taskId: string, differing: readonly string[]) {
    const what = `it differs in ${differing.join(", ")}`;
    super("REQUEST_ID_REUSED", `request_id ${JSON.stringify(requestId)} started task ${taskId} before: ${what}`, {
      metadata: { request_id: requestId, task_id: taskId, differs: differing.join(", ") },
    });
  }
}

/** The attempt no longer owns its task: it may stop, nothing that it writes is taken. */
export class LeaseLost extends SpoolError {
  constructor(taskId: string) {
    super("LEASE_LOST", `this attempt no longer owns task ${taskId}`, { metadata: { task_id: taskId } });
  }
}

/** A worker's events have a gap before them. */
export class AppendGap extends SpoolError {
  constructor(taskId: string, appended: bigint) {
    super("APPEND_GAP", `first_number: must be at most ${appended + 1n}, events before it are missing`, {
      metadata: { task_id: taskId, appended: `${appended}` },
    });
  }
}

/** What a worker says has no place where it says it. */
export class OutOfPlace extends SpoolError {
  constructor(what: string) {
    super("OUT_OF_PLACE", what);
  }
}

/** What a stream was the voice of is over, or speaks by another. */
export class SessionLost extends SpoolError {
  constructor(message: string) {
    super("SESSION_LOST", message);
  }
}

/** A worker has not shown for too long that its stream lives. */
export class WorkerSilent extends SpoolError {
  constructor(silentMs: number) {
    super("WORKER_SILENT", `nothing came from the worker for ${silentMs} ms`, { retryAfterMs: 100 });
  }
}

/** Classes of SQLSTATE of a database that refuses connections, or has ended this one. */
const UNREACHABLE = ["08", "28", "3D", "57P"];

/**
 * The database cannot be reached, or is in trouble: it refuses what it would do at another time. What was acknowledged
 * before stays.
 */
export class StoreUnavailable extends SpoolError {
  /** Whether the database was reached, and has refused. */
  readonly isReached: boolean;

  /** @param sqlstate what the database has answered with, where it has answered */
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
    super("OVERLOADED", `too much at once: ${what}`, { retryAfterMs: 250 });
  }
}

export class Unauthenticated extends SpoolError {
  /** @param isGiven whether the call carried anything in place of the token */
  constructor({ isGiven }: { isGiven: boolean }) {
    const message = isGiven
      ? "the token of this call is not the server's"
      : "this server wants a bearer token, and the call has none: authorization: Bearer TOKEN";
    super("UNAUTHENTICATED", message, { metadata: { token: isGiven ? "wrong" : "missing" } });
  }
}

/** A browser asks on behalf of a page that has no business here. */
export class OriginRefused extends SpoolError {
  /** @param seen what the request says of itself: `host`, and `origin` where it has one */
  constructor(what: string, seen: Readonly<Record<string, string>>) {
    super("ORIGIN_REFUSED", what, { metadata: seen });
  }
}

/** There is no such call here, or it is compressed in a way that this server does not know. */
export class Unimplemented extends SpoolError {
  constructor(what: string) {
    super("UNIMPLEMENTED", what);
  }
}
