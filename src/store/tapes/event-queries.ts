import { sql } from "kysely";
import type { Kysely, RawBuilder } from "kysely";
import { LRUCache } from "lru-cache";
import type { TapeEvent } from "../../domain/event.ts";
import { PAGE_BYTES_MAX } from "../../domain/limits.ts";
import type { TaskStatus } from "../../domain/task.ts";
import type { Database } from "../schema.ts";
import { missingTask } from "../tasks/removed-tasks.ts";
import { eventColumns, toEvents } from "./event-columns.ts";
import type { EventColumns } from "./event-columns.ts";
import { joinPacks, toPackedEvents } from "./packed-events.ts";
import type { PackedColumns } from "./packed-events.ts";

/** Consecutive events of a tape, and the task's state, all from one snapshot. */
export interface StoredPage {
  taskId: string;
  status: TaskStatus;
  lastSeq: bigint;
  events: TapeEvent[];
}

/** The largest bigint. No tape gets this long, but a caller may ask for such a seq. */
const SEQ_MAX = 2n ** 63n - 1n;

export interface PageQuery {
  namespace: string;
  taskId: string;
  fromSeq: bigint;
  limit: number;
}

/** How a task has ended. From then on, its tape never changes, until the task is removed. */
export interface TapeEnd {
  status: TaskStatus;
  lastSeq: bigint;
  /** As text, with microseconds. */
  finishedAt: string;
}

/** Events that are stored as rows, and before them events that are stored packed. */
interface PageRow extends EventColumns, PackedColumns {
  status: TaskStatus;
  last_seq: bigint;
}

/** The same, without a read of packs. */
export type RowsRow = Omit<PageRow, Exclude<keyof PackedColumns, "packed_seq">>;

/**
 * Tapes that were found packed, of all databases. Their next pages are read with packs at once. All other pages are read
 * without a join of packs.
 */
const packedTapes = new LRUCache<string, true>({ max: 10_000 });

/**
 * Reads a page in one statement, so that its events, status and last_seq are from one snapshot.
 *
 * @param query.fromSeq the first seq to read, from 1
 * @param query.limit the most events to read. A page also ends with the event that brings the bodies to PAGE_BYTES_MAX
 *   or more. It has at least one event, if there is one.
 * @throws TaskNotFound, TaskExpired
 */
export async function readPage(db: Kysely<Database>, query: PageQuery): Promise<StoredPage> {
  const page = await findPage(db, query);
  if (page === null) throw await missingTask(db, query);
  return page;
}

/**
 * Reads a page as readPage does; null: the namespace has no such task.
 *
 * @param end the page is found only if the task has ended so
 */
export async function findPage(db: Kysely<Database>, query: PageQuery & { end?: TapeEnd }): Promise<StoredPage | null> {
  const { taskId } = query;
  if (!packedTapes.has(taskId)) {
    // Most events are so small that no page of them reaches the bound. Then no sum of sizes is needed.
    const page = await findInRows(db, query, [smallEvents(query), eventsWithinBytes(query)]);
    if (page !== "packed") return page;
  }
  const row = await readPageRow<PageRow>(
    db,
    query,
    sql`${nameOf("packed_page", query)}
select t.status, t.last_seq, p.*, e.* from tasks t ${smallEvents(query).events} ${packsOf(query)}`,
  );
  if (row === undefined) return null;
  packedTapes.set(taskId, true);
  const events = row.packed_from === null ? toEvents(query, row) : packedFirst(query, row);
  if (events !== null) return toPage(taskId, row, events);
  // A large event after the last pack. If it was packed meanwhile, the next read finds the pack.
  const page = await findInRows(db, query, [eventsWithinBytes(query)]);
  return page === "packed" ? findPage(db, query) : page;
}

/** Reads a page of rows by the first of these parts that has every body. Returns `packed` if packs hold some of it. */
async function findInRows(
  db: Kysely<Database>,
  query: PageQuery & { end?: TapeEnd },
  parts: readonly PagePart[],
): Promise<StoredPage | "packed" | null> {
  for (const part of parts) {
    const row = await readPageRow<RowsRow>(
      db,
      query,
      sql`${nameOf(part.name, query)}
select t.status, t.last_seq, t.packed_seq, e.* from tasks t ${part.events}`,
    );
    if (row === undefined) return null;
    if (row.packed_seq >= query.fromSeq) return "packed";
    const events = toEvents(query, row);
    if (events !== null) return toPage(query.taskId, row, events);
  }
  throw new Error(`the page of task ${query.taskId} lacks bodies of events`);
}

function toPage(taskId: string, { status, last_seq: lastSeq }: RowsRow, events: TapeEvent[]): StoredPage {
  return { taskId, status, lastSeq, events };
}

/** Returns the comment by which a connection prepares a statement. */
function nameOf(name: string, { end }: { end?: TapeEnd }): RawBuilder<unknown> {
  return sql.raw(`/* spool_${end === undefined ? "" : "ended_"}${name} */`);
}

interface PagePart {
  /** The name of the statement. */
  name: string;
  /** A join of `tasks t` with the events of a page. */
  events: RawBuilder<unknown>;
}

/**
 * Joins the events of a page, without the bodies that are larger than their share of PAGE_BYTES_MAX.
 *
 * @param condition begins with `and`. Where it is false, no events are read
 */
export function smallEvents(query: PageQuery, condition = sql``): PagePart {
  const smallMax = Math.floor(PAGE_BYTES_MAX / query.limit);
  return {
    name: "page",
    events: sql`cross join lateral (
  select ${eventColumns(sql`case when pg_column_size(body) <= ${smallMax}::int then body::text end`)}
  from task_events where ${inRange(query)} ${condition}
) e`,
  };
}

