import type { NamespaceState } from "../../client/admin/namespace-calls.ts";
import type { AuditEvent } from "../../client/admin/audit-calls.ts";
import type { StoredToken } from "../../client/admin/token-calls.ts";
import type { EventPage, Session, SpoolEvent, Task, TaskResult } from "../../client/client.ts";

// The JSON objects that `--json` prints: field names as in the proto, times in ISO 8601, statuses in lower case.

export function taskJson(task: Task): Record<string, unknown> {
  const named = protoNames({ ...task, retryPolicy: protoNames(task.retryPolicy) });
  if (named["params"] === null) delete named["params"]; // Left out by a list, and not null.
  return named;
}

export function sessionJson(session: Session): Record<string, unknown> {
  return protoNames(session);
}

/** Returns the JSON object of an event. An event of an unknown type has only its position. */
export function eventJson(taskId: string, event: SpoolEvent): Record<string, unknown> {
  if (event.type === "folded") return protoNames({ taskId, ...event, parts: event.parts.map(protoNames) });
  return protoNames({ taskId, ...event });
}

export function pageJson({
  taskId,
  status,
  events,
  nextFromSeq,
  hasMore,
  lastSeq,
}: EventPage): Record<string, unknown> {
  const shown = events.map((event) => eventJson(taskId, event));
  return protoNames({ taskId, status, events: shown, nextFromSeq, hasMore, lastSeq });
}

export function resultJson(result: TaskResult): Record<string, unknown> {
  return protoNames(result);
}

export function namespaceJson({ limits, usage, ...namespace }: NamespaceState): Record<string, unknown> {
  return { ...protoNames({ ...namespace, ...usage }), limits: protoNames(limits) };
}

export function auditEventJson(event: AuditEvent): Record<string, unknown> {
  return protoNames(event);
}

export function tokenJson({ grants, limits, ...token }: StoredToken): Record<string, unknown> {
  const { taskId: _, ...rights } = grants;
  return { ...protoNames(token), grants: protoNames(rights), limits: protoNames(limits) };
}

/** The same fields under the names of the proto. Values stay as they are: the keys of params are the caller's. */
function protoNames(fields: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [snakeCase(name), value]));
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
