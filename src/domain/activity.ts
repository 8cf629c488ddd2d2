/** The time range and the tasks that an activity report covers. */
export interface ActivityQuery {
  /** How far back, in ms: ACTIVITY_WINDOW_MS_MIN to ACTIVITY_WINDOW_MS_MAX. */
  windowMs: number;
  /** The width of a step, in ms: ACTIVITY_STEP_MS_MIN or more, at most ACTIVITY_STEPS_MAX of them in the window. */
  stepMs: number;
  /** Only tasks of one of these kinds; empty: all. */
  kinds: readonly string[];
}

/** Recently begun and ended tasks, all counted in one snapshot. */
export interface Activity {
  /**
   * Oldest first, all of one width, each beginning at a whole multiple of it since the epoch, by the database's clock.
   * The last one is under way, and together they are the window: as many as it takes to fill that, this one included.
   */
  steps: ActivityStep[];
  stepMs: number;
  /** Of each kind with a task that waits, runs, or has ended within the steps: by name, at most ACTIVITY_KINDS_MAX. */
  kinds: KindActivity[];
}

/** How many tasks ended how. */
export interface EndedTasks {
  succeeded: number;
  failed: number;
  cancelled: number;
}

/** What a stretch of time saw. */
export interface ActivityStep extends EndedTasks {
  /** When it begins. */
  start: Date;
  /** Tasks whose first attempt began. */
  started: number;
  /** Tasks that had begun and not ended when it ended; those that wait for another attempt are among them. */
  running: number;
}

/** How a kind fared. */
export interface KindActivity extends EndedTasks {
  kind: string;
  /** As of now: tasks that wait, for their first attempt or another. */
  pending: number;
  /** As of now. */
  running: number;
  /** From the first attempt's begin to the end, of those that ended within the steps; null: none that had begun did. */
  durations: Durations | null;
}

/**
 * Of so many durations in order, the first that half of them, or 95 of 100, are no longer than. It is one of them, and
 * at most a thousandth longer than the exact one.
 */
export interface Durations {
  p50Ms: number;
  p95Ms: number;
}
