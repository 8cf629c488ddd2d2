import type { Kysely } from "kysely";
import type { Logger } from "pino";
import { checkEveryMs, firstPace, nextPace, retainedKinds } from "../../domain/retention.ts";
import type { RemovalPace, RetainedKinds, RetentionSettings } from "../../domain/retention.ts";
import type { Database } from "../../store/schema.ts";
import { FIRST_ENDED, removeDueRetained, removeDueTasks, TAPE_EVENTS_MAX } from "../../store/tasks/due-removals.ts";
import type { DueRemovals, EndedPlace, RemovalBounds } from "../../store/tasks/due-removals.ts";
import type { EngineObserver } from "../api/engine-observer.ts";
import type { Feed } from "../read/feed.ts";
import { Loop } from "../../async/loop.ts";
import { pause } from "../../async/pause.ts";

const SWEEP_MS = 1_000;
/** The bounds of one commit, which takes some 60 ms: the other statements of the database hardly wait. */
export const REMOVAL_BOUNDS: RemovalBounds = { rows: 2_000, tasks: 500, events: 5_000 };
/** The same for Postgres in this process, whose statements block the event loop. */
export const EMBEDDED_REMOVAL_BOUNDS: RemovalBounds = { rows: 500, tasks: 100, events: TAPE_EVENTS_MAX };
/** The most distinct retentions of tasks that one statement reads. */
export const RETENTIONS_MAX = 1_000;
/**
 * How long a scan resumes where the last one ended. After that, it begins with the first ended task again: a restored
 * database may have tasks again that were removed before.
 */
export const RESUME_MS = 24 * 60 * 60_000;
/** The shortest time between two log lines. */
export const LOG_MS = 60_000;

/** Removes one batch of due tasks. */
interface Scan {
  /** Whether the last check has found nothing that may be removed. */
  isIdle(): boolean;
  /** Prepares a new sweep. */
  begin(): void;
  remove(): Promise<DueRemovals>;
  everyMs: number;
  /** When the next sweep is due. All times are by performance.now(). */
  nextAt: number;
  /** When the oldest known due task fell due, or when a failing sweep last found none; null: none is due. */
  dueSince: number | null;
  /** When the last sweep found no due task. */
  completeAt: number;
  pace: RemovalPace;
}

/**
 * Removes ended tasks whose retention has passed, with their tapes: those with a retention of their own, and those whose
 * kind has one by the settings. Every server does this, in batches that share the work.
 *
 * A batch of 500 tasks with 10 events each takes about 60 ms on two cores. With rests of nine times that, a server
 * removes 800 such tasks a second, which is 69 million a day. Without rests, it would be 8,000 a second. If the removals
 * fall behind all the same, the rests become shorter: see nextPace.
 *
 * Other servers are not notified of the removals, because followers of a task so long after its end are rare. Their poll
 * of followed tapes finds the removal within a second. Thousands of notifications a second would delay the others.
 */
export class RetentionSweeper {
  readonly #observer: EngineObserver;
  readonly #feed: Feed;
  readonly #log: Logger;
  readonly #loop: Loop;
  readonly #scans: readonly Scan[];
  #removed = 0;
  #loggedAt = -Infinity;

