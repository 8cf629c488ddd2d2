import { sql } from "kysely";
import type { Kysely, RawBuilder } from "kysely";
import type { EventBodies } from "../../domain/event.ts";
import type { Database } from "../schema.ts";

/** How far back from its end the tape of a running task is looked through for its latest progress. */
const LOOK_BACK_EVENTS = 256;

type Progress = EventBodies["progress"];

/** A column: the body of a running task's latest progress event; null where it has none near. @param row of tasks */
export function latestProgress(row: string): RawBuilder<string | null> {
  const [taskId, status, lastSeq] = ["task_id", "status", "last_seq"].map((column) => sql.ref(`${row}.${column}`));
  return sql`(
    select p.body::text from (
      select e.seq, e.type, e.body from task_events e
      where ${status} = 'running' and e.task_id = ${taskId} and e.seq > ${lastSeq} - ${LOOK_BACK_EVENTS}::int
      order by e.seq desc limit ${LOOK_BACK_EVENTS}::int
    ) p where p.type = 'progress' order by p.seq desc limit 1
  )`;
}

export function toProgress(body: string): Progress {
  return JSON.parse(body) as Progress;
}

/** The latest progress of tasks, by their ids: of those that run, and have some near the end of their tape. */
export async function readProgress(db: Kysely<Database>, taskIds: readonly string[]): Promise<Map<string, Progress>> {
  if (taskIds.length === 0) return new Map();
  const rows = await db
    .selectFrom("tasks")
    .select(["task_id", latestProgress("tasks").as("body")])
    .where("task_id", "=", sql<string>`any(${sql.val(taskIds)}::uuid[])`)
    .execute();
  return new Map(rows.flatMap(({ task_id: taskId, body }) => (body === null ? [] : [[taskId, toProgress(body)]])));
}
