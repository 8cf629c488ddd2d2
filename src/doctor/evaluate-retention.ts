import type { Overdue } from "../domain/retention.ts";
import { ok } from "./check.ts";
import type { Finding } from "./check.ts";
import { durationText } from "./format.ts";

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
