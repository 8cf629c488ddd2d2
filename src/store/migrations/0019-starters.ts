import type { Stage } from "../stages/stage.ts";

/**
 * Adds an index of the waiting tasks that an authenticated caller has started. A server counts those of a caller with a
 * limit, at most as many entries as the limit.
 */
export const stages: readonly Stage[] = [
  {
    type: "index",
    table: "tasks",
    index: "tasks_waiting_of_starter",
    definition: `(namespace, started_by) where status = 'pending' and started_by is not null`,
  },
];
