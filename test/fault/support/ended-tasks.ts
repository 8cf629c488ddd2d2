import type pg from "pg";

// Fills a database with ended tasks, as servers would have stored them, faster than by running them.

/** How many tasks of a kind there are, and the events of each. */
export interface EndedKind {
  kind: string;
  tasks: number;
  events: number;
}

const TASKS_A_BATCH = 500;

/** Ids are in the order of the kinds, so that long tapes lie between short ones. */
const FILL_TASKS = `
insert into tasks (task_id, namespace, kind, status, params, params_digest, labels, request_id, max_attempts, attempt,
                   created_at, started_at, finished_at, last_seq, ended_xid, retry_policy, timeout_ms, checkpoint_seq)
select id, 'default', $1, status, params, encode(sha256(convert_to(params::text, 'UTF8')), 'hex'),
       jsonb_build_object('number', n::text, 'ümlaut', '😀'),
       case when n % 3 = 0 then $1 || '-' || n end, 3, 1 + n % 2,
       now() - interval '2 days' + n * interval '1.234567 ms', now() - interval '1 day',
       now() - interval '1 hour' + n * interval '1.7654321 ms', $4::int, 0,
       case when n % 5 = 0 then '{"initialBackoffMs":250,"maxBackoffMs":4000,"backoffMultiplier":1.5,"jitter":0}'::json end,
       case when n % 4 = 0 then 90500 end, null
from generate_series($2::int, $3::int) n,
     lateral (select md5($1 || n)::text as hash) h,
     lateral (select ('0190' || substr(hash, 1, 4) || '-' || substr(hash, 5, 4) || '-7' || substr(hash, 9, 3) || '-8'
                      || substr(hash, 12, 3) || '-' || substr(hash, 15, 12))::uuid as id,
              case n % 4 when 1 then 'failed' when 2 then 'cancelled' else 'succeeded' end as status,
              ('{"number":' || n || ',"text":"params of \\u0001 ' || hash || '"}')::json as params) s
on conflict do nothing`;

const FILL_EVENTS = `
insert into task_events (task_id, seq, time, type, body)
select task_id, seq, started_at + seq * interval '0.5 ms',
       case when seq = last_seq then 'final' when seq = 1 then 'started'
            when seq % 3 = 0 then 'log' when seq % 7 = 0 then 'partial' else 'progress' end,
       case when seq = last_seq and status = 'succeeded'
              then json_build_object('status', status, 'result', json_build_object('z', seq, 'a', array[1.5, 0.1, -7e30]))
            when seq = last_seq then json_build_object('status', status, 'error',
              json_build_object('reason', upper(status), 'message', 'the task ' || status, 'details', params))
            when seq = 1 then json_build_object('kind', kind, 'attempt', attempt)
            when seq % 3 = 0 then json_build_object('level', (array['DEBUG', 'INFO', 'WARN', 'ERROR'])[1 + seq % 4],
              'message', 'line ' || seq || ' with \\ and " and 😀 ' || repeat('ä', (seq % 40)::int))
            when seq % 7 = 0 then json_build_object('kind', 'item', 'payload', json_build_object(
              'zeta', repeat('x', case when seq % 7000 = 0 then 200000 else (seq % 500)::int end), 'alpha', null))
            else json_build_object('phase', 'work', 'current', seq, 'total', last_seq) end
from tasks cross join lateral generate_series(1, last_seq) seq
where kind = $1 and not exists (select from task_events e where e.task_id = tasks.task_id)`;

/** @returns how many tasks and events the database has */
export async function fillEndedTasks(
  client: pg.Client,
  kinds: readonly EndedKind[],
): Promise<{ tasks: number; events: number }> {
  for (const { kind, tasks, events } of kinds) {
    const step = Math.max(1, Math.min(TASKS_A_BATCH, Math.floor(100_000 / events)));
    for (let first = 1; first <= tasks; first += step) {
      await client.query(FILL_TASKS, [kind, first, Math.min(first + step - 1, tasks), events]);
      await client.query(FILL_EVENTS, [kind]);
    }
  }
  await client.query("vacuum (analyze) tasks");
  await client.query("analyze task_events");
  const { rows } = await client.query<{ tasks: number; events: number }>(
    "select (select count(*) from tasks)::int as tasks, (select count(*) from task_events)::int as events",
  );
  return rows[0]!;
}
