import { sql } from "kysely";
import type { Kysely, RawBuilder } from "kysely";
import type {
  Activity,
  ActivityQuery,
  ActivityStep,
  Durations,
  EndedTasks,
  KindActivity,
} from "../../domain/activity.ts";
import { Overloaded } from "../../domain/errors.ts";
import { ACTIVITY_KINDS_MAX } from "../../domain/limits.ts";
import { isStatementTimeout } from "../errors.ts";
import type { Database } from "../schema.ts";
import { executeWithin } from "../connection/time-limit.ts";
import { isOfKinds } from "../tasks/kind-filter.ts";

/** The time limit of the count. It is less than the deadline after which a connection is closed. */
export const COUNT_MS_MAX = 10_000;

/** A row of counts. `form` names what is counted. */
type ActivityRow = { last_step: Date } & (
  | { form: null }
  /** Tasks that ended in a step; step null: tasks that have not ended. begun: how many of them have started. */
  | ({ form: "ended"; step: Date | null; begun: bigint } & EndedCounts)
  | { form: "started"; step: Date; begun: bigint }
  | ({ form: "kind"; kind: string; pending: bigint; running: bigint } & EndedCounts)
  | { form: "durations"; kind: string; p50_us: number; p95_us: number }
);

type EndedCounts = { succeeded: bigint; failed: bigint; cancelled: bigint };

/**
 * Counts recently started and ended tasks in one statement, and so in one snapshot.
 *
 * It reads the tasks that have ended within the steps, by their index, and all tasks that have not ended. All tasks
 * that started within the steps are among these. One pass makes all groups. Durations are grouped too, in classes one
 * thousandth wide, because to sort millions of durations takes longer than to count them.
 *
 * The statement has no name, so it is planned each time for its window. A prepared statement may get a generic plan,
 * which reads the whole table.
 *
 * @throws Overloaded if the count takes longer than limitMs. PGlite does not support this limit.
 */
export async function readActivity(
  db: Kysely<Database>,
  { namespace, windowMs, stepMs, kinds }: ActivityQuery & { namespace: string },
  limitMs = COUNT_MS_MAX,
): Promise<Activity> {
  const steps = Math.ceil(windowMs / stepMs);
  const width = sql`(${stepMs}::int * interval '1 millisecond')`;
  const stepOf = (time: RawBuilder<unknown>) => sql`date_bin(${width}, ${time}, timestamptz 'epoch')`;
  const lastStep = stepOf(sql`now()`);
  const firstStep = sql`(${lastStep} - ${steps - 1}::int * ${width})`;
  const ofKinds = kinds.length === 0 ? sql`true` : isOfKinds(kinds);
  const statement = sql<ActivityRow>`
with seen as (
  select kind, status, started_at, finished_at from tasks
  where namespace = ${namespace} and finished_at >= ${firstStep} and ${ofKinds}
  union all
  select kind, status, started_at, finished_at from tasks
  where namespace = ${namespace} and status in ('pending', 'running') and ${ofKinds}
),
timed as (
  select kind, status, started_at,
         -- The writer may have read the clock after this statement.
         case when finished_at is not null then least(${stepOf(sql`finished_at`)}, ${lastStep}) end as ended_in,
         case when started_at >= ${firstStep} then least(${stepOf(sql`started_at`)}, ${lastStep}) end as started_in,
         -- Null if the clock was set back in between.
         case when finished_at >= started_at then date_part('epoch', finished_at - started_at) * 1000000 end as us
  from seen
),
sorted as (
  select *, floor(ln(1 + us) * 1000) as thousandth from timed
  offset 0 -- With this, the planner expects few groups, which is right, and hashes. Else it sorts all rows three times.
),
counted as (
  select case when grouping(ended_in) = 0 then 'ended' when grouping(started_in) = 0 then 'started'
              when grouping(thousandth) = 0 then 'thousandth' else 'kind' end as form,
         coalesce(ended_in, started_in) as step, kind, thousandth, count(started_at) as begun, max(us) as us,
         count(*) filter (where status = 'pending') as pending, count(*) filter (where status = 'running') as running,
         count(*) filter (where status = 'succeeded') as succeeded, count(*) filter (where status = 'failed') as failed,
         count(*) filter (where status = 'cancelled') as cancelled
  from sorted
  group by grouping sets ((ended_in), (started_in), (kind), (kind, thousandth))
),
named as (
  select kind from counted where form = 'kind' order by kind collate "C" limit ${ACTIVITY_KINDS_MAX}::int
),
ranked as (
  select kind, us, sum(begun) over (partition by kind order by thousandth) as upto,
         sum(begun) over (partition by kind) as total
  from counted where form = 'thousandth' and thousandth is not null and kind in (select kind from named)
),
answer as (
  select form, step, kind, begun, pending, running, succeeded, failed, cancelled,
         null::float8 as p50_us, null::float8 as p95_us
  from counted
  where form = 'ended' or (form = 'started' and step is not null) or (form = 'kind' and kind in (select kind from named))
  union all
  select 'durations', null, kind, null, null, null, null, null, null,
         min(us) filter (where upto * 100 >= total * 50), min(us) filter (where upto * 100 >= total * 95)
  from ranked group by kind
)
select m.last_step, a.*
from (select ${lastStep} as last_step) m left join answer a on true`;
  const rows = await executeWithin(db, limitMs, statement).catch((error: unknown) => {
    if (!isStatementTimeout(error)) throw error;
    throw new Overloaded(`the window holds more tasks than can be counted in ${limitMs} ms`);
  });
  return { steps: toSteps(rows, { stepMs, steps }), stepMs, kinds: toKinds(rows) };
}

