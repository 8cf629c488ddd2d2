/** How long ended tasks are kept that have no retention of their own. In milliseconds; null: forever. */
export interface RetentionSettings {
  retention: number | null;
  /** The retention of the tasks of single kinds. */
  retentionByKind: ReadonlyMap<string, number | null>;
}

/** The tasks with one retention by the settings. */
export interface RetainedKinds {
  retentionMs: number;
  /** Whether these are the tasks of `kinds`, or those of all other kinds. */
  isOnly: boolean;
  kinds: readonly string[];
}

/** Returns the groups of tasks that are removed some time, one for each distinct retention of the settings. */
export function retainedKinds({ retention, retentionByKind }: RetentionSettings): RetainedKinds[] {
  const kindsOf = new Map<number, string[]>();
  const others: string[] = [];
  for (const [kind, retentionMs] of retentionByKind) {
    if (retentionMs === retention) continue;
    others.push(kind);
    if (retentionMs !== null) kindsOf.set(retentionMs, [...(kindsOf.get(retentionMs) ?? []), kind]);
  }
  const groups = [...kindsOf].map(([retentionMs, kinds]) => ({ retentionMs, isOnly: true, kinds }));
  return retention === null ? groups : [{ retentionMs: retention, isOnly: false, kinds: others }, ...groups];
}

/** How late the removal of the oldest due task is. */
export interface Overdue {
  overdueMs: number;
  /** How long the task was to be kept. */
  retentionMs: number;
}

/** The shortest and the longest time that a removal may be overdue before removals take a larger share. */
const LATE_MS_MIN = 10_000;
const LATE_MS_MAX = 10 * 60_000;

/**
 * Returns how long removals rest after a batch, as a multiple of the time that the batch took: 9 times, a tenth of one
 * connection, as long as they keep up. If the oldest due task is overdue by more than a tenth of its retention or 10
 * minutes, and at least by 10 s, 3 times: a quarter of a connection. Past ten times that, once: a half.
 */
export function restFactor({ overdueMs, retentionMs }: Overdue): number {
  const lateMs = Math.max(LATE_MS_MIN, Math.min(LATE_MS_MAX, retentionMs / 10));
  if (overdueMs <= lateMs) return 9;
  return overdueMs <= 10 * lateMs ? 3 : 1;
}

const CHECK_MS_MIN = 1_000;
const CHECK_MS_MAX = 60_000;

/** Returns how often removals check for due tasks of a retention: a hundred times within it, each second to minute. */
export function checkEveryMs(retentionMs: number): number {
  return Math.min(CHECK_MS_MAX, Math.max(CHECK_MS_MIN, retentionMs / 100));
}

/** The shortest time after which the doctor reports an overdue removal. */
const REPORTED_MS_MIN = 60 * 60_000;

/** Returns by how much a removal must be overdue to be reported: a tenth of the retention, and at least an hour. */
export function reportedOverdueMs(retentionMs: number): number {
  return Math.max(REPORTED_MS_MIN, retentionMs / 10);
}
