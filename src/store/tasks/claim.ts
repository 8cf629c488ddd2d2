import type { Task } from "../../domain/task.ts";

/** What a session wants to claim. */
export interface Claim {
  namespace: string;
  /** The kinds that the session runs. If the limit is too low for all kinds, the first ones are served first. */
  kinds: readonly string[];
  /** The session that will own the tasks. */
  lease: string;
  /** The most tasks to claim; 0: only check the keys. */
  limit: number;
  /** The most tasks with exclusive keys to read of each kind. Default: limit + 1. */
  window?: number;
  /** The number of crashes in a row from which a task is suspected of crashing its process. */
  suspectedFrom?: number;
  /** Exclusive keys to check. If a key is free, its next task is claimed, or unblocked for another session. */
  keys?: readonly string[];
  /**
   * Leaves out tasks without exclusive keys that have been due since before this, by kind: as `dueFrom` of an earlier
   * claim. So the claim does not read the index entries of tasks that were claimed before, which stay as long as a
   * transaction holds an old snapshot. null, or no entry: reads all tasks.
   */
  dueFrom?: ReadonlyMap<string, Date> | null;
  /** A claim that has not been sent when this fires takes nothing. */
  signal?: AbortSignal;
}

/** The tasks that a claim got. */
export interface Claimed {
  tasks: Task[];
  /** When the attempts of the tasks began. */
  at: Date;
  /** Whether another claim may get more tasks at once. */
  hasMore: boolean;
  /** Keys whose tasks became blocked. A key may have been released since, so the next claim must check it. */
  blockedKeys: string[];
  /**
   * By kind, a time before which no task without an exclusive key was due, except for tasks that a claim may not take
   * yet. A task whose commit takes longer than COMMIT_MS_MAX, or that was pending before, may be due earlier.
   */
  dueFrom: ReadonlyMap<string, Date>;
}
