import { sql } from "kysely";
import type { Kysely, RawBuilder } from "kysely";
import { TaskNotFound } from "../../domain/errors.ts";
import type { EventType, TapeEvent } from "../../domain/event.ts";
import { PAGE_BYTES_MAX } from "../../domain/limits.ts";
import type { TaskStatus } from "../../domain/task.ts";
import type { Database } from "../schema.ts";

/** A stretch of a tape with the task's state, all of one snapshot. */
export interface StoredPage {
  taskId: string;
  status: TaskStatus;
  lastSeq: bigint;
  events: TapeEvent[];
}

/** The end of bigint: no tape gets there, but a caller may ask. */
const SEQ_MAX = 2n ** 63n - 1n;

/** Between the bodies of a page, and between its types: JSON text holds no control character but escaped. */
const SEPARATOR = "\x1e";
/** The epoch of timestamptz on the wire, and how many bytes each takes there. */
const POSTGRES_EPOCH_MS = Date.UTC(2000, 0, 1);
const TIME_BYTES = 8;

interface PageQuery {
  namespace: string;
  taskId: string;
  fromSeq: bigint;
  limit: number;
}

/** Events in order, each list as one value: a driver takes a thousand rows apart in several times the time. */
interface PackedEvents {
  count: number;
  /** null where there is no event, as are the following. */
  end_seq: bigint | null;
  types: string | null;
  times: Uint8Array | null;
  /** Only of the events that are not too large. */
  bodies: string | null;
}

interface PageRow extends PackedEvents {
  status: TaskStatus;
  last_seq: bigint;
}

/**
 * Reads a page in one statement, so that its events, status and last_seq are of one snapshot.
 *
 * @param query.fromSeq the first seq wanted, from 1
 * @param query.limit how many events at the most. A page also ends where the bodies pass PAGE_BYTES_MAX, but holds at
 *   least one event where there is one.
 * @throws TaskNotFound
 */
export async function readPage(db: Kysely<Database>, query: PageQuery): Promise<StoredPage> {
  // Most events are so small that no page of them passes the bound: then nothing has to be added up.
  const page = toPage(query, await readSmallEvents(db, query)) ?? toPage(query, await readWithinBytes(db, query));
  if (page === null) throw new Error(`a page of task ${query.taskId} came without its bodies`);
  return page;
}

/** The page as it is by its limit, but bodies only of the events of which so many stay within PAGE_BYTES_MAX. */
function readSmallEvents(db: Kysely<Database>, query: PageQuery): Promise<PageRow | undefined> {
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

/** The page up to the event with which its bodies pass PAGE_BYTES_MAX. Sizes are known without reading the bodies. */
function readWithinBytes(db: Kysely<Database>, query: PageQuery): Promise<PageRow | undefined> {
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
): Promise<PageRow | undefined> {
  const { rows } = await sql<PageRow>`${page} where t.task_id = ${taskId}::uuid and t.namespace = ${namespace}`.execute(
    db,
  );
  return rows[0];
}

/** A stretch of a tape, both ends of it included. */
export interface EventRange {
  taskId: string;
  fromSeq: bigint;
  toSeq: bigint;
}

/**
 * Reads stretches of several tapes at once.
 *
 * @param ranges the first is of one event at least, and every event of each is on its tape
 * @returns the events of each range; together at least one, and no further than the event with which the bodies pass
 *   PAGE_BYTES_MAX: those behind it are left out, of whatever range they are
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
  join task_events e on e.task_id = s.task_id and e.seq between s.from_seq and s.to_seq
) sized
where before is null or before < ${PAGE_BYTES_MAX}::int
group by number order by number`.execute(db);
  const read = new Map(rows.map((row) => [row.number, row]));
  return ranges.map((range, index) => {
    const row = read.get(index + 1);
    const events = row === undefined ? [] : unpacked(range, row);
    if (events === null) throw new Error(`events of task ${range.taskId} came without their bodies`);
    return events;
  });
}

/** A tape has no gaps, so the range says the same as the limit, and keeps a planner without statistics within it. */
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

/** @returns null where the row does not hold every body */
function toPage(query: PageQuery, row: PageRow | undefined): StoredPage | null {
  if (row === undefined) throw new TaskNotFound(query.taskId);
  const events = unpacked(query, row);
  return events && { taskId: query.taskId, status: row.status, lastSeq: row.last_seq, events };
}

/** @returns null where the row does not hold every body */
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

/** Long stretches of a tape are of one type: then nothing is taken apart. */
function toTypes(text: string, count: number): (index: number) => EventType {
  const end = text.indexOf(SEPARATOR);
  const first = (end === -1 ? text : text.slice(0, end)) as EventType;
  if (text === `${first}${SEPARATOR}`.repeat(count - 1) + first) return () => first;
  const typeOfEach = text.split(SEPARATOR) as EventType[];
  return (index) => typeOfEach[index]!;
}

/** Microseconds, big-endian, to the millisecond. The events of one commit share their time, as one object. */
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
