import type { Kysely } from "kysely";
import { TaskExpired, TaskNotTerminal } from "../../domain/errors.ts";
import { bodyOf } from "../../domain/event.ts";
import type { JsonObject } from "../../domain/json.ts";
import { isTerminal } from "../../domain/task.ts";
import type { Task } from "../../domain/task.ts";
import { readEvent, readLastEvent } from "../../store/tapes/single-events.ts";
import { missingTask } from "../../store/tasks/removed-tasks.ts";
import type { Database } from "../../store/schema.ts";
import type { TaskOutcome } from "../api/task-engine.ts";

// Reads from the tape what a task row only points to.

/** Returns how a task ended. @throws TaskNotTerminal, TaskExpired, StoreUnavailable */
export async function readOutcome(
  db: Kysely<Database>,
  namespace: string,
  { taskId, status, startedAt, finishedAt }: Task,
): Promise<TaskOutcome> {
  if (!isTerminal(status) || finishedAt === null) throw new TaskNotTerminal(taskId, status);
  const final = await readLastEvent(db, taskId);
  if (final?.type !== "final") {
    const missing = await missingTask(db, { namespace, taskId }); // The task may have been removed since it was read.
    throw missing instanceof TaskExpired ? missing : new Error(`task ${taskId} is ${status} without a final event`);
  }
  const { result, error } = bodyOf({ ...final, type: "final" });
  return {
    taskId,
    status,
    startedAt,
    finishedAt,
    ...(result === undefined ? {} : { result }),
    ...(error === undefined ? {} : { error }),
  };
}

/** Returns the last checkpoint that the task's attempts recorded; null if there is none. @throws StoreUnavailable */
export async function readCheckpoint(
  db: Kysely<Database>,
  { taskId, checkpointSeq }: Task,
): Promise<JsonObject | null> {
  if (checkpointSeq === null) return null;
  const event = await readEvent(db, { taskId, seq: checkpointSeq });
  if (event?.type !== "partial") throw new Error(`task ${taskId} has no checkpoint at ${checkpointSeq}`);
  return bodyOf({ ...event, type: "partial" }).payload;
}
