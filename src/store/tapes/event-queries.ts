import { sql } from "kysely";
import type { Kysely, RawBuilder } from "kysely";
import type { EventType, TapeEvent } from "../../domain/event.ts";
import { PAGE_BYTES_MAX } from "../../domain/limits.ts";
import type { TaskStatus } from "../../domain/task.ts";
import type { Database } from "../schema.ts";
import { missingTask } from "../tasks/removed-tasks.ts";

/** Consecutive events of a tape, and the task's state, all from one snapshot. */
export interface StoredPage {
  taskId: string;
  status: TaskStatus;
  lastSeq: bigint;
  events: TapeEvent[];
}

/** The largest bigint. No tape gets this long, but a caller may ask for such a seq. */
const SEQ_MAX = 2n ** 63n - 1n;

/** Separates the bodies of a page, and its types. In JSON text, control characters are always escaped. */
const SEPARATOR = "\x1e";
/** The epoch of timestamptz on the wire. */
const POSTGRES_EPOCH_MS = Date.UTC(2000, 0, 1);
/** The size of a timestamptz on the wire. */
const TIME_BYTES = 8;

interface PageQuery {
  namespace: string;
  taskId: string;
  fromSeq: bigint;
  limit: number;
}

/** Events in order, each column packed into one value. A driver takes several times as long to parse 1,000 rows. */
interface PackedEvents {
  count: number;
  /** The last seq. null if there are no events, like the fields below. */
  end_seq: bigint | null;
  types: string | null;
  times: Uint8Array | null;
  /** The bodies, without those that are too large. */
  bodies: string | null;
}

interface PageRow extends PackedEvents {
  status: TaskStatus;
  last_seq: bigint;
}

/**
 * Reads a page in one statement, so that its events, status and last_seq are from one snapshot.
 *
 * @param query.fromSeq the first seq to read, from 1
 * @param query.limit the most events to read. A page also ends with the event that brings the bodies to PAGE_BYTES_MAX
 *   or more. It has at least one event, if there is one.
 * @throws TaskNotFound, TaskExpired
 */
export async function readPage(db: Kysely<Database>, query: PageQuery): Promise<StoredPage> {
  // Most events are so small that no page of them reaches the bound. Then no sum of sizes is needed.
  const page = toPage(query, await readSmallEvents(db, query)) ?? toPage(query, await readWithinBytes(db, query));
  if (page === null) throw new Error(`the page of task ${query.taskId} lacks bodies of events`);
  return page;
}

/** Reads a page up to its limit, without the bodies that are larger than their share of PAGE_BYTES_MAX. */
function readSmallEvents(db: Kysely<Database>, query: PageQuery): Promise<PageRow> {
  const smallMax = Math.floor(PAGE_BYTES_MAX / query.limit);
  return readPageRow(
    db,
    query,
    sql`/* spool_page */
select t.status, t.last_seq, e.* from tasks t cross join lateral (
  select ${packed(sql`case when pg_column_size(body) <= ${smallMax}::int then body::text end`)}
  from task_events where ${inRange(query)}
) e`,
  );
}

/** Reads a page up to the event that brings its bodies to PAGE_BYTES_MAX. Body sizes are known without a read. */
function readWithinBytes(db: Kysely<Database>, query: PageQuery): Promise<PageRow> {
  return readPageRow(
    db,
    query,
    sql`/* spool_large_page */
select t.status, t.last_seq, e.* from tasks t cross join lateral (
  select ${packed(sql`body::text`)}
  from (
    select seq, time, type, body,
           sum(pg_column_size(body)) over (order by seq rows between unbounded preceding and 1 preceding) as before
    from task_events where ${inRange(query)}
    order by seq
  ) sized
  where before is null or before < ${PAGE_BYTES_MAX}::int
) e`,
  );
}

async function readPageRow(
  db: Kysely<Database>,
  { taskId, namespace }: PageQuery,
  page: RawBuilder<unknown>,
): Promise<PageRow> {
  const { rows } = await sql<PageRow>`${page} where t.task_id = ${taskId}::uuid and t.namespace = ${namespace}`.execute(
    db,
  );
  if (rows[0] === undefined) throw await missingTask(db, { namespace, taskId });
  return rows[0];
}

/** A range of a tape. Both ends are included. */
export interface EventRange {
  taskId: string;
  fromSeq: bigint;
  toSeq: bigint;
}

/**
 * Reads ranges of several tapes at once. The range of a removed task is empty: its events may be deleted in part.
 *
 * @param ranges every event of each range is on its tape, unless the task was removed
 * @returns the events of each range, at least one in all unless all tasks were removed. The result ends with the event that brings the bodies to
 *   PAGE_BYTES_MAX: all later events are left out, in whichever range.
 */
