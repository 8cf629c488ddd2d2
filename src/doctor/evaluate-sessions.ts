import { TASKS_PER_SLOT_MAX } from "../domain/limits.ts";
import type { SessionState } from "../domain/session.ts";
import { DUE_COUNTED_MAX } from "../store/reports/waiting-queries.ts";
import type { WaitingKind } from "../store/reports/waiting-queries.ts";
import { grade, graded, ok, worst } from "./check.ts";
import type { Finding } from "./check.ts";
import { countOf, countText, durationText, namesText } from "./format.ts";
import { SILENT_LEASES, UNVALIDATED_MS } from "./thresholds.ts";

// Evaluates the sessions of servers and workers, and the kinds that they run.

/** The stored sessions, and the database's time when they were read. */
export interface SessionSnapshot {
  at: Date;
  sessions: readonly SessionState[];
}

type SessionTimes = Pick<SessionState, "expiresAt" | "seenAt">;

/** Whether the session has not expired. */
export function isAlive({ expiresAt }: SessionTimes, at: Date): boolean {
  return expiresAt > at;
}

/** Whether the session has missed more than one renewal and has not expired. */
function isLate(session: SessionTimes, at: Date): boolean {
  const leaseMs = session.expiresAt.getTime() - session.seenAt.getTime();
  return isAlive(session, at) && at.getTime() - session.seenAt.getTime() > SILENT_LEASES * leaseMs;
}

/**
 * Returns how many tasks a session may own at once. A server frees a slot before the end of the task is stored; a worker
 * frees it afterwards.
 */
export function ownedMax({ capacity, isWorker }: Pick<SessionState, "capacity" | "isWorker">): number {
  return isWorker ? capacity : TASKS_PER_SLOT_MAX * capacity;
}

export function evaluateSessions({ at, sessions }: SessionSnapshot): Finding {
  const alive = sessions.filter((session) => isAlive(session, at));
  const servers = alive.filter(({ isWorker }) => !isWorker);
  const workers = alive.length - servers.length;
  const expired = sessions.length - alive.length;
  const late = alive.filter((session) => isLate(session, at));
  const sum = (of: (session: SessionState) => number) => alive.reduce((total, session) => total + of(session), 0);
  const taken = sum(({ running, capacity }) => Math.min(running, capacity));
  const slots = `${countOf(taken)} of ${countText(
    sum(({ capacity }) => capacity),
    "slot",
  )} taken`;
  const expiredText = expired === 0 ? "" : `, ${countText(expired, "session")} expired`;
  const found = `${countText(servers.length, "server")} and ${countText(workers, "worker")} alive, ${slots}${expiredText}`;
  if (servers.length === 0) {
    const todo = "start a server (spool serve): without one no task runs and no call is answered";
    return { status: "fail", found: `no server is alive; ${found}`, todo, section: "Start" };
  }
  if (late.length > 0) {
    const names = namesText(late.map(({ host, pid }) => `${host}/${pid}`));
    const todo = "check whether the process hangs, and its connection to the database";
    return { status: "warn", found: `${found}; late to renew: ${names}`, todo, section: "Servers and workers" };
  }
  if (expired > 0) {
    const todo = "nothing if a process has just died; otherwise see the check sweeper";
    return { status: "warn", found, todo, section: "What happens when something dies" };
  }
  return ok(found);
}

/**
 * Evaluates kinds that have due tasks and that no live server or worker runs.
 *
 * @param leaseMs how long a process may take to restart before its kinds are reported
 */
export function evaluateKinds(
  waiting: readonly WaitingKind[],
  { at, sessions, leaseMs }: SessionSnapshot & { leaseMs: number },
): Finding {
  const live = new Set(sessions.filter((session) => isAlive(session, at)).flatMap(({ kinds }) => kinds));
  const missing = waiting.filter(({ kind, waitedMs }) => !live.has(kind) && waitedMs > leaseMs);
  if (missing.length === 0) {
    return ok(`${countText(live.size, "kind")} at live servers and workers; no task waits for another kind`);
  }
  const longest = Math.max(...missing.map(({ waitedMs }) => waitedMs));
  const names = namesText(missing.map(({ kind, count }) => `${kind} (${countText(count, "task", DUE_COUNTED_MAX)})`));
  return {
    status: "warn",
    found: `no live server or worker runs ${names}, due for up to ${durationText(longest)}`,
    todo: "start a server (--kinds) or a worker that runs these kinds, or cancel the tasks",
    section: "Servers and workers",
  };
}

/** Evaluates tasks that are not validated although a live server or worker has their kind. */
export function evaluateUnvalidated(unvalidated: readonly WaitingKind[], { at, sessions }: SessionSnapshot): Finding {
  const servedMs = new Map<string, number>();
  for (const session of sessions) {
    if (!isAlive(session, at)) continue;
    const ageMs = at.getTime() - session.startedAt.getTime();
    for (const kind of session.kinds) servedMs.set(kind, Math.max(ageMs, servedMs.get(kind) ?? 0));
  }
  // The process that has the kind may have started after the task.
  const served = unvalidated.flatMap((waiting) => {
    const ageMs = servedMs.get(waiting.kind);
    return ageMs === undefined ? [] : [{ ...waiting, waitedMs: Math.min(waiting.waitedMs, ageMs) }];
  });
  const late = served.filter(({ waitedMs }) => grade(waitedMs, UNVALIDATED_MS) !== "ok");
  if (late.length === 0) return ok("no task waits for validation by a process that has its kind");
  const names = namesText(late.map(({ kind, count }) => `${kind} (${countText(count, "task", DUE_COUNTED_MAX)})`));
  const longest = Math.max(...late.map(({ waitedMs }) => waitedMs));
  const found = `not validated by the processes that have the kind: ${names}, for up to ${durationText(longest)}`;
  return graded(worst(late.map(({ waitedMs }) => grade(waitedMs, UNVALIDATED_MS))), found, {
    todo: "read the logs of the servers and workers that have the kind, and check that the workers respond",
    section: "Servers and workers",
  });
}
