// refusal-has-reason

import type { HistoryLine, Refusal } from "../history.ts";
import { isAnswer } from "./facts.ts";
import type { Facts } from "./facts.ts";
import type { Violation } from "./promises.ts";

/** The reasons of errors.proto, each with the code that it comes with. */
export const REASON_CODES: Readonly<Record<string, string>> = {
  INVALID_ARGUMENT: "INVALID_ARGUMENT",
  KIND_UNKNOWN: "INVALID_ARGUMENT",
  TASK_NOT_FOUND: "NOT_FOUND",
  TASK_NOT_TERMINAL: "FAILED_PRECONDITION",
  REQUEST_ID_REUSED: "ALREADY_EXISTS",
  LEASE_LOST: "ABORTED",
  STORE_UNAVAILABLE: "UNAVAILABLE",
  DRAINING: "UNAVAILABLE",
  OVERLOADED: "RESOURCE_EXHAUSTED",
  UNAUTHENTICATED: "UNAUTHENTICATED",
  INTERNAL: "INTERNAL",
  CALL_DEADLINE_EXCEEDED: "DEADLINE_EXCEEDED",
  CALL_CANCELLED: "CANCELLED",
  APPEND_GAP: "FAILED_PRECONDITION",
  OUT_OF_PLACE: "FAILED_PRECONDITION",
  SESSION_LOST: "ABORTED",
  WORKER_SILENT: "UNAVAILABLE",
  ORIGIN_REFUSED: "PERMISSION_DENIED",
  SEQ_OUT_OF_RANGE: "OUT_OF_RANGE",
  UNIMPLEMENTED: "UNIMPLEMENTED",
  TASK_EXPIRED: "NOT_FOUND",
  PERMISSION_DENIED: "PERMISSION_DENIED",
  NAMESPACE_NOT_FOUND: "NOT_FOUND",
  LIMIT_EXCEEDED: "RESOURCE_EXHAUSTED",
  TOKEN_NOT_FOUND: "NOT_FOUND",
  NAMESPACE_UNAVAILABLE: "UNAVAILABLE",
};

export function* checkRefusals(facts: Facts): Generator<Violation> {
  for (const line of facts.lines) {
    const refusal = refusalOf(line);
    // DATA_LOSS is the client's own: the checks of streams report it.
    if (refusal === null || refusal.isLocal || refusal.code === "DATA_LOSS") continue;
    const fault = findFault(refusal, facts.isAttached);
    if (fault === null) continue;
    const taskId = "taskId" in line ? (line.taskId ?? null) : null;
    const message = `${line.type} has ${fault}: ${refusal.message}`;
    yield { promise: "refusal-has-reason", taskId, subject: `${line.type} ${line.at}`, message };
  }
}

function refusalOf(line: HistoryLine): Refusal | null {
  if (line.type === "ended" || line.type === "tasks_ended") return line.reason === "failed" ? line.error : null;
  return isAnswer(line) ? null : line;
}

function findFault({ code, reason }: Refusal, isAttached: boolean): string | null {
  // Between a caller and the servers of a deployment, a proxy may answer for a server that is away.
  if (reason === null) return isAttached && code === "UNAVAILABLE" ? null : `code ${code} without a reason`;
  if (code === "INTERNAL" || reason === "INTERNAL") return `code ${code} with reason ${reason}`;
  const expected = REASON_CODES[reason];
  if (expected === undefined) return `the unknown reason ${reason}`;
  return code === expected ? null : `code ${code} with reason ${reason}, which comes with ${expected}`;
}
