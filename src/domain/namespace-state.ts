import type { Limits } from "./tenant-limits.ts";

/** A namespace and what it uses. */
export interface NamespaceState {
  name: string;
  limits: Limits;
  /** null: the namespace of the server's settings, which was never set. */
  createdAt: Date | null;
  createdBy: string | null;
  /** The shard that it lives on. */
  shard: string;
  /** null: the shard cannot be reached. */
  usage: NamespaceUsage | null;
}

/** What a namespace uses. */
export interface NamespaceUsage {
  pendingTasks: number;
  runningTasks: number;
  /** Estimated. */
  storedBytes: number;
}
