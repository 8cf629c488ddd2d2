import type { Stage } from "../stages/stage.ts";

/**
 * Adds the number of the transaction that ended a task. A follower of many tasks finds by it the tasks that have ended
 * since its cursor. The number is written once, with the end, which updates an index anyway.
 *
 * Tasks that ended before this step have 0, as a default, which needs no rewrite of the table. A server of an earlier
 * version, which may run on for a while, leaves null. Tasks that have not ended get null in batches. Such a task may end
 * before its batch, and then has 0: no cursor is older than this step, so the task ended before every cursor.
 */
export const stages: readonly Stage[] = [
  {
    type: "transaction",
    table: "tasks",
    statements: [
      `alter table tasks add column if not exists ended_xid bigint default 0`,
      `alter table tasks alter column ended_xid drop default`,
    ],
  },
  // Without this index, each batch would read the whole table.
  {
    type: "index",
    table: "tasks",
    index: "tasks_not_ended_with_xid",
    definition: `(task_id) where status in ('pending', 'running') and ended_xid is not null`,
  },
  {
    type: "backfill",
    table: "tasks",
    statement: `update tasks set ended_xid = null where task_id in (
      select task_id from tasks where status in ('pending', 'running') and ended_xid is not null
      order by task_id limit 500 for update
    )`,
  },
  { type: "drop index", table: "tasks", index: "tasks_not_ended_with_xid" },
  {
    type: "index",
    table: "tasks",
    index: "tasks_ended",
    definition: `(namespace, ended_xid, task_id) where finished_at is not null`,
  },
  {
    type: "index",
    table: "tasks",
    index: "tasks_ended_unsaid",
    definition: `(namespace, task_id) where finished_at is not null and ended_xid is null`,
  },
  // The few waiting tasks that have a tape. Without this index, a query would scan the whole queue for them.
  {
    type: "index",
    table: "tasks",
    index: "tasks_waiting_again",
    definition: `(namespace, task_id) where status = 'pending' and attempt > 0`,
  },
];
