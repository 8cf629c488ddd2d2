import { canonicalJson, digestJson } from "./canonical-json.ts";
import type { JsonObject } from "./json.ts";
import type { Task, TaskRequest } from "./task.ts";

/** What a start with a request_id asks for. */
export interface RequestContent {
  request: TaskRequest;
  paramsDigest: string;
  /** null: the start has no request_id, or was stored before there were digests. */
  requestDigest: string | null;
}

/**
 * The digest of everything that a start asks for, SHA-256 in hex: equal for starts that ask for the same, in whatever
 * order and by whatever client. Times count to the millisecond, as they are stored; what is left out counts as left out,
 * whatever its default is by then. The request_id itself and the trace of the call do not count.
 */
export function digestRequest(request: TaskRequest, paramsDigest: string): string {
  const { kind, labels, timeoutMs, maxAttempts, retryPolicy, runAt, deadlineAt } = request;
  return digestJson({
    kind,
    params: paramsDigest,
    labels: { ...labels },
    timeoutMs,
    maxAttempts,
    retryPolicy: withoutUndefined(retryPolicy),
    runAt: runAt?.getTime() ?? null,
    deadlineAt: deadlineAt?.getTime() ?? null,
  });
}

/**
 * In what a start differs from the one that had its request_id first: fields by their names in the proto. Empty: in
 * nothing. What the task's row does not keep as it was asked for is named together.
 */
export function differencesOf(asked: RequestContent, stored: Task & Pick<RequestContent, "requestDigest">): string[] {
  const { kind, labels, timeoutMs, deadlineAt } = asked.request;
  const differing: string[] = [];
  if (kind !== stored.kind) differing.push("kind");
  if (asked.paramsDigest !== stored.paramsDigest) differing.push("params");
  if (stored.requestDigest === null || asked.requestDigest === stored.requestDigest) return differing;
  if (canonicalJson({ ...labels }) !== canonicalJson({ ...stored.labels })) differing.push("labels");
  if (timeoutMs !== stored.timeoutMs) differing.push("timeout");
  if (deadlineAt?.getTime() !== stored.deadlineAt?.getTime()) differing.push("deadline_at");
  return differing.length > 0 ? differing : ["run_at, max_attempts or retry_policy"];
}

function withoutUndefined(members: Readonly<Record<string, number | undefined>>): JsonObject {
  const given: JsonObject = {};
  for (const [name, value] of Object.entries(members)) if (value !== undefined) given[name] = value;
  return given;
}
