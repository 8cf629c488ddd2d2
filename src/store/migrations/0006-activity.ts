import type { Stage } from "../stages/stage.ts";

/**
 * Adds an index to count recently ended tasks. Each task is added once, when it ends, in the order of time. Tasks that
 * have not ended are not in the index. docs/adr/0014 explains the cost, and why this is not a BRIN index.
 */
export const stages: readonly Stage[] = [
  {
    type: "index",
    table: "tasks",
    index: "tasks_finished",
    definition: `(namespace, finished_at) where finished_at is not null`,
  },
];
