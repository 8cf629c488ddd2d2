/** Why a connection was dropped early. */
export type DropReason = "read_only" | "moved" | "broken";

/** Metrics of a pool. */
export interface PoolStats {
  /** Open connections. */
  connections: number;
  idle: number;
  connectionsMax: number;
  /** Statements that wait for a connection. */
  waiting: number;
  /** Statements that got no connection in time because all were in use, since the start of the process. */
  timeouts: number;
  /** Connections that were dropped, since the start of the process. */
  dropped: Readonly<Record<DropReason, number>>;
}

/** Listens to incidents of a pool. Each incident is reported once. */
export interface PoolWatch {
  /** The database takes no writes, or another server answers for it: all connections were dropped. */
  dropped(reason: DropReason, error: Error | null): void;
  /** A statement got no connection in time because all were in use. */
  exhausted(stats: PoolStats): void;
}
