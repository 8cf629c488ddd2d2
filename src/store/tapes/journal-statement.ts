import { sql } from "kysely";
import type { Kysely } from "kysely";
import { isCheckpoint } from "../../domain/event.ts";
import type { NewEvent } from "../../domain/event.ts";
import { DEFAULT_RETRY_POLICY } from "../../domain/retry.ts";
import type { AskedRetry } from "../../domain/retry.ts";
import type { Fence, TerminalStatus } from "../../domain/task.ts";
import type { NewTask } from "../tasks/new-task.ts";
import type { Database } from "../schema.ts";

/** Events of a running task, and perhaps its end, written where the fence still holds. */
export interface Append {
  fence: Fence;
  /** How many events this attempt had appended before these. */
  appended: bigint;
  events: readonly NewEvent[];
  /** The last of the events is `final` and this is its status; null: the task goes on. */
  end: TerminalStatus | null;
}

/** What one flush writes: each task at most once in all of it. */
export interface Flush {
  creates: readonly { task: NewTask; events: readonly NewEvent[] }[];
  appends: readonly Append[];
}

/** An item that was applied: its events stand at firstSeq and on. */
export interface Applied {
  taskId: string;
  firstSeq: bigint;
}

export interface FlushResult {
  applied: Applied[];
  /** The database's time of the commit: of every event in it. */
  at: Date;
}

/**
 * Writes a flush in one statement and one commit: creates tasks with their request_ids, advances each appended task
 * where its fence holds, numbers and inserts the events, and ends tasks; status and `final` are in it together.
 * What is not in the result was not written at all: the fence did not hold, the request_id was taken, or the same
 * item had been applied before. Who sends it again writes nothing twice.
 *
 * A task whose exclusive key is held is created `blocked`. The key may have been released by the time of the commit: after
 * it, the caller has a claim check the key (`keys` of claimTasks). The same goes for the keys of tasks that have ended.
 *
 * The lease is compared by `is not distinct from`, which no index serves: the one by lease, which a planner without
 * statistics takes for the best, would look through all that the session runs for each of its tasks.
 */
export async function writeFlush(db: Kysely<Database>, flush: Flush): Promise<FlushResult> {
  const creates = createColumns(flush);
  const appends = appendColumns(flush);
  const events = eventColumns(flush);
  const { rows } = await sql<{ number: number | null; base: bigint | null; at: Date }>`/* spool_flush */
with moment as materialized (
  select now() as at
),
fresh as materialized (
  select f.*, f.ordinality::int as number from unnest(
    ${creates.taskId}::uuid[], ${creates.namespace}::text[], ${creates.kind}::text[], ${creates.params}::text[],
    ${creates.digest}::text[], ${creates.labels}::text[], ${creates.requestId}::text[], ${creates.exclusive}::text[],
    ${creates.runAt}::timestamptz[], ${creates.deadlineAt}::timestamptz[], ${creates.timeoutMs}::bigint[],
    ${creates.maxAttempts}::int[], ${creates.retryPolicy}::text[], ${creates.unchecked}::text[],
    ${creates.lease}::uuid[], ${creates.events}::int[], ${creates.traceparent}::text[],
    ${creates.requestDigest}::text[]
  ) with ordinality as f (task_id, namespace, kind, params, params_digest, labels, request_id, exclusive_key,
          run_at, deadline_at, timeout_ms, max_attempts, retry_policy, unchecked, lease, events, traceparent,
          request_digest, ordinality)
),
requested as (
  insert into task_requests (namespace, request_id, task_id)
  select namespace, request_id, task_id from fresh where request_id is not null
  on conflict do nothing
  returning task_id
),
created as (
  insert into tasks (task_id, namespace, kind, status, params, params_digest, labels, request_id, exclusive_key,
                     created_at, started_at, run_at, deadline_at, attempt_deadline_at, timeout_ms,
                     attempt, max_attempts, retry_policy, unchecked, lease, last_seq, traceparent, request_digest, blocked)
  select f.task_id, f.namespace, f.kind, case when f.lease is null then 'pending' else 'running' end,
         f.params::json, f.params_digest, f.labels::jsonb, f.request_id, f.exclusive_key,
         m.at, case when f.lease is not null then m.at end, f.run_at, f.deadline_at,
         case when f.lease is not null then least(m.at + f.timeout_ms * interval '1 millisecond', f.deadline_at) end,
         f.timeout_ms, case when f.lease is null then 0 else 1 end, f.max_attempts, f.retry_policy::json,
         f.unchecked::json, f.lease, f.events, f.traceparent, f.request_digest,
         case when f.exclusive_key is null or f.run_at > m.at then false
              else exists (select from task_exclusives x
                where x.namespace = f.namespace and x.exclusive_key = f.exclusive_key) end
  from fresh f cross join moment m
  where f.request_id is null or f.task_id in (select task_id from requested)
  on conflict do nothing
  returning task_id
),
item as materialized (
  select i.*, ${flush.creates.length}::int + i.ordinality::int as number, m.at,
         case when i.status is not null then m.at end as finished_at,
         case when i.status is not null then pg_current_xact_id()::text::bigint end as ended_xid
  from unnest(
    ${appends.taskId}::uuid[], ${appends.lease}::uuid[], ${appends.attempt}::int[], ${appends.appended}::bigint[],
    ${appends.events}::int[], ${appends.checkpoint}::int[], ${appends.status}::text[]
  ) with ordinality as i (task_id, lease, attempt, appended, events, checkpoint, status, ordinality)
  cross join moment m
),
moved as (
  update tasks t
  set last_seq = t.last_seq + i.events,
      appended = t.appended + i.events,
      checkpoint_seq = case when i.checkpoint > 0 then t.last_seq + i.checkpoint else t.checkpoint_seq end,
      status = coalesce(i.status, t.status),
      finished_at = i.finished_at,
      ended_xid = i.ended_xid,
      lease = case when i.status is null then t.lease end,
      attempt_deadline_at = case when i.status is null then t.attempt_deadline_at end
  from item i
  where t.task_id = i.task_id and t.status = 'running'
    and t.lease is not distinct from i.lease and t.attempt = i.attempt and t.appended = i.appended
  returning i.number, t.task_id, t.last_seq - i.events as base, t.exclusive_key, t.finished_at
),
released as (
  delete from task_exclusives
  where task_id in (select task_id from moved where exclusive_key is not null and finished_at is not null)
),
placed as (
  select number, task_id, base from moved
  union all
  select f.number, f.task_id, 0 from created join fresh f using (task_id)
),
recorded as (
  insert into task_events (task_id, seq, time, type, body)
  select p.task_id, p.base + e.ordinal, m.at, e.type, e.body
  from rows from (
    unnest(${events.number}::int[]), unnest(${events.ordinal}::int[]), unnest(${events.type}::text[]),
    json_array_elements(${events.bodies}::json)
  ) as e (number, ordinal, type, body)
  join placed p using (number)
  cross join moment m
)
select m.at, p.number, p.base from moment m left join placed p on true`.execute(db);
  const taskIds = [...creates.taskId, ...appends.taskId];
  return {
    at: rows[0]!.at,
    applied: rows.flatMap(({ number, base }) =>
      number === null || base === null ? [] : [{ taskId: taskIds[number - 1]!, firstSeq: base + 1n }],
    ),
  };
}

