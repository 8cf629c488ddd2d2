import { sql } from "kysely";
import type { Transaction } from "kysely";
import type { Transition } from "../../domain/lifecycle.ts";
import type { Task } from "../../domain/task.ts";
import { arrayTable } from "../array-columns.ts";
import type { Database } from "../schema.ts";
import { missingTask } from "./removed-tasks.ts";
import { SUMMARY_LIST, TASK_COLUMNS, toTask } from "./task-columns.ts";
import type { TaskRow } from "./task-columns.ts";

/** Tasks that a transaction has locked. */
export interface LockedTasks {
  tasks: Task[];
  /** A time after the lock was taken: later than every event on the tapes of the tasks. */
  at: Date;
  /** The tasks whose process has crashed; left out if the query does not read this. */
  died?: ReadonlySet<string>;
}

/** A change to a task that this transaction has locked. */
export interface TaskChange {
  task: Task;
  transition: Exclude<Transition, { type: "unchanged" }>;
}

/** Locks a task until the transaction ends. @throws TaskNotFound, TaskExpired */
export async function lockTask(
  trx: Transaction<Database>,
  { namespace, taskId }: { namespace: string; taskId: string },
): Promise<LockedTasks> {
  const row = await trx
    .selectFrom("tasks")
    .select(TASK_COLUMNS)
    .where("task_id", "=", taskId)
    .where("namespace", "=", namespace)
    .forUpdate()
    .executeTakeFirst();
  if (row === undefined) throw await missingTask(trx, { namespace, taskId });
  return { tasks: [toTask(row)], at: await readClock(trx) };
}

/** Reads the database's clock, which continues within the transaction. */
export async function readClock(trx: Transaction<Database>): Promise<Date> {
  const { rows } = await sql<{ at: Date }>`select clock_timestamp() as at`.execute(trx);
  return rows[0]!.at;
}

/**
 * Changes tasks that this transaction has locked, in one statement: their rows, and one event each. The event gets the
 * seq after all events that the owner has appended.
 *
 * @returns the changed tasks
 */
export async function writeTransitions(
  trx: Transaction<Database>,
  changes: readonly TaskChange[],
  at: Date,
): Promise<Task[]> {
  const { rows } = await sql<TaskRow>`/* spool_transition */
with item as materialized (
  select i.*, ${at}::timestamptz as at,
         case when i.type = 'end' then ${at}::timestamptz end as finished_at,
         case when i.type = 'end' then pg_current_xact_id()::text::bigint end as ended_xid
  from ${CHANGES.unnest(changes)} as i (${CHANGES.names})
),
moved as (
  update tasks t
  set status = i.status,
      last_seq = t.last_seq + 1,
      lease = case when i.type = 'ask' then t.lease end,
      attempt_deadline_at = case when i.type = 'ask' then t.attempt_deadline_at end,
      cancel_requested_at = case when i.type = 'ask' then i.at else t.cancel_requested_at end,
      cancel_reason = case when i.type = 'ask' then i.reason else t.cancel_reason end,
      cancelled_by = coalesce(t.cancelled_by, i.cancelled_by),
      run_at = case when i.type = 'requeue' then i.next_attempt_at else t.run_at end,
      handovers = t.handovers + i.handovers,
      blocked = t.blocked and i.type = 'ask',
      crashes = coalesce(i.crashes, t.crashes),
      finished_at = i.finished_at,
      ended_xid = i.ended_xid
  from item i
  where t.task_id = i.task_id and t.status = i.was and t.attempt = i.attempt
  returning ${SUMMARY_LIST}
),
released as (
  delete from task_exclusives
  where task_id in (select task_id from item where was = 'running' and type <> 'ask')
),
recorded as (
  insert into task_events (task_id, seq, time, type, body)
  select m.task_id, m.last_seq, i.at, i.event_type, i.body::json from moved m join item i using (task_id)
)
select * from moved`.execute(trx);
  const changed = new Map(rows.map((row) => [row.task_id, toTask(row)]));
  return changes.map(({ task: { taskId, params } }) => {
    const task = changed.get(taskId);
    if (task === undefined) throw new Error(`task ${taskId} was changed although it was locked`);
    return { ...task, params };
  });
}

const CHANGES = arrayTable<TaskChange>([
  { name: "task_id", type: "uuid", value: ({ task }) => task.taskId },
  { name: "was", type: "text", value: ({ task }) => task.status },
  { name: "attempt", type: "int", value: ({ task }) => task.attempt },
  { name: "type", type: "text", value: ({ transition }) => transition.type },
  { name: "status", type: "text", value: ({ task, transition }) => statusAfter(task, transition) },
  { name: "reason", type: "text", value: ({ transition }) => (transition.type === "ask" ? transition.reason : null) },
  {
    name: "cancelled_by",
    type: "text",
    value: ({ transition }) => ("cancelledBy" in transition ? transition.cancelledBy : null),
  },
  {
    name: "next_attempt_at",
    type: "timestamptz",
    value: ({ transition }) => (transition.type === "requeue" ? transition.nextAttemptAt.toISOString() : null),
  },
  {
    name: "handovers",
    type: "int",
    value: ({ transition }) => (transition.type === "requeue" && transition.isHandover ? 1 : 0),
  },
  { name: "crashes", type: "int", value: ({ transition }) => ("crashes" in transition ? transition.crashes : null) },
  { name: "event_type", type: "text", value: ({ transition }) => transition.event.type },
  { name: "body", type: "text", value: ({ transition }) => transition.event.body },
]);

function statusAfter(task: Task, transition: TaskChange["transition"]): Task["status"] {
  switch (transition.type) {
    case "ask":
      return task.status;
    case "requeue":
      return "pending";
    case "end":
      return transition.status;
  }
}
