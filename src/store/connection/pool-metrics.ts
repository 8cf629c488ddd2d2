/** Why a connection was dropped before its time. */
export type DropReason = "read_only" | "moved" | "broken";

export interface PoolFigures {
  connections: number;
  idle: number;
  connectionsMax: number;
  /** Statements that wait for a connection. */
  waiting: number;
  /** Statements that were given up because all connections stayed taken, since the start. */
  timeouts: number;
  /** Connections that were dropped, since the start. */
  dropped: Readonly<Record<DropReason, number>>;
}

/** What a pool tells of, once an episode. */
export interface PoolWatch {
  /** The database was found to take no writes, or another server answers for it: all connections are dropped. */
  dropped(reason: DropReason, error: Error | null): void;
  /** All connections are taken, and a statement was given up for it. */
  exhausted(figures: PoolFigures): void;
}