/** Joins events up to the one that brings the bodies to PAGE_BYTES_MAX. Sizes are known without a read of the body. */
function eventsWithinBytes(query: PageQuery): PagePart {
  return {
    name: "large_page",
    events: sql`cross join lateral (
  select ${eventColumns(sql`body::text`)}
  from (
    select seq, time, type, body,
           sum(pg_column_size(body)) over (order by seq rows between unbounded preceding and 1 preceding) as before
    from task_events where ${inRange(query)}
    order by seq
  ) sized
  where before is null or before < ${PAGE_BYTES_MAX}::int
) e`,
  };
}

export async function readPageRow<Row>(
  db: Kysely<Database>,
  { taskId, namespace, end }: PageQuery & { end?: TapeEnd },
  page: RawBuilder<unknown>,
): Promise<Row | undefined> {
  const hasEnded =
    end === undefined
      ? sql``
      : sql` and (t.status, t.last_seq, t.finished_at) = (${end.status}, ${end.lastSeq}::bigint, ${end.finishedAt}::timestamptz)`;
  const { rows } = await sql<Row>`${page}
where t.task_id = ${taskId}::uuid and t.namespace = ${namespace}${hasEnded}`.execute(db);
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
 * @param ranges every event of each range is on its tape, unless the task was removed. Together they have at most
 *   PAGE_EVENTS_MAX events
 * @returns the events of each range, at least one in all unless all tasks were removed. The result ends with the event
 *   that brings the bodies to PAGE_BYTES_MAX, and within or before a range with packed events: all later events are left
 *   out, in whichever range.
 */
export async function readRanges(
  db: Kysely<Database>,
  { namespace, ranges }: { namespace: string; ranges: readonly EventRange[] },
): Promise<TapeEvent[][]> {
  const { rows } = await sql<EventColumns & { number: number; is_packed: boolean }>`/* spool_spans */
select number::int, bool_or(is_packed) as is_packed, ${eventColumns(sql`body::text`)}
from (
  select s.number, s.is_packed, e.seq, e.time, e.type, e.body,
         sum(pg_column_size(e.body)) over (
           order by s.number, e.seq rows between unbounded preceding and 1 preceding
         ) as before
  from (
    select s.*, t.packed_seq >= s.from_seq as is_packed
    from unnest(
      ${ranges.map(({ taskId }) => taskId)}::uuid[], ${ranges.map(({ fromSeq }) => fromSeq)}::bigint[],
      ${ranges.map(({ toSeq }) => toSeq)}::bigint[]
    ) with ordinality as s (task_id, from_seq, to_seq, number)
    join tasks t on t.task_id = s.task_id
  ) s
  left join task_events e
    on e.task_id = s.task_id and e.seq between s.from_seq and s.to_seq and not s.is_packed
) sized
where before is null or before < ${PAGE_BYTES_MAX}::int
group by number order by number`.execute(db);
  const read = new Map(rows.map((row) => [row.number, row]));
  const events: TapeEvent[][] = [];
  for (const [index, range] of ranges.entries()) {
    const row = read.get(index + 1);
    if (row?.is_packed) {
      // Packs are read one tape at a time, each page from as few rows as possible.
      if (events.every(({ length }) => length === 0)) events.push(await readPackedRange(db, namespace, range));
      break;
    }
    const stored = row === undefined ? [] : toEvents(range, row);
    if (stored === null) throw new Error(`the events of task ${range.taskId} lack bodies`);
    events.push(stored);
  }
  return ranges.map((_, index) => events[index] ?? []);
}

async function readPackedRange(
  db: Kysely<Database>,
  namespace: string,
  { taskId, fromSeq, toSeq }: EventRange,
): Promise<TapeEvent[]> {
  const query = { namespace, taskId, fromSeq, limit: Number(toSeq - fromSeq) + 1 };
  return (await findPage(db, query))?.events ?? [];
}

/**
 * Returns the condition for the events of a page. A tape has no gaps, so a range of seqs replaces the limit. It also
 * bounds the plan if the planner has no statistics.
 */
function inRange(query: PageQuery): RawBuilder<unknown> {
  return sql`task_id = t.task_id and seq >= ${query.fromSeq}::bigint and seq < ${endOf(query)}::bigint`;
}

/** Returns a join with the packs of a page. */
function packsOf(query: PageQuery): RawBuilder<unknown> {
  return joinPacks({ fromSeq: query.fromSeq, endSeq: endOf(query) });
}

/** Returns the seq after the last one that a page may have. */
function endOf({ fromSeq, limit }: PageQuery): bigint {
  return fromSeq + BigInt(limit) < SEQ_MAX ? fromSeq + BigInt(limit) : SEQ_MAX;
}

/** Returns the events of a page that begins with packed events. */
function packedFirst({ taskId, fromSeq, limit }: PageQuery, row: PageRow): TapeEvent[] {
  const packed = toPackedEvents(taskId, row);
  const next = packed.at(-1)!.seq + 1n;
  // Rows continue the page only after the last pack. Those without every body are left to the next page.
  const rest = next > row.packed_seq ? toEvents({ taskId, fromSeq: next }, row) : null;
  const first = Number(fromSeq - packed[0]!.seq);
  return withinBytes([...packed.slice(first, first + limit), ...(rest ?? [])].slice(0, limit));
}

/** Returns the first events, up to the one that brings their bodies to PAGE_BYTES_MAX. */
function withinBytes(events: TapeEvent[]): TapeEvent[] {
  let bytes = 0;
  const end = events.findIndex(({ body }) => (bytes += body.length) >= PAGE_BYTES_MAX);
  return end === -1 ? events : events.slice(0, end + 1);
}
