import type { SessionState } from "../domain/session.ts";
import { STALLED_TASKS_READ_MAX } from "../store/session-queries.ts";
import type { OwnedStalledTask } from "../store/session-queries.ts";
import type { OverdueReason, OverdueTask } from "../store/tasks/sweep-queries.ts";
import { OVERDUE_COUNTED_MAX } from "../store/tasks/sweep-queries.ts";
import type { ClaimableTask, IdleKey } from "../store/reports/waiting-queries.ts";
import { IDLE_KEYS_MAX } from "../store/reports/waiting-queries.ts";
import { grade, graded, ok, worst } from "./check.ts";
import type { Finding } from "./check.ts";
import { countText, durationText, namesText } from "./format.ts";
import { CLAIM_LATE_MS, STALLED_MS, SWEEP_LATE_MS, WAKEUP_MS_MAX } from "./thresholds.ts";

// Evaluates tasks that make no progress, and the sweeper and wakeups that move tasks on.

/** Work that a sweeper has not done in time. */
export interface SweeperLag {
  overdue: Readonly<Record<OverdueReason, readonly OverdueTask[]>>;
  /** How long ago each session expired that owns no task, in ms. */
  leftSessionsMs: readonly number[];
}

const OVERDUE_TEXTS = {
  lost: "whose session is gone",
  cancel: "past a cancel",
  deadline: "past the deadline of their attempt",
  expired: "waiting past their deadline",
} as const satisfies Record<OverdueReason, string>;

export function evaluateSweeper({ overdue, leftSessionsMs }: SweeperLag): Finding {
  const reasons = (Object.keys(OVERDUE_TEXTS) as OverdueReason[]).filter((reason) => overdue[reason].length > 0);
  const texts = reasons.map((reason) => {
    const tasks = overdue[reason];
    const known = tasks.flatMap(({ overdueMs }) => overdueMs ?? []);
    const time = known.length === 0 ? "" : ` by up to ${durationText(Math.max(...known))}`;
    return `${countText(tasks.length, "task", OVERDUE_COUNTED_MAX)} ${OVERDUE_TEXTS[reason]}${time}`;
  });
  if (leftSessionsMs.length > 0) {
    const longest = durationText(Math.max(...leftSessionsMs));
    texts.push(`${countText(leftSessionsMs.length, "session")} expired ${longest} ago and not removed`);
  }
  if (texts.length === 0) {
    return ok(`nothing is overdue by more than ${durationText(SWEEP_LATE_MS.warn)}, and no expired session is left`);
  }
  // The time at which a session was removed is unknown. Two scans found the task, more than one sweep apart.
  const grades = reasons.flatMap((reason) =>
    overdue[reason].map(({ overdueMs }) => (overdueMs === null ? "warn" : grade(overdueMs, SWEEP_LATE_MS))),
  );
  return graded(worst(["warn", ...grades]), `not swept: ${texts.join("; ")}`, {
    todo: "check that a server is alive, read the sweeper's lines in its log, and see the check transactions",
    section: "What happens when something dies",
  });
}

/**
 * Evaluates tasks that are stored as running and do not run.
 *
 * @param stalled tasks that their owners report as stalled, longest first
 * @param overloaded sessions that own more running tasks than they can run, in two scans
 */
export function evaluateRunning({
  stalled,
  overloaded,
}: {
  stalled: readonly OwnedStalledTask[];
  overloaded: readonly SessionState[];
}): Finding {
  const [first] = stalled;
  if (first !== undefined) {
    const owner = `${first.host}/${first.pid}`;
    const found = `${countText(stalled.length, "task", STALLED_TASKS_READ_MAX)} RUNNING without running code: ${first.taskId} at ${owner} for ${durationText(first.forMs)}, ${first.reason}`;
    return graded(grade(first.forMs, STALLED_MS), found, {
      todo: "find that SQLSTATE and time in Postgres's log; the owner retries, and a restart hands its tasks over",
      section: "What happens when something dies",
    });
  }
  if (overloaded.length > 0) {
    const owners = namesText(
      overloaded.map(
        ({ host, pid, running, capacity }) => `${host}/${pid} ${running} with ${countText(capacity, "slot")}`,
      ),
    );
    return {
      status: "warn",
      found: `processes own more running tasks than they can run: ${owners}`,
      todo: "search their logs for ends that could not be stored; a restart hands the tasks over",
      section: "What happens when something dies",
    };
  }
  return ok("every RUNNING task of a live process has running code");
}

/** @param stuck tasks that two scans found due and next in line, both times with a free slot */
export function evaluateWaiting(stuck: readonly ClaimableTask[]): Finding {
  if (stuck.length === 0) return ok("no due task waits while a slot is free");
  const longest = Math.max(...stuck.map(({ waitedMs }) => waitedMs));
  const kinds = namesText([...new Set(stuck.map(({ kind }) => kind))]);
  const first = stuck[0]!.taskId;
  const found = `${countText(stuck.length, "task")} of ${kinds} due for ${durationText(longest)} while slots are free: ${first}`;
  return graded(grade(longest, CLAIM_LATE_MS), found, {
    todo: "see the check transactions, and whether the servers and workers that have the kind are draining",
    section: "What happens when something dies",
  });
}

export function evaluateKeys(idle: readonly IdleKey[]): Finding {
  const [first] = idle;
  if (first === undefined) return ok("every held exclusive key belongs to a running task");
  const task = first.status === null ? "which does not exist" : `which is ${first.status}`;
  return {
    status: "fail",
    found: `${countText(idle.length, "exclusive key", IDLE_KEYS_MAX)} held by no running task: ${first.key} by ${first.taskId} ${task}`,
    todo: "delete that row of task_exclusives (tasks that wait for the key never start otherwise), and report a bug",
    section: "Inspecting the database with psql",
  };
}

/** @param roundTripMs time from NOTIFY to its arrival; null: it did not arrive */
export function evaluateWakeup(roundTripMs: number | null): Finding {
  const advice = {
    todo: "bypass the pooler, or use its session mode; until then servers poll once a second",
    section: "Several servers",
  } as const;
  if (roundTripMs === null) return { status: "warn", found: "a NOTIFY did not arrive at the listener", ...advice };
  const status = roundTripMs >= WAKEUP_MS_MAX ? "warn" : "ok";
  return graded(status, `a NOTIFY arrived after ${durationText(roundTripMs)}`, advice);
}
