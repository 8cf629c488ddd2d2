import type { Stage } from "../stages/stage.ts";

/**
 * Sets how often autovacuum cleans each table, by how the table is written. docs/adr/0044 has the reasons, and the
 * settings that were tried and left out. `alter table … set` changes only the catalog: it blocks no reader and no writer.
 *
 * With the defaults of Postgres, autovacuum begins when a fifth of a table is dead. For a table of ten million tasks,
 * that is two million dead rows, each in several indexes that claims and sweeps read.
 */
export const stages: readonly Stage[] = [
  {
    type: "transaction",
    table: "tasks",
    // Each task leaves two or three dead rows, and its removal one more. A twentieth bounds what scans of the small
    // indexes read for nothing. A smaller share would read all indexes of a large table too often: a vacuum reads each
    // of them from end to end. The statistics of statuses change as often. `fillfactor = 80` is set since the first step.
    statements: [
      `alter table tasks set (
        autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000,
        autovacuum_analyze_scale_factor = 0.05, autovacuum_analyze_threshold = 1000
      )`,
    ],
  },
  {
    type: "transaction",
    table: "task_events",
    // Events are never updated. They are deleted in batches when they are packed or removed, and new events take the
    // space only after a vacuum: so the share is also how much larger the table gets than its events. TOAST follows.
    statements: [`alter table task_events set (autovacuum_vacuum_scale_factor = 0.05)`],
  },
  {
    type: "transaction",
    table: "packed_events",
    // Packs are written once and stay until their task is removed. The vacuum that follows inserts freezes them at once,
    // so that a vacuum against wraparound need not read and write all of them again. The text is in TOAST, which follows.
    statements: [
      `alter table packed_events set (autovacuum_vacuum_scale_factor = 0.05, autovacuum_freeze_min_age = 0)`,
    ],
  },
  {
    type: "transaction",
    table: "task_requests",
    // Deleted with their tasks.
    statements: [`alter table task_requests set (autovacuum_vacuum_scale_factor = 0.05)`],
  },
  {
    type: "transaction",
    table: "removed_tasks",
    // As task_requests. A marker of a long tape is updated once.
    statements: [`alter table removed_tasks set (autovacuum_vacuum_scale_factor = 0.05)`],
  },
  {
    type: "transaction",
    table: "task_exclusives",
    // A row for each held key, deleted when its task ends: few rows, and all of them dead within seconds. Autovacuum
    // cleans the table each time it comes by, without a share. To cut off empty pages, a vacuum would lock the table
    // exclusively, and the table would grow again at once.
    statements: [
      `alter table task_exclusives set (
        autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500, vacuum_truncate = off
      )`,
    ],
  },
  {
    type: "transaction",
    table: "sessions",
    // A row for each server and worker, updated every few seconds in columns without an index. Such updates take the
    // space of dead versions in their page without a vacuum, also with `fillfactor = 100`. What is left after a
    // transaction that held an old snapshot is cleaned as in task_exclusives.
    statements: [
      `alter table sessions set (
        autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500, vacuum_truncate = off
      )`,
    ],
  },
];
