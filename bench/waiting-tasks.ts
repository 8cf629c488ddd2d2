import { query } from "./databases.ts";

// Pending tasks, made by SQL as starts would store them: through the server a million would take minutes.

/** How many are written by one statement. */
const TASKS_AT_ONCE = 100_000;

export interface WaitingTasks {
  kind: string;
  params?: string;
  /** As an SQL expression of the task's number n; left out: without keys. */
  exclusiveKey?: string;
  /** When they fall due; left out: they are due since long ago. */
  runAt?: Date;
}

/** Adds tasks `first` to `last`, due in the order of their numbers, to a database that has the schema. */
export async function addWaitingTasks(
  databaseUrl: string,
  { first, last }: { first: number; last: number },
  { kind, params = "{}", exclusiveKey = "null", runAt }: WaitingTasks,
): Promise<void> {
  const due = runAt === undefined ? "null" : `'${runAt.toISOString()}'`;
  const statements: string[] = [];
  for (let from = first; from <= last; from += TASKS_AT_ONCE) {
    const to = Math.min(from + TASKS_AT_ONCE - 1, last);
    statements.push(`insert into tasks (task_id, namespace, kind, status, params, params_digest, labels, created_at,
        max_attempts, exclusive_key, run_at)
      select ('00000000-0000-7000-9000-' || lpad(to_hex(n), 12, '0'))::uuid, 'default', '${kind}', 'pending',
        '${params}', 'waiting', '{}', now() - interval '1 day' + n * interval '1 ms', 1, ${exclusiveKey},
        ${due}::timestamptz
      from generate_series(${from}, ${to}) n`);
  }
  await query(databaseUrl, ...statements);
}

/** Has Postgres do now what it would do in its own time, in the middle of what is timed. */
export async function settleTasks(databaseUrl: string): Promise<void> {
  await query(databaseUrl, "vacuum (analyze) tasks, task_events, task_exclusives", "checkpoint");
}
