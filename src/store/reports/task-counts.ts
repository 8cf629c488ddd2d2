import { sql } from "kysely";
import type { Kysely } from "kysely";
import type { TaskStatus } from "../../domain/task.ts";
import type { Database } from "../schema.ts";

/** Counts the tasks of a namespace in a status, up to max: it reads at most so many entries of an index. */
export async function countTasks(
  db: Kysely<Database>,
  { namespace, status, max }: { namespace: string; status: TaskStatus; max: number },
): Promise<number> {
  const { rows } = await sql<{ count: number }>`/* spool_count_tasks */
select count(*)::int as count from (
  select from tasks where namespace = ${namespace} and status = ${status} limit ${max}::bigint
) t`.execute(db);
  return rows[0]!.count;
}

/** Counts the waiting tasks of a namespace that a caller has started, in the same way. */
export async function countWaitingOf(
  db: Kysely<Database>,
  { namespace, startedBy, max }: { namespace: string; startedBy: string; max: number },
): Promise<number> {
  const { rows } = await sql<{ count: number }>`/* spool_count_waiting */
select count(*)::int as count from (
  select from tasks where namespace = ${namespace} and status = 'pending' and started_by = ${startedBy}
  limit ${max}::bigint
) t`.execute(db);
  return rows[0]!.count;
}

/** Returns how many bytes the events of a task have, as JSON. */
export async function countTapeBytes(db: Kysely<Database>, taskId: string): Promise<number> {
  const { rows } = await sql<{ bytes: number }>`/* spool_tape_bytes */
select coalesce(sum(octet_length(body::text)), 0)::float8 as bytes from task_events where task_id = ${taskId}::uuid
`.execute(db);
  return rows[0]!.bytes;
}
