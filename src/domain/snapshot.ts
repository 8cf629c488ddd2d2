/**
 * Which of the database's transactions are visible at a moment: those below `xmin`, and of those from there to below
 * `xmax` all that are not `running`. Numbers of transactions are of 64 bits.
 */
export interface Snapshot {
  xmin: bigint;
  xmax: bigint;
  /** Those that had begun to write and not ended, from xmin to below xmax, rising. */
  running: readonly bigint[];
  /** By the database's clock. */
  at: Date;
  /** The timeline of the database: each promotion of a standby and each restore begins another; null: unknown. */
  timeline: number | null;
  /** Whether a synchronous standby had received the log up to this snapshot. */
  isReplicated: boolean;
}

/** What is visible to who has seen nothing. */
export const NOTHING: Snapshot = {
  xmin: 0n,
  xmax: 0n,
  running: [],
  at: new Date(0),
  timeline: null,
  isReplicated: false,
};

/** Maximum age of a snapshot, in transactions: half of the range that PostgreSQL can compare. */
export const SNAPSHOT_AGE_MAX = 2_000_000_000n;
