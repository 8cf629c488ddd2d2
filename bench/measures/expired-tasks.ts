import { query } from "../databases.ts";

// Tasks that ended long ago, made by SQL as the server stores them: through the server they would take hours.

/** Half of the events are on long tapes, half on short ones. */
const LONG_TAPE = 5_000;
const SHORT_TAPE = 12;
/** What a statement writes is in the log until the next checkpoint. */
const EVENTS_AT_ONCE = 500_000;

export interface ExpiredTasks {
  tasks: number;
  events: number;
}

/** Adds tasks that have ended an hour ago, with about so many events, to a database that has the schema. Settles it. */
export async function addExpiredTasks(databaseUrl: string, events: number): Promise<ExpiredTasks> {
  const long = { first: 1, tasks: Math.max(1, Math.round(events / 2 / LONG_TAPE)), length: LONG_TAPE };
  const short = { first: long.tasks + 1, tasks: Math.ceil(events / 2 / SHORT_TAPE), length: SHORT_TAPE };
  for (const part of [long, short]) await addTapes(databaseUrl, part);
  await query(databaseUrl, "vacuum (analyze) tasks, task_events, task_requests", "checkpoint");
  return { tasks: long.tasks + short.tasks, events: long.tasks * long.length + short.tasks * short.length };
}

interface Tapes {
  /** The number of the first task. */
  first: number;
  tasks: number;
  /** Of each tape, in events. */
  length: number;
}

async function addTapes(databaseUrl: string, { first, tasks, length }: Tapes): Promise<void> {
  const tasksAtOnce = Math.ceil(EVENTS_AT_ONCE / length);
  const end = first + tasks;
  for (let from = first; from < end; from += tasksAtOnce) {
    const numbers = `generate_series(${from}, ${Math.min(from + tasksAtOnce, end) - 1}) n`;
    await query(
      databaseUrl,
      `insert into tasks (task_id, namespace, kind, status, params, params_digest, labels, request_id, created_at,
         started_at, finished_at, ended_xid, attempt, max_attempts, last_seq)
       select ${TASK_ID}, 'default', 'expired-' || n % 20, 'succeeded', '{"events":1}', 'expired',
         jsonb_build_object('customer', 'c' || n % 1000), 'expired-' || n, ${ENDED_AT}, ${ENDED_AT}, ${ENDED_AT},
         pg_current_xact_id()::text::bigint, 1, 1, ${length}
       from ${numbers}`,
      `insert into task_requests (namespace, request_id, task_id) select 'default', 'expired-' || n, ${TASK_ID}
       from ${numbers}`,
      `insert into task_events (task_id, seq, time, type, body)
       select ${TASK_ID}, seq, ${ENDED_AT},
         case seq when 1 then 'started' when ${length} then 'final' else 'progress' end,
         case seq when 1 then '{"kind":"expired-1","attempt":1}'
           when ${length} then '{"status":"succeeded","result":{}}'
           else json_build_object('phase', 'burst', 'current', seq, 'total', ${length}) end
       from ${numbers}, generate_series(1, ${length}) seq`,
    );
  }
}

const TASK_ID = "('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid";
/** In the order of their numbers, over a day. */
const ENDED_AT = "(now() - interval '25 hours' + n * interval '80 milliseconds')";

/** Counts the expired tasks that are not removed, and whether removed tasks have events left. */
export async function readUnremoved(databaseUrl: string): Promise<{ tasks: number; tapes: number }> {
  const [row] = await query<{ tasks: number; tapes: number }>(
    databaseUrl,
    `select (select count(*)::int from tasks where params_digest = 'expired') as tasks,
       (select count(*)::int from removed_tasks where events_left) as tapes`,
  );
  return row!;
}
