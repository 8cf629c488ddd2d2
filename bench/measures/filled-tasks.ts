import { query } from "../databases.ts";

// Finished tasks and their tapes, made by SQL: through the server they would take hours.

/** How many of each are written by one statement: what a statement writes is in the log until the next checkpoint. */
const TASKS_AT_ONCE = 100_000;
const EVENTS_AT_ONCE = 1_000_000;

/** As those of the server: their order is that of their numbers. Tasks that are started later come after them all. */
const TASK_ID = "('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid";

export const KINDS = 20;
export const CUSTOMERS = 1_000;

/** One of a hundred has failed, of each kind. Every customer has as many as another. */
const TASKS = `insert into tasks (task_id, namespace, kind, status, params, params_digest, labels, created_at, started_at,
    finished_at, attempt, max_attempts, last_seq)
  select ${TASK_ID}, 'default', 'filled-' || n % ${KINDS}, case when n % 101 = 0 then 'failed' else 'succeeded' end,
    '{"events":1}', 'filled', jsonb_build_object('customer', 'c' || n % ${CUSTOMERS}, 'region', 'r' || n % 7),
    now() - interval '1 day', now() - interval '1 day', now() - interval '1 day', 1, 1,`;

const EVENTS = `insert into task_events (task_id, seq, time, type, body)
  select ${TASK_ID}, seq, now() - interval '1 day', case seq when 1 then 'started' else 'progress' end,
    case seq when 1 then '{"kind":"filled-1","attempt":1}'::json
    else json_build_object('phase', 'burst', 'current', seq, 'total', 20000) end`;

export function filledTaskId(number: number): string {
  return `00000000-0000-7000-8000-${number.toString(16).padStart(12, "0")}`;
}

/** Fills a database that has the schema with tasks 1 to `tasks`, each with a tape of so many events, and settles it. */
export async function fillTasks(
  databaseUrl: string,
  { tasks, eventsEach }: { tasks: number; eventsEach: number },
): Promise<void> {
  const statements = [
    ...ranges(tasks, TASKS_AT_ONCE).map(
      ([from, to]) => `${TASKS} ${eventsEach} from generate_series(${from}, ${to}) n`,
    ),
    ...(eventsEach === 0 ? [] : ranges(tasks, Math.ceil(EVENTS_AT_ONCE / eventsEach))).map(
      ([from, to]) => `${EVENTS} from generate_series(${from}, ${to}) n, generate_series(1, ${eventsEach}) seq`,
    ),
    // What Postgres would do in its own time, in the middle of a measurement.
    "vacuum (analyze) tasks, task_events",
    "checkpoint",
  ];
  await query(databaseUrl, ...statements);
}

function ranges(count: number, atOnce: number): [from: number, to: number][] {
  const ranges: [number, number][] = [];
  for (let from = 1; from <= count; from += atOnce) ranges.push([from, Math.min(from + atOnce - 1, count)]);
  return ranges;
}
