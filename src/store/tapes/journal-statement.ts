import { sql } from "kysely";
import type { Kysely } from "kysely";
import { isCheckpoint } from "../../domain/event.ts";
import type { NewEvent } from "../../domain/event.ts";
import type { Fence, TerminalStatus } from "../../domain/task.ts";
import { arrayTable, namesOf } from "../array-columns.ts";
import type { NewTask } from "../tasks/new-task.ts";
import { CREATED_COLUMNS } from "../tasks/task-columns.ts";
import type { Database } from "../schema.ts";

/** Events of a running task, and perhaps its end. They are written if the fence still holds. */
export interface Append {
  fence: Fence;
  /** How many events the attempt has appended before. */
  appended: bigint;
  events: readonly NewEvent[];
  /** The status of `final`, which is the last of the events; null: the task continues. */
  end: TerminalStatus | null;
}

/** The items that one flush writes. Each task occurs at most once in all of them. */
export interface Flush {
  creates: readonly { task: NewTask; events: readonly NewEvent[] }[];
  appends: readonly Append[];
}

/** An item that the flush wrote. Its events have the seqs from firstSeq on. */
export interface Applied {
  taskId: string;
  firstSeq: bigint;
}

/** The result of a flush. */
export interface FlushResult {
  applied: Applied[];
  /** The time of the flush by the database's clock. All its events have this time. */
  at: Date;
}

/**
 * Writes a flush in one statement and one commit. It creates tasks with their request_ids, updates the tasks whose
 * fence holds, numbers and inserts the events, and ends tasks. A task's status and `final` commit together.
 *
 * If an item is missing in the result, the statement wrote nothing of it. Either its fence did not hold, its request_id
 * was taken, or an earlier flush had written it. So a retry never writes an item twice.
 *
 * A task whose exclusive key is held is created `blocked`. The key may be released before the commit. So after the
 * commit, the caller must have a claim check the key (`keys` of claimTasks), and likewise the keys of ended tasks.
 *
 * Lease and status are compared by `is not distinct from` and `|| ''`, which cannot use the index of running tasks by
 * lease. Without statistics, or with few running tasks, a planner prefers this index. It would read the entries of all
 * running tasks for each append, and beside an old snapshot those of all tasks that have ended since.
 */
export async function writeFlush(db: Kysely<Database>, flush: Flush): Promise<FlushResult> {
  const events = eventColumns(flush);
  const { rows } = await sql<{ number: number | null; base: bigint | null; at: Date }>`/* spool_flush */
with clock as materialized (
  select now() as at
),
new_tasks as materialized (
  select n.*, n.ordinality::int as number
  from ${CREATES.unnest(flush.creates)} with ordinality as n (${CREATES.names}, ordinality)
),
requested as (
  insert into task_requests (namespace, request_id, task_id)
  select namespace, request_id, task_id from new_tasks where request_id is not null
  on conflict do nothing
  returning task_id
),
created as (
  insert into tasks (${CREATED_NAMES},
                     status, created_at, started_at, attempt_deadline_at, attempt, last_seq, blocked)
  select ${CREATED_VALUES}, case when n.lease is null then 'pending' else 'running' end,
         c.at, case when n.lease is not null then c.at end,
         case when n.lease is not null then least(c.at + n.timeout_ms * interval '1 millisecond', n.deadline_at) end,
         case when n.lease is null then 0 else 1 end, n.events,
         case when n.exclusive_key is null or n.run_at > c.at then false
              else exists (select from task_exclusives x
                where x.namespace = n.namespace and x.exclusive_key = n.exclusive_key) end
  from new_tasks n cross join clock c
  where n.request_id is null or n.task_id in (select task_id from requested)
  on conflict do nothing
  returning task_id
),
appends as materialized (
  select a.*, ${flush.creates.length}::int + a.ordinality::int as number, c.at,
         case when a.status is not null then c.at end as finished_at,
         case when a.status is not null then pg_current_xact_id()::text::bigint end as ended_xid
  from ${APPENDS.unnest(flush.appends)} with ordinality as a (${APPENDS.names}, ordinality)
  cross join clock c
),
updated_tasks as (
  update tasks t
  set last_seq = t.last_seq + a.events,
      appended = t.appended + a.events,
      checkpoint_seq = case when a.checkpoint > 0 then t.last_seq + a.checkpoint else t.checkpoint_seq end,
      status = coalesce(a.status, t.status),
      finished_at = a.finished_at,
      ended_xid = a.ended_xid,
      lease = case when a.status is null then t.lease end,
      attempt_deadline_at = case when a.status is null then t.attempt_deadline_at end
  from appends a
  where t.task_id = a.task_id and t.status || '' = 'running'
    and t.lease is not distinct from a.lease and t.attempt = a.attempt and t.appended = a.appended
  returning a.number, t.task_id, t.last_seq - a.events as base, t.exclusive_key, t.finished_at
),
released as (
  delete from task_exclusives
  where task_id in (select task_id from updated_tasks where exclusive_key is not null and finished_at is not null)
),
first_seqs as (
  select number, task_id, base from updated_tasks
  union all
  select n.number, n.task_id, 0 from created join new_tasks n using (task_id)
),
inserted_events as (
  insert into task_events (task_id, seq, time, type, body)
  select p.task_id, p.base + e.ordinal, c.at, e.type, e.body
  from rows from (
    unnest(${events.number}::int[]), unnest(${events.ordinal}::int[]), unnest(${events.type}::text[]),
    json_array_elements(${events.bodies}::json)
  ) as e (number, ordinal, type, body)
  join first_seqs p using (number)
  cross join clock c
)
select c.at, p.number, p.base from clock c left join first_seqs p on true`.execute(db);
  const { creates, appends } = flush;
  const taskIds = [...creates.map(({ task }) => task.taskId), ...appends.map(({ fence }) => fence.taskId)];
  return {
    at: rows[0]!.at,
    applied: rows.flatMap(({ number, base }) =>
      number === null || base === null ? [] : [{ taskId: taskIds[number - 1]!, firstSeq: base + 1n }],
    ),
  };
}

