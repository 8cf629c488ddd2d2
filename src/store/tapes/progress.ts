import { sql } from "kysely";
import type { Kysely, RawBuilder } from "kysely";
import type { EventBodies } from "../../domain/event.ts";
import type { Database } from "../schema.ts";

/** How many events at the end of a running task's tape are searched for the latest progress. */
const SCANNED_EVENTS_MAX = 256;

type Progress = EventBodies["progress"];

/**
 * Returns a column: the body of the latest progress event of a running task; null: none near the end of its tape.
 *
 * @param row the alias of the table tasks
 */
export function latestProgress(row: string): RawBuilder<string | null> {
  const [taskId, status, lastSeq] = ["task_id", "status", "last_seq"].map((column) => sql.ref(`${row}.${column}`));
  return sql`(
    select p.body::text from (
      select e.seq, e.type, e.body from task_events e
      where ${status} = 'running' and e.task_id = ${taskId} and e.seq > ${lastSeq} - ${SCANNED_EVENTS_MAX}::int
      order by e.seq desc limit ${SCANNED_EVENTS_MAX}::int
    ) p where p.type = 'progress' order by p.seq desc limit 1
  )`;
}

export function toProgress(body: string): Progress {
  return JSON.parse(body) as Progress;
}

/** Reads the latest progress of running tasks, by task id. Tasks without one near their tape's end are left out. */
export async function readProgress(db: Kysely<Database>, taskIds: readonly string[]): Promise<Map<string, Progress>> {
  if (taskIds.length === 0) return new Map();
  const rows = await db
    .selectFrom("tasks")
    .select(["task_id", latestProgress("tasks").as("body")])
    .where("task_id", "=", sql<string>`any(${sql.val(taskIds)}::uuid[])`)
    .execute();
  return new Map(rows.flatMap(({ task_id: taskId, body }) => (body === null ? [] : [[taskId, toProgress(body)]])));
}
