import type { Limits } from "./tenant-limits.ts";

/** A namespace and what it uses. */
export interface NamespaceState {
  name: string;
  limits: Limits;
  /** null: the namespace of the server's settings, which was never set. */
  createdAt: Date | null;
  createdBy: string | null;
  pendingTasks: number;
  runningTasks: number;
  /** Estimated. */
  storedBytes: number;
}
