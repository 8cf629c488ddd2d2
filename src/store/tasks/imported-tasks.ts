import { sql } from "kysely";
import type { Kysely, Transaction } from "kysely";
import type { TapeEvent } from "../../domain/event.ts";
import type { Task } from "../../domain/task.ts";
import { namesOf } from "../array-columns.ts";
import type { Database } from "../schema.ts";
import { TASK_COLUMNS, toColumns } from "./task-columns.ts";

// Ended tasks of another database. docs/adr/0042 says which values their columns get.

/** An ended task to write, or a part of its tape. */
export interface ImportedEvents {
  taskId: string;
  events: readonly TapeEvent[];
}

/**
 * The transaction of an imported task: 0, which is before every cursor. So no open stream over many tasks delivers an
 * import, and a stream from the start does.
 */
const ENDED_XID = 0;
const PAUSE_MS_MAX = 60_000;

/** Returns the namespaces of those of the tasks that exist. */
export async function findNamespaces(db: Kysely<Database>, taskIds: readonly string[]): Promise<Map<string, string>> {
  const rows = await db
    .selectFrom("tasks")
    .select(["task_id", "namespace"])
    .where("task_id", "=", sql<string>`any(${sql.val(taskIds)}::uuid[])`)
    .execute();
  return new Map(rows.map((row) => [row.task_id, row.namespace]));
}

/**
 * Returns those of the tasks that were removed and have events left, in any namespace. Locks the markers of all of the
 * tasks, so that no events are deleted until the transaction ends.
 */
export async function lockMarkers(trx: Transaction<Database>, taskIds: readonly string[]): Promise<string[]> {
  const { rows } = await sql<{ task_id: string; events_left: boolean }>`/* spool_import_markers */
select task_id, events_left from removed_tasks where task_id = any(${taskIds}::uuid[])
order by task_id for update`.execute(trx);
  return rows.filter((row) => row.events_left).map((row) => row.task_id);
}

/**
 * Lets a transaction be idle for longer than others may be, while the next events of a long tape are read from a file.
 * It holds no lock that another process waits for.
 */
export async function allowPauses(trx: Transaction<Database>): Promise<void> {
  await sql`select set_config('idle_in_transaction_session_timeout', ${`${PAUSE_MS_MAX}`}, true)`.execute(trx);
}

/**
 * Writes the rows of ended tasks, and deletes the markers of their removal. A task whose request_id has since started
 * another task is written without it.
 *
 * @returns the ids of the tasks that lost their request_id
 */
export async function writeImportedTasks(
  trx: Transaction<Database>,
  namespace: string,
  tasks: readonly Task[],
): Promise<string[]> {
  const rows = JSON.stringify(tasks.map((task) => ({ ...toColumns(task), params: null })));
  // json_populate_recordset decodes every text of its rows, and refuses \u0000. json_array_elements does not.
  const params = JSON.stringify(tasks.map((task) => task.params));
  const { rows: lost } = await sql<{ task_id: string }>`/* spool_import_tasks */
with imported as materialized (
  select ${IMPORTED_VALUES}
  from json_populate_recordset(null::tasks, ${rows}::json) with ordinality i
  join json_array_elements(${params}::json) with ordinality p (params, ordinality) using (ordinality)
),
requested as (
  insert into task_requests (namespace, request_id, task_id)
  select ${namespace}, request_id, task_id from imported where request_id is not null
  on conflict do nothing
  returning task_id
),
unmarked as (
  delete from removed_tasks where task_id in (select task_id from imported)
),
unpacked as (
  delete from packed_events where task_id in (select task_id from imported)
),
created as (
  insert into tasks (${TASK_NAMES}, namespace, ended_xid)
  select ${TASK_VALUES}, ${namespace}, ${ENDED_XID}::bigint
  from imported i left join requested r using (task_id)
)
select task_id from imported where request_id is not null and task_id not in (select task_id from requested)`.execute(
    trx,
  );
  return lost.map((row) => row.task_id);
}

const TASK_NAMES = namesOf(TASK_COLUMNS);
const IMPORTED_VALUES = namesOf(TASK_COLUMNS.map((column) => (column === "params" ? "p.params" : `i.${column}`)));
const TASK_VALUES = namesOf(
  TASK_COLUMNS.map((column) =>
    column === "request_id" ? "case when r.task_id is not null then i.request_id end" : `i.${column}`,
  ),
);

/** Writes events of tapes, which become visible with the rows of their tasks. */
export async function writeImportedEvents(trx: Transaction<Database>, tapes: readonly ImportedEvents[]): Promise<void> {
  const ids: string[] = [];
  const seqs: bigint[] = [];
  const times: string[] = [];
  const types: string[] = [];
  const bodies: string[] = [];
  let time = new Date(NaN);
  let timeText = "";
  for (const { taskId, events } of tapes) {
    for (const event of events) {
      if (event.time.getTime() !== time.getTime()) timeText = (time = event.time).toISOString();
      ids.push(taskId);
      seqs.push(event.seq);
      times.push(timeText);
      types.push(event.type);
      bodies.push(event.body);
    }
  }
  // The arrays are written as Postgres's text: none of these values needs quotes.
  await sql`/* spool_import_events */
insert into task_events (task_id, seq, time, type, body)
select task_id, seq, time, type, body
from rows from (
  unnest(${`{${ids.join()}}`}::uuid[]), unnest(${`{${seqs.join()}}`}::bigint[]),
  unnest(${`{${times.join()}}`}::timestamptz[]), unnest(${`{${types.join()}}`}::text[]),
  json_array_elements(${`[${bodies.join()}]`}::json)
) as e (task_id, seq, time, type, body)`.execute(trx);
}
