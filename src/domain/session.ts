/** A process that owns the tasks that it runs, as it is stored. It counts as alive until expiresAt. */
export interface SessionState {
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
  expiresAt: Date;
}