export async function readRanges(db: Kysely<Database>, ranges: readonly EventRange[]): Promise<TapeEvent[][]> {
  const { rows } = await sql<PackedEvents & { number: number }>`/* spool_spans */
select number::int, ${packed(sql`body::text`)}
from (
  select s.number, e.seq, e.time, e.type, e.body,
         sum(pg_column_size(e.body)) over (
           order by s.number, e.seq rows between unbounded preceding and 1 preceding
         ) as before
  from unnest(
    ${ranges.map(({ taskId }) => taskId)}::uuid[], ${ranges.map(({ fromSeq }) => fromSeq)}::bigint[],
    ${ranges.map(({ toSeq }) => toSeq)}::bigint[]
  ) with ordinality as s (task_id, from_seq, to_seq, number)
  join tasks t on t.task_id = s.task_id
  join task_events e on e.task_id = s.task_id and e.seq between s.from_seq and s.to_seq
) sized
where before is null or before < ${PAGE_BYTES_MAX}::int
group by number order by number`.execute(db);
  const read = new Map(rows.map((row) => [row.number, row]));
  return ranges.map((range, index) => {
    const row = read.get(index + 1);
    const events = row === undefined ? [] : unpacked(range, row);
    if (events === null) throw new Error(`the events of task ${range.taskId} lack bodies`);
    return events;
  });
}

/**
 * Returns the condition for the events of a page. A tape has no gaps, so a range of seqs replaces the limit. It also
 * bounds the plan if the planner has no statistics.
 */
function inRange({ fromSeq, limit }: PageQuery): RawBuilder<unknown> {
  const end = fromSeq + BigInt(limit) < SEQ_MAX ? fromSeq + BigInt(limit) : SEQ_MAX;
  return sql`task_id = t.task_id and seq >= ${fromSeq}::bigint and seq < ${end}::bigint`;
}

function packed(body: RawBuilder<unknown>): RawBuilder<unknown> {
  const separator = sql`${SEPARATOR}::text`;
  return sql`count(*)::int as count, max(seq) as end_seq,
    string_agg(type, ${separator} order by seq) as types,
    string_agg(timestamptz_send(time), ''::bytea order by seq) as times,
    string_agg(${body}, ${separator} order by seq) as bodies`;
}

/** Returns the page of a row; null if the row does not have every body. */
function toPage(query: PageQuery, row: PageRow): StoredPage | null {
  const events = unpacked(query, row);
  return events && { taskId: query.taskId, status: row.status, lastSeq: row.last_seq, events };
}

/** Returns the events of a row; null if the row does not have every body. */
function unpacked(
  { taskId, fromSeq }: { taskId: string; fromSeq: bigint },
  { count, end_seq: end, types, times, bodies }: PackedEvents,
): TapeEvent[] | null {
  if (end === null) return [];
  if (end - fromSeq !== BigInt(count - 1))
    throw new Error(`the tape of task ${taskId} has a gap at ${fromSeq} or after`);
  const bodyOfEach = bodies?.split(SEPARATOR);
  if (bodyOfEach?.length !== count) return null;
  const timeOfEach = toTimes(times!);
  const typeOfEach = toTypes(types!, count);
  let seq = fromSeq;
  return bodyOfEach.map((body, index) => ({ seq: seq++, time: timeOfEach[index]!, type: typeOfEach(index), body }));
}

/** Returns a function for the type of each event. Often all events have the same type, and the text is not split. */
function toTypes(text: string, count: number): (index: number) => EventType {
  const end = text.indexOf(SEPARATOR);
  const first = (end === -1 ? text : text.slice(0, end)) as EventType;
  if (text === `${first}${SEPARATOR}`.repeat(count - 1) + first) return () => first;
  const typeOfEach = text.split(SEPARATOR) as EventType[];
  return (index) => typeOfEach[index]!;
}

/** Converts big-endian microseconds to dates, in milliseconds. Events of one commit share one Date object. */
function toTimes(bytes: Uint8Array): Date[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let micros = NaN;
  let time = new Date(NaN);
  return Array.from({ length: bytes.byteLength / TIME_BYTES }, (_, index) => {
    const at = index * TIME_BYTES;
    const itsMicros = view.getInt32(at) * 2 ** 32 + view.getUint32(at + 4);
    if (itsMicros !== micros) time = new Date(POSTGRES_EPOCH_MS + Math.floor(itsMicros / 1_000));
    micros = itsMicros;
    return time;
  });
}

/** Reads one event of a task; undefined if the tape is shorter. */
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

/** Reads the last event of a task, which is `final` if the task has ended; undefined if the tape is empty. */
export async function readLastEvent(db: Kysely<Database>, taskId: string): Promise<TapeEvent | undefined> {
  return db
    .selectFrom("task_events")
    .select(["seq", "time", "type", sql<string>`body::text`.as("body")])
    .where("task_id", "=", taskId)
    .orderBy("seq", "desc")
    .limit(1)
    .executeTakeFirst();
}
