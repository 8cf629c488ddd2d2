import { abortable } from "../../async/abort.ts";
import { pause } from "../../async/pause.ts";
import type { AuditEvent } from "../../domain/audit-event.ts";
import { PermissionDenied } from "../../domain/errors.ts";
import { AUDIT_PAGE_MAX, HEARTBEAT_MS_DEFAULT } from "../../domain/limits.ts";
import { ANY, isRestricted, matchesAny } from "../../domain/principal.ts";
import type { Principal } from "../../domain/principal.ts";
import { readAuditEvents } from "../../store/access/audit-log.ts";
import type { Store } from "../../store/database.ts";
import type { ServiceAdmin } from "../api/service-admin.ts";

const POLL_MS = 1_000;

/** Lets operators follow the audit log. @param timing.pollMs how often a follower reads new acts */
export function auditLogAdmin(
  { db }: Pick<Store, "db">,
  { pollMs = POLL_MS, heartbeatMs = HEARTBEAT_MS_DEFAULT }: { pollMs?: number; heartbeatMs?: number } = {},
): Pick<ServiceAdmin, "followAuditLog"> {
  return {
    async *followAuditLog(by, { fromId }, signal) {
      if (isRestricted(by)) {
        const what = "the audit log has acts on all tasks, so callers that see only some tasks cannot read it";
        throw new PermissionDenied(what, { principal: by.name });
      }
      let nextFromId = fromId;
      let heartbeatAtMs = -Infinity;
      for (;;) {
        const read = await abortable(readAuditEvents(db, { fromId: nextFromId, limit: AUDIT_PAGE_MAX }), signal);
        const last = read.at(-1);
        if (last !== undefined) nextFromId = last.auditId + 1n;
        const events = read.filter((event) => maySeeAct(by, event));
        if (events.length > 0) yield { events, nextFromId };
        if (read.length === AUDIT_PAGE_MAX) continue;
        if (performance.now() - heartbeatAtMs >= heartbeatMs) {
          yield { events: [], nextFromId };
          heartbeatAtMs = performance.now();
        }
        await pause(pollMs, signal);
      }
    },
  };
}

/** Whether the caller may use the namespace of the act, or all namespaces for an act on the whole service. */
function maySeeAct({ namespaces }: Principal, { namespace }: AuditEvent): boolean {
  return namespace === null ? namespaces.includes(ANY) : matchesAny(namespaces, namespace);
}
