/** The time range and the tasks that an activity report covers. */
export interface ActivityQuery {
  /** How far back, in ms: ACTIVITY_WINDOW_MS_MIN to ACTIVITY_WINDOW_MS_MAX. */
  windowMs: number;
  /** The width of a step, in ms: ACTIVITY_STEP_MS_MIN or more, at most ACTIVITY_STEPS_MAX of them in the window. */
  stepMs: number;
  /** Only tasks of one of these kinds; empty: all. */
  kinds: readonly string[];
}

/** Counts of recently started and ended tasks, all from one snapshot. */
export interface Activity {
  /**
   * Oldest first. All steps have the same width and start at a multiple of that width since the epoch, by the
   * database's clock. The last step is not over. Including it, there are as many steps as it takes to cover the window.
   */
  steps: ActivityStep[];
  stepMs: number;
  /**
   * Kinds with a pending or running task, or a task that ended within the steps: by name, at most ACTIVITY_KINDS_MAX.
   */
  kinds: KindActivity[];
}

/** How many tasks ended, by status. */
export interface EndedTasks {
  succeeded: number;
  failed: number;
  cancelled: number;
}

/** The counts of one time step. */
export interface ActivityStep extends EndedTasks {
  /** The start of the step. */
  start: Date;
  /** Tasks whose first attempt started in the step. */
  started: number;
  /** Started and unfinished tasks at the end of the step, including tasks that wait for another attempt. */
  running: number;
}

/** The counts of one kind. */
export interface KindActivity extends EndedTasks {
  kind: string;
  /** Tasks that now wait for their first or a later attempt. */
  pending: number;
  /** Tasks that now run. */
  running: number;
  /** Time from the first attempt to the end, of tasks that ended within the steps; null: no started task ended. */
  durations: Durations | null;
}

/**
 * The median and the 95th percentile of durations, by the nearest-rank method. Each is at most 0.1 % longer than the
 * exact duration.
 */
export interface Durations {
  p50Ms: number;
  p95Ms: number;
}