  constructor(parts: {
    db: Kysely<Database>;
    namespace: string;
    /** Whether Postgres runs in this process. */
    isEmbedded: boolean;
    settings: RetentionSettings;
    /** Whether the last check has found no ended task with a retention of its own. */
    hasNoRetained: () => boolean;
    feed: Feed;
    observer: EngineObserver;
    log: Logger;
  }) {
    const { db, namespace, hasNoRetained } = parts;
    const bounds = parts.isEmbedded ? EMBEDDED_REMOVAL_BOUNDS : REMOVAL_BOUNDS;
    const removals = { db, namespace, bounds };
    this.#observer = parts.observer;
    this.#feed = parts.feed;
    this.#log = parts.log;
    this.#scans = [
      retainedScan(removals, hasNoRetained),
      ...retainedKinds(parts.settings).map((retained) => kindsScan(removals, retained)),
    ];
    const turn = (signal: AbortSignal) => this.#sweep(signal);
    this.#loop = new Loop({ name: "retention-sweeper", everyMs: SWEEP_MS, log: parts.log, turn });
  }

  start(): void {
    this.#loop.start();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  /** For how long the oldest known due task has been due. If sweeps fail: the time since none was due, at most. In ms. */
  get overdueMs(): number {
    const now = performance.now();
    return Math.max(0, ...this.#scans.map(({ dueSince }) => (dueSince === null ? 0 : now - dueSince)));
  }

  /** Removes all due tasks. The scans take turns, so that none waits for the backlog of another one. */
  async #sweep(signal: AbortSignal): Promise<void> {
    const failures: unknown[] = [];
    let scans = this.#scans.filter((scan) => isDue(scan, performance.now()));
    for (const scan of scans) scan.begin();
    while (scans.length > 0) {
      const unfinished: Scan[] = [];
      for (const scan of scans) {
        if (signal.aborted) return;
        const hasMore = await this.#removeBatch(scan, signal).catch((error: unknown) => {
          scan.dueSince ??= scan.completeAt;
          failures.push(error);
          return false;
        });
        if (hasMore) unfinished.push(scan);
        else scan.nextAt = performance.now() + scan.everyMs;
      }
      scans = unfinished;
    }
    if (failures.length > 0) throw failures[0];
  }

  async #removeBatch(scan: Scan, signal: AbortSignal): Promise<boolean> {
    const began = performance.now();
    const { removed, hasMore, overdue } = await scan.remove();
    const workedMs = performance.now() - began;
    for (const { taskId, kind } of removed) {
      this.#feed.observeRemoval(taskId);
      this.#observer.taskRemoved(kind, "retention");
    }
    this.#report(removed.length);
    scan.dueSince = overdue === null ? null : performance.now() - overdue.overdueMs;
    if (!hasMore && overdue === null) scan.completeAt = performance.now();
    scan.pace = nextPace(scan.pace, overdue, performance.now());
    if (removed.length > 0 || hasMore) await pause(scan.pace.restFactor * workedMs, signal).catch(() => {});
    return hasMore;
  }

  /** Logs how many tasks were removed since the last line. */
  #report(removed: number): void {
    this.#removed += removed;
    const now = performance.now();
    if (this.#removed === 0 || now - this.#loggedAt < LOG_MS) return;
    this.#log.info({ removed: this.#removed, overdue_ms: Math.round(this.overdueMs) }, "retention: tasks removed");
    this.#removed = 0;
    this.#loggedAt = now;
  }
}

/** Whether a sweep of the scan is due. One without anything to remove counts as made. */
function isDue(scan: Scan, now: number): boolean {
  if (scan.nextAt > now) return false;
  if (!scan.isIdle()) return true;
  scan.dueSince = null;
  scan.completeAt = now;
  return false;
}

interface Removals {
  db: Kysely<Database>;
  namespace: string;
  bounds: RemovalBounds;
}

/** Scans the tasks with a retention of their own. */
function retainedScan({ db, ...query }: Removals, hasNone: () => boolean): Scan {
  let after: number | null = null;
  return {
    ...fresh(SWEEP_MS),
    isIdle: hasNone,
    begin() {},
    async remove() {
      const removals = await removeDueRetained(db, { ...query, after, retentions: RETENTIONS_MAX });
      ({ after } = removals);
      return removals;
    },
  };
}

/** Scans the ended tasks of kinds with one retention. */
function kindsScan({ db, ...query }: Removals, retained: RetainedKinds): Scan {
  let settled = FIRST_ENDED;
  let resumedUntil = performance.now() + RESUME_MS;
  let from: EndedPlace = settled;
  return {
    ...fresh(checkEveryMs(retained.retentionMs)),
    isIdle: () => false,
    begin() {
      if (performance.now() > resumedUntil) {
        settled = FIRST_ENDED;
        resumedUntil = performance.now() + RESUME_MS;
      }
      from = settled;
    },
    async remove() {
      const removals = await removeDueTasks(db, { ...query, retained, from });
      from = removals.next;
      settled = removals.settled ?? settled;
      return removals;
    },
  };
}

function fresh(everyMs: number): Omit<Scan, "isIdle" | "begin" | "remove"> {
  const now = performance.now();
  return { everyMs, nextAt: now, dueSince: null, completeAt: now, pace: firstPace(now) };
}