/** Returns the steps. The running tasks at the end of each step are computed backwards from the current number. */
function toSteps(
  rows: readonly ActivityRow[],
  { stepMs, steps: length }: { stepMs: number; steps: number },
): ActivityStep[] {
  const firstMs = rows[0]!.last_step.getTime() - (length - 1) * stepMs;
  const steps = Array.from({ length }, (_, index): ActivityStep => {
    const start = new Date(firstMs + index * stepMs);
    return { start, started: 0, succeeded: 0, failed: 0, cancelled: 0, running: 0 };
  });
  /** For each step, the ended tasks that had started. */
  const left = steps.map(() => 0);
  const indexOf = (step: Date) => (step.getTime() - firstMs) / stepMs;
  let running = 0;
  for (const row of rows) {
    if (row.form === "started") {
      steps[indexOf(row.step)]!.started = Number(row.begun);
    } else if (row.form === "ended" && row.step !== null) {
      Object.assign(steps[indexOf(row.step)]!, toEnded(row));
      left[indexOf(row.step)] = Number(row.begun);
    } else if (row.form === "ended") {
      running = Number(row.begun);
    }
  }
  for (let index = length - 1; index >= 0; index--) {
    const step = steps[index]!;
    step.running = running;
    running += left[index]! - step.started;
  }
  return steps;
}

function toKinds(rows: readonly ActivityRow[]): KindActivity[] {
  const durations = new Map<string, Durations>();
  for (const row of rows) {
    if (row.form !== "durations") continue;
    durations.set(row.kind, { p50Ms: Math.round(row.p50_us) / 1_000, p95Ms: Math.round(row.p95_us) / 1_000 });
  }
  const kinds = rows.flatMap((row): KindActivity[] => {
    if (row.form !== "kind") return [];
    const { kind } = row;
    const now = { pending: Number(row.pending), running: Number(row.running) };
    return [{ kind, ...now, ...toEnded(row), durations: durations.get(kind) ?? null }];
  });
  return kinds.sort((a, b) => (a.kind < b.kind ? -1 : 1));
}

function toEnded({ succeeded, failed, cancelled }: EndedCounts): EndedTasks {
  return { succeeded: Number(succeeded), failed: Number(failed), cancelled: Number(cancelled) };
}