const CREATES = arrayTable<Flush["creates"][number]>([
  ...CREATED_COLUMNS.map(({ name, type, value }) => ({
    name,
    type,
    value: ({ task }: { task: NewTask }) => value(task),
  })),
  { name: "events", type: "int", value: ({ events }) => events.length },
]);

const CREATED_NAMES = namesOf(CREATED_COLUMNS.map(({ name }) => name));
const CREATED_VALUES = namesOf(
  CREATED_COLUMNS.map(({ name, cast }) => (cast === undefined ? name : `${name}::${cast}`)),
  "n",
);

const APPENDS = arrayTable<Append>([
  { name: "task_id", type: "uuid", value: ({ fence }) => fence.taskId },
  { name: "lease", type: "uuid", value: ({ fence }) => fence.lease },
  { name: "attempt", type: "int", value: ({ fence }) => fence.attempt },
  { name: "appended", type: "bigint", value: ({ appended }) => appended },
  { name: "events", type: "int", value: ({ events }) => events.length },
  { name: "checkpoint", type: "int", value: ({ events }) => events.findLastIndex(isCheckpoint) + 1 },
  { name: "status", type: "text", value: ({ end }) => end },
]);

/**
 * Returns the columns of a flush's events: the number of the item, the place among the item's events, the type, and the
 * body.
 *
 * A flush has many events and few items, so these columns are written directly as Postgres's text of an array. A driver
 * that builds this text from lists takes more memory for it than for anything else. Numbers and types need no quoting.
 * The bodies are one JSON array, whose elements Postgres returns unchanged. In an array of texts, each quote would be
 * escaped here and unescaped in Postgres.
 */
function eventColumns({ creates, appends }: Flush) {
  const numbers: string[] = [];
  const ordinals: string[] = [];
  const types: string[] = [];
  const bodies: string[] = [];
  [...creates, ...appends].forEach(({ events }, index) => {
    if (events.length === 0) return;
    numbers.push(repeated(`${index + 1}`, events.length));
    ordinals.push(countTo(events.length));
    for (let from = 0, to = 0; from < events.length; from = to) {
      const { type } = events[from]!;
      while (to < events.length && events[to]!.type === type) bodies.push(events[to++]!.body);
      types.push(repeated(type, to - from));
    }
  });
  return {
    number: `{${numbers.join()}}`,
    ordinal: `{${ordinals.join()}}`,
    type: `{${types.join()}}`,
    bodies: `[${bodies.join()}]`,
  };
}

function repeated(text: string, times: number): string {
  return `${text},`.repeat(times - 1) + text;
}

/** `1,2,3` and so on, up to the highest number so far. */
let counted = "";
/** The end of each number in `counted`. */
const ends: number[] = [0];

/** Returns the numbers from 1 to `last`, with commas between them. */
function countTo(last: number): string {
  for (let number = ends.length; number <= last; number++) {
    counted += number === 1 ? "1" : `,${number}`;
    ends.push(counted.length);
  }
  return counted.slice(0, ends[last]);
}
