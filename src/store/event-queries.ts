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

/** Between events, and between the parts of one: JSON text holds neither, for JSON has every control character escaped. */
const RECORD_SEPARATOR = "\x1e";
const UNIT_SEPARATOR = "\x1f";

interface PageRow {
  status: TaskStatus;
  last_seq: bigint;
  /** null on a page without events. */
  first_seq: bigint | null;
  end_seq: bigint | null;
  count: number;
  /** The events in order, each as its type, its time in microseconds since 1970, and its body. */
  events: string | null;
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
  // the range says the same as the limit, and keeps a planner without statistics from reading the rest of the tape. The
  // events come as one text: a driver that takes a thousand rows apart takes several times as long as one that splits.
  const { rows } = await sql<PageRow>`/* spool_page */
select t.status, t.last_seq, e.first_seq, e.end_seq, e.count, e.events
from tasks t
cross join lateral (
  select min(seq) as first_seq, max(seq) as end_seq, count(*)::int as count,
         string_agg(
           type || ${UNIT_SEPARATOR}::text || (date_part('epoch', time) * 1000000)::bigint || ${UNIT_SEPARATOR}::text || body::text,
           ${RECORD_SEPARATOR}::text order by seq
         ) as events
  from (
    select seq, time, type, body,
           sum(pg_column_size(body)) over (order by seq rows between unbounded preceding and 1 preceding) as before
    from task_events where task_id = t.task_id and seq >= ${fromSeq}::bigint and seq < ${end}::bigint
    order by seq
  ) sized
  where before is null or before < ${PAGE_BYTES_MAX}::int
) e
where t.task_id = ${taskId}::uuid and t.namespace = ${namespace}`.execute(db);
  const row = rows[0];
  if (row === undefined) throw new TaskNotFound(taskId);
  return { taskId, status: row.status, lastSeq: row.last_seq, events: toEvents(taskId, row) };
}

/** The events of one commit share their time, as one object. */
function toEvents(taskId: string, { first_seq: first, end_seq: end, count, events: packed }: PageRow): TapeEvent[] {
  if (first === null || packed === null) return [];
  if (end! - first !== BigInt(count - 1)) throw new Error(`the tape of task ${taskId} has a gap after ${first}`);
  let seq = first;
  let micros = "";
  let time = new Date(0);
  return packed.split(RECORD_SEPARATOR).map((event): TapeEvent => {
    const typeEnd = event.indexOf(UNIT_SEPARATOR);
    const timeEnd = event.indexOf(UNIT_SEPARATOR, typeEnd + 1);
    const itsMicros = event.slice(typeEnd + 1, timeEnd);
    if (itsMicros !== micros) time = new Date(Math.floor(Number(itsMicros) / 1_000));
    micros = itsMicros;
    return { seq: seq++, time, type: event.slice(0, typeEnd) as EventType, body: event.slice(timeEnd + 1) };
  });
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
