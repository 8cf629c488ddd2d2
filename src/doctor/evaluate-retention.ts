import type { Overdue } from "../domain/retention.ts";
import { ok } from "./check.ts";
import type { Finding } from "./check.ts";
import { PENDING_HOOKS_COUNTED_MAX } from "../store/tasks/removal-hooks.ts";
import type { PendingHooks } from "../store/tasks/removal-hooks.ts";
import { countText, durationText } from "./format.ts";
import { HOOK_PENDING_MS } from "./thresholds.ts";

/** Evaluates ended tasks that should have been removed. @param overdue tasks that are overdue for longer than is usual */
export function evaluateRetention(overdue: readonly Overdue[]): Finding {
  const [longest] = overdue.toSorted((a, b) => b.overdueMs - a.overdueMs);
  if (longest === undefined) return ok("no removal is overdue by more than 1 h or a tenth of its retention");
  const { overdueMs, retentionMs } = longest;
  return {
    status: "warn",
    found: `an ended task is kept for ${durationText(overdueMs)} longer than its retention of ${durationText(retentionMs)}`,
    todo: "after an upgrade or a shorter retention, wait; otherwise read the lines of retention-sweeper in the servers' logs",
    section: "Retention",
  };
}

/** Evaluates hooks of removed tasks that have been pending for long. @param pending the kind with the oldest first */
export function evaluateHooks(pending: readonly PendingHooks[]): Finding {
  const [first] = pending;
  if (first === undefined) return ok(`no hook of a removed task is pending for ${durationText(HOOK_PENDING_MS.warn)}`);
  const { kind, oldestMs, lastError } = first;
  const count = pending.reduce((sum, { count }) => sum + count, 0);
  const hooks = countText(count, "hook", PENDING_HOOKS_COUNTED_MAX);
  return {
    status: "warn",
    found: `${hooks} of removed tasks pending: of kind ${kind} for ${durationText(oldestMs)}, ${lastError ?? "not run: no server runs the kind with its hook"}`,
    todo: "fix the hook, or start a server with the kind; to give up, delete the rows of removal_hooks",
    section: "Retention",
  };
}