function createColumns({ creates }: Flush) {
  return {
    taskId: creates.map(({ task }) => task.taskId),
    namespace: creates.map(({ task }) => task.namespace),
    kind: creates.map(({ task }) => task.request.kind),
    params: creates.map(({ task }) => task.params),
    digest: creates.map(({ task }) => task.paramsDigest),
    labels: creates.map(({ task }) => JSON.stringify(task.request.labels)),
    requestId: creates.map(({ task }) => task.request.requestId),
    exclusive: creates.map(({ task }) => task.exclusiveKey),
    runAt: creates.map(({ task }) => task.request.runAt?.toISOString() ?? null),
    deadlineAt: creates.map(({ task }) => task.request.deadlineAt?.toISOString() ?? null),
    timeoutMs: creates.map(({ task }) => task.request.timeoutMs),
    maxAttempts: creates.map(({ task }) => task.maxAttempts),
    retryPolicy: creates.map(({ task: { retryPolicy } }) =>
      retryPolicy === DEFAULT_RETRY_POLICY ? null : JSON.stringify(retryPolicy),
    ),
    unchecked: creates.map(({ task: { isUnchecked, request } }) => (isUnchecked ? askedOf(request) : null)),
    lease: creates.map(({ task }) => task.lease),
    events: creates.map(({ events }) => events.length),
    traceparent: creates.map(({ task }) => task.request.traceparent),
    requestDigest: creates.map(({ task }) => task.requestDigest),
  };
}

function askedOf({ maxAttempts, retryPolicy }: AskedRetry): string {
  return JSON.stringify({ maxAttempts, retryPolicy } satisfies AskedRetry);
}

function appendColumns({ appends }: Flush) {
  return {
    taskId: appends.map(({ fence }) => fence.taskId),
    lease: appends.map(({ fence }) => fence.lease),
    attempt: appends.map(({ fence }) => fence.attempt),
    appended: appends.map(({ appended }) => appended),
    events: appends.map(({ events }) => events.length),
    checkpoint: appends.map(({ events }) => events.findLastIndex(isCheckpoint) + 1),
    status: appends.map(({ end }) => end),
  };
}

/**
 * The events of a flush: of each the number of its item, its place among the item's events, its type and its body.
 *
 * They are as many as the rest of the flush is few, so their columns are written as the text that Postgres reads: a
 * driver that makes it of lists takes more memory for that than anything else does. Neither a number nor a type holds
 * what would have to be quoted. The bodies are one JSON array, whose elements Postgres gives back to the letter: in an
 * array of texts each of their quotes would be escaped here and unescaped there.
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

/** `1,2,3` and so on, as far as it was asked for until now, and where each of the numbers ends. */
let counted = "";
const ends: number[] = [0];

function countTo(last: number): string {
  for (let number = ends.length; number <= last; number++) {
    counted += number === 1 ? "1" : `,${number}`;
    ends.push(counted.length);
  }
  return counted.slice(0, ends[last]);
}
