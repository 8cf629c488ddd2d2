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

// What is found of tasks that stand still, and of the ways by which they would move.

/** What a sweeper was to do by now, and has not. */
export interface SweeperLag {
  overdue: Readonly<Record<OverdueReason, readonly OverdueTask[]>>;
  /** Sessions that own nothing any more and ran out so long ago, in ms. */
  leftSessionsMs: readonly number[];
}

const SAID = {
  lost: "whose session is gone",
  cancel: "past a cancel",
  deadline: "past the deadline of their attempt",
  expired: "waiting past their deadline",
} as const satisfies Record<OverdueReason, string>;

export function judgeSweeper({ overdue, leftSessionsMs }: SweeperLag): Finding {
  const reasons = (Object.keys(SAID) as OverdueReason[]).filter((reason) => overdue[reason].length > 0);
  const texts = reasons.map((reason) => {
    const tasks = overdue[reason];
    const known = tasks.flatMap(({ overdueMs }) => overdueMs ?? []);
    const time = known.length === 0 ? "" : ` by up to ${durationText(Math.max(...known))}`;
    return `${countText(tasks.length, "task", OVERDUE_COUNTED_MAX)} ${SAID[reason]}${time}`;
  });
  if (leftSessionsMs.length > 0) {
    const longest = durationText(Math.max(...leftSessionsMs));
    texts.push(`${countText(leftSessionsMs.length, "session")} run out ${longest} ago and not removed`);
  }
  if (texts.length === 0) {
    return ok(`nothing is overdue by more than ${durationText(SWEEP_LATE_MS.warn)}, and no session is left behind`);
  }
  // Of a session that is gone nobody knows since when: it was so at two looks, and that is longer than a sweep.
  const grades = reasons.flatMap((reason) =>
    overdue[reason].map(({ overdueMs }) => (overdueMs === null ? "warn" : grade(overdueMs, SWEEP_LATE_MS))),
  );
  return graded(worst(["warn", ...grades]), `not swept: ${texts.join("; ")}`, {
    todo: "see that a server is alive, what its log says of the sweeper, and whether a transaction holds the rows",
    section: "What happens when something dies",
  });
}

/**
 * Tasks that are stored as running and do not run.
 *
 * @param stalled what their owners report, those first that stall longest
 * @param overloaded sessions that own more running tasks than they can have, at two checks
 */
export function judgeRunning({
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
      todo: "see the database's log for that SQLSTATE and time; the owner retries, and restarting it hands its tasks over",
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
      found: `processes own more running tasks than they can have: ${owners}`,
      todo: "see their logs for ends that are not stored; restarting one hands its tasks over",
      section: "What happens when something dies",
    };
  }
  return ok("every task that is RUNNING at a live process runs there");
}

/** @param stuck tasks that were due at two looks, each time with a slot free where they were next */
export function judgeWaiting(stuck: readonly ClaimableTask[]): Finding {
  if (stuck.length === 0) return ok("no task is due and waits where a slot is free");
  const longest = Math.max(...stuck.map(({ waitedMs }) => waitedMs));
  const kinds = namesText([...new Set(stuck.map(({ kind }) => kind))]);
  const first = stuck[0]!.taskId;
  const found = `${countText(stuck.length, "task")} of ${kinds} due for ${durationText(longest)} while slots are free: ${first}`;
  return graded(grade(longest, CLAIM_LATE_MS), found, {
    todo: "see whether a transaction holds the row, and whether those who have the kind are draining",
    section: "What happens when something dies",
  });
}

export function judgeKeys(idle: readonly IdleKey[]): Finding {
  const [first] = idle;
  if (first === undefined) return ok("every exclusive key that is held belongs to a task that runs");
  const task = first.status === null ? "that is not there" : `that is ${first.status}`;
  return {
    status: "fail",
    found: `${countText(idle.length, "exclusive key", IDLE_KEYS_MAX)} held by no running task: ${first.key} by ${first.taskId} ${task}`,
    todo: "delete that row of task_exclusives: what waits for the key would wait for ever; and report it",
    section: "Inspecting the database with psql",
  };
}

/** @param roundTripMs from NOTIFY to its arrival; null: none came */
export function judgeWakeup(roundTripMs: number | null): Finding {
  const advice = {
    todo: "connect past the pooler, or in its session mode; until then servers find out by looking, once a second",
    section: "Several servers",
  } as const;
  if (roundTripMs === null) return { status: "warn", found: "a NOTIFY did not arrive at who listened", ...advice };
  const status = roundTripMs >= WAKEUP_MS_MAX ? "warn" : "ok";
  return graded(status, `a NOTIFY arrives after ${durationText(roundTripMs)}`, advice);
}
