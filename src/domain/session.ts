import type { RetrySettings } from "./retry.ts";

/** What a session offers about a kind that it runs: all that a process without the kind needs to start a task. */
export interface KindOffer {
  name: string;
  retry: RetrySettings;
  /**
   * Whether its tasks must be validated before they run, because tasks with the same exclusive key run one at a time.
   * Only a process with the kind can compute the key.
   */
  isExclusive: boolean;
}

/** An offer as read from the store. */
export interface FoundOffer extends KindOffer {
  /** Whether the session of the offer is alive. A session that is late may still be running such tasks. */
  isAlive: boolean;
}

/** A stored session: a server or worker that owns the tasks that it runs. It counts as alive until expiresAt. */
export interface SessionState {
  /** A UUID. A session whose lease expired continues under another id. */
  sessionId: string;
  host: string;
  pid: number;
  /** The names of the kinds that it runs. */
  kinds: readonly string[];
  /** How many tasks it runs at most. */
  capacity: number;
  /** How many tasks it runs now. */
  running: number;
  startedAt: Date;
  /** The time of the last renewal. */
  seenAt: Date;
  /** When its lease expires unless renewed. Other sessions may then take over its tasks. */
  expiresAt: Date;
  /** Whether it belongs to a worker, not a server. */
  isWorker: boolean;
}

/** A task that is stored as running, but whose live owner does not run it. */
export interface StalledTask {
  taskId: string;
  attempt: number;
  /** How long it has been stalled, in milliseconds. */
  forMs: number;
  /** The reason, for people. */
  reason: string;
}
