import { sql } from "kysely";
import type { Transaction } from "kysely";
import type { NewEvent } from "../domain/event.ts";
import type { Transition } from "../domain/lifecycle.ts";
import type { Task } from "../domain/task.ts";
import type { Database } from "./schema.ts";
import { TASK_COLUMNS, toTask } from "./task-queries.ts";

/**
 * Makes a transition of a task that this transaction has locked: the row and its event together. The event is numbered
 * after whatever the owner has appended by then.
 *
 * @returns the task as it is afterwards
 */
export async function applyTransition(
  trx: Transaction<Database>,
  task: Task,
  transition: Exclude<Transition, { type: "unchanged" }>,
): Promise<Task> {
  // After the lock was had: later than everything on the tape so far.
  const { rows } = await sql<{ at: Date }>`select clock_timestamp() as at`.execute(trx);
  const at = rows[0]!.at;
  const row = await trx
    .updateTable("tasks")
    .set({ ...changes(transition, at), last_seq: task.lastSeq + 1n })
    .where("task_id", "=", task.taskId)
    .where("status", "=", task.status)
    .where("attempt", "=", task.attempt)
    .returning(TASK_COLUMNS)
    .executeTakeFirstOrThrow();
  await trx
    .insertInto("task_events")
    .values({ task_id: task.taskId, seq: row.last_seq, time: at, ...eventOf(transition, at) })
    .execute();
  if (task.status === "running" && transition.type !== "ask") {
    await trx.deleteFrom("task_exclusives").where("task_id", "=", task.taskId).execute();
  }
  return toTask(row);
}

function changes(transition: Exclude<Transition, { type: "unchanged" }>, at: Date) {
  switch (transition.type) {
    case "ask":
      return { cancel_requested_at: at, cancel_reason: transition.reason };
    case "requeue":
      return { status: "pending", lease: null, deadline_at: null, run_at: nextAttemptAt(transition, at) } as const;
    case "end":
      return { status: transition.status, lease: null, finished_at: at } as const;
  }
}

function eventOf(transition: Exclude<Transition, { type: "unchanged" }>, at: Date): NewEvent {
  return transition.type === "requeue" ? transition.event(nextAttemptAt(transition, at)) : transition.event;
}

function nextAttemptAt({ delayMs }: { delayMs: number }, at: Date): Date {
  return new Date(at.getTime() + delayMs);
}
