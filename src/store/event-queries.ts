import { sql } from "kysely";
import type { Kysely } from "kysely";
import { TaskNotFound } from "../domain/errors.ts";
import type { EventType, TapeEvent } from "../domain/event.ts";
import { PAGE_BYTES_MAX } from "../domain/limits.ts";
import type { TaskStatus } from "../domain/task.ts";
import type { Database } from "./schema.ts";

/** A stretch of a tape with the task's state, all of one snapshot. */
export interface StoredPage {
  taskId: string;
  status: TaskStatus;
  lastSeq: bigint;
  events: TapeEvent[];
}

/** The end of bigint: no tape gets there, but a caller may ask. */
const SEQ_MAX = 2n ** 63n - 1n;

interface PageRow {
  /** On the first row alone, as last_seq is: it is the same on all of them, and each value costs its parsing. */
  status: TaskStatus | null;
  last_seq: bigint | null;
  seq: bigint | null;
  /** Since 1970: a number is parsed several times as fast as a date. */
  time_micros: number;
  type: EventType;
  body: string;
}

/**
 * Reads a page in one statement, so that its events, status and last_seq are of one snapshot.
 *
 * @param fromSeq the first seq wanted, from 1
 * @param limit how many events at the most. A page also ends where the bodies pass PAGE_BYTES_MAX, but holds at least
 *   one event where there is one.
 * @throws TaskNotFound
 */
export async function readPage(
  db: Kysely<Database>,
  { namespace, taskId, fromSeq, limit }: { namespace: string; taskId: string; fromSeq: bigint; limit: number },
): Promise<StoredPage> {
  const end = fromSeq + BigInt(limit) < SEQ_MAX ? fromSeq + BigInt(limit) : SEQ_MAX;
  // The sizes are known without reading the bodies, so the ones past the bound are never read. A tape has no gaps, so
  // the range says the same as the limit, and keeps a planner without statistics from reading the rest of the tape.
  const { rows } = await sql<PageRow>`/* spool_page */
select case when e.before is null then t.status end as status, case when e.before is null then t.last_seq end as last_seq,
       e.seq, round(date_part('epoch', e.time) * 1000000) as time_micros, e.type, e.body::text as body
from tasks t
left join lateral (
  select seq, time, type, body, before from (
    select seq, time, type, body,
           sum(pg_column_size(body)) over (order by seq rows between unbounded preceding and 1 preceding) as before
    from task_events where task_id = t.task_id and seq >= ${fromSeq}::bigint and seq < ${end}::bigint
    order by seq
  ) sized
  where before is null or before < ${PAGE_BYTES_MAX}::int
) e on true
where t.task_id = ${taskId}::uuid and t.namespace = ${namespace}
order by e.seq`.execute(db);
  const first = rows[0];
  if (first === undefined) throw new TaskNotFound(taskId);
  return { taskId, status: first.status!, lastSeq: first.last_seq!, events: toEvents(rows) };
}

/** The events of one commit share their time, as one object. */
function toEvents(rows: readonly PageRow[]): TapeEvent[] {
  const events: TapeEvent[] = [];
  let micros: number | undefined;
  let time = new Date(0);
  for (const { seq, time_micros: timeMicros, type, body } of rows) {
    if (seq === null) continue; // The one row of a page without events.
    if (timeMicros !== micros) time = new Date(Math.floor(timeMicros / 1_000));
    micros = timeMicros;
    events.push({ seq, time, type, body });
  }
  return events;
}

/** One event of a task, or undefined where the tape is shorter. */
export async function readEvent(
  db: Kysely<Database>,
  { taskId, seq }: { taskId: string; seq: bigint },
): Promise<TapeEvent | undefined> {
  return db
    .selectFrom("task_events")
    .select(["seq", "time", "type", sql<string>`body::text`.as("body")])
    .where("task_id", "=", taskId)
    .where("seq", "=", seq)
    .executeTakeFirst();
}

/** The last event of a task: `final` once it has ended. Undefined on an empty tape. */
export async function readLastEvent(db: Kysely<Database>, taskId: string): Promise<TapeEvent | undefined> {
  return db
    .selectFrom("task_events")
    .select(["seq", "time", "type", sql<string>`body::text`.as("body")])
    .where("task_id", "=", taskId)
    .orderBy("seq", "desc")
    .limit(1)
    .executeTakeFirst();
}
