import type { RetrySettings } from "./retry.ts";

/** What a session says of a kind that it runs: what a process that has not got the kind has to know to start a task. */
export interface KindOffer {
  name: string;
  retry: RetrySettings;
  /**
   * Whether its tasks are to be looked over before they can run, because of some only one may run at a time: which,
   * only those can tell who have the kind.
   */
  isExclusive: boolean;
}

/** The same as it was found in the store. */
export interface FoundOffer extends KindOffer {
  /** Whether the session that says so is alive. One that is late may be running such tasks all the same. */
  isAlive: boolean;
}

/** A server or worker that owns the tasks that it runs, as it is stored. It counts as alive until expiresAt. */
export interface SessionState {
  /** A UUID. One that was thought dead goes on under another. */
  sessionId: string;
  host: string;
  pid: number;
  /** What it runs. */
  kinds: readonly string[];
  /** How many tasks it runs at once, at the most. */
  capacity: number;
  /** How many are running under it. */
  running: number;
  startedAt: Date;
  /** When it was renewed last. */
  seenAt: Date;
  /** When its lease expires unless renewed. Other sessions may then take over its tasks. */
  expiresAt: Date;
  /** Whether it is a worker's, and not a server's. */
  isWorker: boolean;
}

/** A task that is stored as running, and whose owner lives and does not run it. */
export interface StalledTask {
  taskId: string;
  attempt: number;
  /** For how long, in milliseconds. */
  forMs: number;
  /** Why, for people. */
  reason: string;
}
