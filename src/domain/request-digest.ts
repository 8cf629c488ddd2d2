import { canonicalJson, digestJson } from "./canonical-json.ts";
import type { JsonObject } from "./json.ts";
import type { Task, TaskRequest } from "./task.ts";

/** The content of a start with a request_id. */
export interface RequestContent {
  request: TaskRequest;
  paramsDigest: string;
  /** null: the start has no request_id, or was stored by a version without digests. */
  requestDigest: string | null;
}

/**
 * Returns the digest of everything that a start requests, SHA-256 in hex. Equal starts have equal digests, for any
 * client and any order of fields. Times count to the millisecond, as they are stored. A field that is unset counts as
 * unset, whatever its current default is. A field that came later counts only if it is set, so that digests of earlier
 * versions stay equal. The request_id itself, the trace of the call and the name of its caller do not count.
 */
export function digestRequest(request: TaskRequest, paramsDigest: string): string {
  const { kind, labels, timeoutMs, maxAttempts, retryPolicy, runAt, deadlineAt, retentionMs } = request;
  return digestJson({
    kind,
    params: paramsDigest,
    labels: { ...labels },
    timeoutMs,
    maxAttempts,
    retryPolicy: withoutUndefined(retryPolicy),
    runAt: runAt?.getTime() ?? null,
    deadlineAt: deadlineAt?.getTime() ?? null,
    ...(retentionMs !== null && { retentionMs }),
  });
}

/**
 * Returns the fields, by their proto names, in which a start differs from the first start with its request_id. Empty:
 * none. Fields that the task's row does not store as requested are named together.
 */
export function differencesOf(asked: RequestContent, stored: Task & Pick<RequestContent, "requestDigest">): string[] {
  const { kind, labels, timeoutMs, deadlineAt, retentionMs } = asked.request;
  const differing: string[] = [];
  if (kind !== stored.kind) differing.push("kind");
  if (asked.paramsDigest !== stored.paramsDigest) differing.push("params");
  if (stored.requestDigest === null || asked.requestDigest === stored.requestDigest) return differing;
  if (canonicalJson({ ...labels }) !== canonicalJson({ ...stored.labels })) differing.push("labels");
  if (timeoutMs !== stored.timeoutMs) differing.push("timeout");
  if (deadlineAt?.getTime() !== stored.deadlineAt?.getTime()) differing.push("deadline_at");
  if (retentionMs !== stored.retentionMs) differing.push("retention");
  return differing.length > 0 ? differing : ["run_at, max_attempts or retry_policy"];
}

function withoutUndefined(members: Readonly<Record<string, number | undefined>>): JsonObject {
  const given: JsonObject = {};
  for (const [name, value] of Object.entries(members)) if (value !== undefined) given[name] = value;
  return given;
}
