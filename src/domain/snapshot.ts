/**
 * Which transactions of the database are visible: all below `xmin`, and those from xmin to below `xmax` that are not
 * `running`. Transaction numbers have 64 bits.
 */
export interface Snapshot {
  xmin: bigint;
  xmax: bigint;
  /** Transactions that had started to write and not ended, from xmin to below xmax, ascending. */
  running: readonly bigint[];
  /** By the database's clock. */
  at: Date;
  /** The timeline of the database: each promotion of a standby and each restore starts another. null: unknown. */
  timeline: number | null;
  /** Whether a synchronous standby had received the log up to this snapshot. */
  isReplicated: boolean;
}

/** The snapshot in which nothing is visible. */
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
