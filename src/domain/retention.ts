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

/** The shortest and the longest time that a removal may be overdue before removals may take a larger share. */
const LATE_MS_MIN = 10_000;
const LATE_MS_MAX = 10 * 60_000;
/** How long removals keep a pace before they change it. */
const PACE_MS = 30_000;
/** How long removals rest after a batch, as multiples of the time that the batch took. */
const REST_FACTORS = [9, 3, 1] as const;

/** The pace of removals, and what it was chosen by. */
export interface RemovalPace {
  /** How long removals rest after a batch, as a multiple of the time that the batch took. */
  restFactor: number;
  /** How late the oldest due task was when the pace began; null: not known yet. */
  overdueMs: number | null;
  /** When the pace began, in ms of a clock that is never set back. */
  since: number;
}

/** Returns the first pace: removals take a tenth of one connection. */
export function firstPace(now: number): RemovalPace {
  return { restFactor: REST_FACTORS[0], overdueMs: null, since: now };
}

/**
 * Returns the pace of the next removals. They take a tenth of one connection as long as they keep up, then a quarter,
 * then a half.
 *
 * Removals keep up if the oldest due task gets less late. A large backlog, such as that of a first start with a
 * retention, is no reason to hurry: the tasks of a day are removed in less than a day. Removals fall behind if, over 30 s,
 * the oldest due task got later by half of that time, and is late by more than a tenth of its retention or 10 minutes, and
 * by 10 s at least.
 */
export function nextPace(pace: RemovalPace, overdue: Overdue | null, now: number): RemovalPace {
  if (overdue === null) return firstPace(now);
  const { overdueMs, retentionMs } = overdue;
  if (pace.overdueMs === null) return { ...pace, overdueMs, since: now };
  const elapsedMs = now - pace.since;
  if (elapsedMs < PACE_MS) return pace;
  const lateMs = Math.max(LATE_MS_MIN, Math.min(LATE_MS_MAX, retentionMs / 10));
  const grownMs = overdueMs - pace.overdueMs;
  const isBehind = overdueMs > lateMs && grownMs > elapsedMs / 2;
  const place = REST_FACTORS.findIndex((factor) => factor === pace.restFactor);
  const next = isBehind ? Math.min(place + 1, REST_FACTORS.length - 1) : Math.max(0, place - (grownMs < 0 ? 1 : 0));
  return { restFactor: REST_FACTORS[next]!, overdueMs, since: now };
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
