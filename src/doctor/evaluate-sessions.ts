import { TASKS_PER_SLOT_MAX } from "../domain/limits.ts";
import type { SessionState } from "../domain/session.ts";
import { DUE_COUNTED_MAX } from "../store/reports/waiting-queries.ts";
import type { WaitingKind } from "../store/reports/waiting-queries.ts";
import { grade, graded, ok, worst } from "./check.ts";
import type { Finding } from "./check.ts";
import { countOf, countText, durationText, namesText } from "./format.ts";
import { SILENT_LEASES, UNCHECKED_MS } from "./thresholds.ts";

// What is found of those who run tasks, and of the kinds that they have.

/** Sessions as they are stored, and the time it is there. */
export interface SeenSessions {
  at: Date;
  sessions: readonly SessionState[];
}

type Aged = Pick<SessionState, "expiresAt" | "seenAt">;

export function isAlive({ expiresAt }: Aged, at: Date): boolean {
  return expiresAt > at;
}

/** It lives, and has not renewed its session when it was to, more than once. */
function isLate(session: Aged, at: Date): boolean {
  const leaseMs = session.expiresAt.getTime() - session.seenAt.getTime();
  return isAlive(session, at) && at.getTime() - session.seenAt.getTime() > SILENT_LEASES * leaseMs;
}

/** How many tasks a session may own at once: a server's slots are free while ends are being stored, a worker's are not. */
export function ownedMax({ capacity, isWorker }: Pick<SessionState, "capacity" | "isWorker">): number {
  return isWorker ? capacity : TASKS_PER_SLOT_MAX * capacity;
}

export function judgeSessions({ at, sessions }: SeenSessions): Finding {
  const alive = sessions.filter((session) => isAlive(session, at));
  const servers = alive.filter(({ isWorker }) => !isWorker);
  const workers = alive.length - servers.length;
  const gone = sessions.length - alive.length;
  const late = alive.filter((session) => isLate(session, at));
  const sum = (of: (session: SessionState) => number) => alive.reduce((total, session) => total + of(session), 0);
  const taken = sum(({ running, capacity }) => Math.min(running, capacity));
  const slots = `${countOf(taken)} of ${countText(
    sum(({ capacity }) => capacity),
    "slot",
  )} taken`;
  const goneText = gone === 0 ? "" : `, ${countText(gone, "session")} run out`;
  const found = `${countText(servers.length, "server")} and ${countText(workers, "worker")} alive, ${slots}${goneText}`;
  if (servers.length === 0) {
    const todo = "start a server (spool serve): nothing is run, swept or answered without one";
    return { status: "fail", found: `no server is alive; ${found}`, todo, section: "Start" };
  }
  if (late.length > 0) {
    const names = namesText(late.map(({ host, pid }) => `${host}/${pid}`));
    const todo = "see whether the process stands still or its way to the database does";
    return { status: "warn", found: `${found}; late to renew: ${names}`, todo, section: "Servers and workers" };
  }
  if (gone > 0) {
    const todo = "nothing where a process has just died; else see sweeper";
    return { status: "warn", found, todo, section: "What happens when something dies" };
  }
  return ok(found);
}

/**
 * Kinds that are waited for and that nobody has who is alive.
 *
 * @param leaseMs how long a process that comes back may be away before it counts as gone
 */
export function judgeKinds(
  waiting: readonly WaitingKind[],
  { at, sessions, leaseMs }: SeenSessions & { leaseMs: number },
): Finding {
  const had = new Set(sessions.filter((session) => isAlive(session, at)).flatMap(({ kinds }) => kinds));
  const missing = waiting.filter(({ kind, waitedMs }) => !had.has(kind) && waitedMs > leaseMs);
  if (missing.length === 0) {
    return ok(`${countText(had.size, "kind")} at those who live; none is waited for in vain`);
  }
  const longest = Math.max(...missing.map(({ waitedMs }) => waitedMs));
  const names = namesText(missing.map(({ kind, count }) => `${kind} (${countText(count, "task", DUE_COUNTED_MAX)})`));
  return {
    status: "warn",
    found: `nobody has ${names}, due for up to ${durationText(longest)}`,
    todo: "start a server (--kinds) or a worker that has them, or cancel the tasks",
    section: "Servers and workers",
  };
}

/** Tasks that nobody has looked over although somebody has their kind. */
export function judgeUnchecked(unchecked: readonly WaitingKind[], { at, sessions }: SeenSessions): Finding {
  const since = new Map<string, number>();
  for (const session of sessions) {
    if (!isAlive(session, at)) continue;
    const hereMs = at.getTime() - session.startedAt.getTime();
    for (const kind of session.kinds) since.set(kind, Math.max(hereMs, since.get(kind) ?? 0));
  }
  // Who has the kind may have come after the task.
  const had = unchecked.flatMap((waiting) => {
    const hereMs = since.get(waiting.kind);
    return hereMs === undefined ? [] : [{ ...waiting, waitedMs: Math.min(waiting.waitedMs, hereMs) }];
  });
  const late = had.filter(({ waitedMs }) => grade(waitedMs, UNCHECKED_MS) !== "ok");
  if (late.length === 0) return ok("no task waits to be looked over by those who have its kind");
  const names = namesText(late.map(({ kind, count }) => `${kind} (${countText(count, "task", DUE_COUNTED_MAX)})`));
  const longest = Math.max(...late.map(({ waitedMs }) => waitedMs));
  const found = `not looked over by those who have the kind: ${names}, for up to ${durationText(longest)}`;
  return graded(worst(late.map(({ waitedMs }) => grade(waitedMs, UNCHECKED_MS))), found, {
    todo: "see the log of the servers and workers that have the kind, and whether a worker answers at all",
    section: "Servers and workers",
  });
}
