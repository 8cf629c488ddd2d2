import { sql } from "kysely";
import type { Kysely, RawBuilder } from "kysely";
import { FIRST_PLACE } from "../../domain/follow-cursor.ts";
import type { FollowCursor } from "../../domain/follow-cursor.ts";
import type { EventBodies } from "../../domain/event.ts";
import { NOTHING } from "../../domain/snapshot.ts";
import type { Snapshot } from "../../domain/snapshot.ts";
import type { Task } from "../../domain/task.ts";
import { latestProgress, toProgress } from "./progress.ts";
import type { Database } from "../schema.ts";
import {
  isRowVisible,
  isVisible,
  logCheck,
  OWN_SNAPSHOT,
  OWN_SNAPSHOT_IN_LOG,
  rowXid,
  toSnapshot,
} from "./snapshots.ts";
import type { SnapshotRow } from "./snapshots.ts";
import { SUMMARY_LIST, toTask } from "../tasks/task-columns.ts";
import type { TaskRow } from "../tasks/task-columns.ts";

/** How far back from its end a tape is looked through for what a snapshot shows of it. Past that it is searched. */
const NEAR_EVENTS = 256;
/** Below every xid and above it, for who has no snapshot of another time to compare with. */
const EVERYTHING: Snapshot = { ...NOTHING, xmin: 2n ** 63n - 1n, xmax: 2n ** 63n - 1n };
/** How far the clocks of servers, which date the ids of tasks, and the database's may be apart. */
const CLOCKS_APART_MS = 5 * 60 * 1_000;

/** Which tasks, and what of them is wanted: those that changed between two snapshots, from a place on. */
export interface ChangeQuery extends FollowCursor {
  namespace: string;
  /** Empty: all. */
  kinds: readonly string[];
  labels: Readonly<Record<string, string>>;
  /** How many tasks at the most. */
  limit: number;
  /** Whether the snapshot is to be durable though nothing has changed. Where something has, it always is. */
  mustBeDurable: boolean;
}

/** What is asked for, of one snapshot: the target of the round that it belongs to, or that of a round that begins. */
export interface Changes<Changed> {
  /** Of this statement: the target of a new round. */
  snapshot: Snapshot;
  /** Whether a cursor may hold the snapshot: no crash of the database can undo what it shows as completed. */
  isDurable: boolean;
  /** In the order of their places. */
  tasks: Changed[];
  /** Whether there may be more behind them. */
  hasMore: boolean;
}

interface Placed {
  taskId: string;
  /** See Place. */
  endedXid: bigint | null;
}

/** A task with events that the target of the round shows and what has been seen does not. */
export interface ChangedTape extends Placed {
  kind: string;
  lastSeq: bigint;
  /** The last seq that has been seen; null: further back than was looked, findVisibleSeq tells. */
  seenSeq: bigint | null;
  /** The last seq in the target; null as above. */
  targetSeq: bigint | null;
}

/** A task that is not as it has been seen: as it is now, without its params. */
export interface ChangedTask extends Placed {
  task: Task;
  progress: EventBodies["progress"] | null;
}

/** Tasks on whose tapes there is more than has been seen. A task that only waits, and never ran, has no tape. */
export async function readChangedTapes(db: Kysely<Database>, query: ChangeQuery): Promise<Changes<ChangedTape>> {
  interface Row extends CandidateRow {
    kind: string;
    last_seq: bigint;
    seen_seq: bigint | null;
    target_seq: bigint | null;
  }
  const { seen } = query;
  const target = query.round?.target ?? EVERYTHING;
  const { rows } = await sql<Row>`with /* spool_changed_tapes */ ${candidates(query)}
select m.snapshot, m.at, l.log, c.*, ${lastVisible(seen)} as seen_seq, ${lastVisible(target)} as target_seq
from moment m cross join log_check l left join candidate c on true
order by c.part, c.ended_xid, c.task_id`.execute(db);
  return toChanges(query, rows, ({ kind, last_seq: lastSeq, seen_seq: seenSeq, target_seq: targetSeq }) => ({
    kind,
    lastSeq,
    seenSeq: seen.xmax === 0n ? 0n : (seenSeq ?? emptyOrFar(lastSeq)),
    targetSeq: targetSeq ?? emptyOrFar(lastSeq),
  }));
}

/** Tasks that are not as they have been seen, as they are now, those that only wait among them. */
export async function readChangedTasks(db: Kysely<Database>, query: ChangeQuery): Promise<Changes<ChangedTask>> {
  type Row = CandidateRow & TaskRow & { progress: string | null };
  const since = new Date(Math.max(0, query.seen.at.getTime() - CLOCKS_APART_MS));
  const { rows } = await sql<Row>`with /* spool_changed_tasks */ ${candidates(query, since)}
select m.snapshot, m.at, l.log, c.part, c.ended_xid,
       ${SUMMARY_LIST}, ${latestProgress("t")} as progress
from moment m cross join log_check l left join candidate c on true left join tasks t on t.task_id = c.task_id
order by c.part, c.ended_xid, c.task_id`.execute(db);
  return toChanges(query, rows, (row) => ({
    task: toTask(row),
    progress: row.progress === null ? null : toProgress(row.progress),
  }));
}

/**
 * The last seq of a tape that is visible in a snapshot, however far from its end: what is visible of a tape is always
 * its beginning, for its events are committed in turn.
 *
 * @param tape.lastSeq a seq that is on the tape, or 0
 */
export async function findVisibleSeq(
  db: Kysely<Database>,
  { taskId, lastSeq }: { taskId: string; lastSeq: bigint },
  snapshot: Snapshot,
): Promise<bigint> {
  const { rows } = await sql<{ seq: bigint }>`/* spool_visible_seq */
with recursive moment as materialized (select ${OWN_SNAPSHOT}),
search (visible, hidden) as (
  select 0::bigint, ${lastSeq}::bigint + 1
  union all
  select case when s.middle_is_visible then s.middle else s.visible end,
         case when s.middle_is_visible then s.hidden else s.middle end
  from (
    select visible, hidden, (visible + hidden) / 2 as middle,
           (select ${isRowVisible("e", snapshot)} from moment m, task_events e
            where e.task_id = ${taskId}::uuid and e.seq = (visible + hidden) / 2) as middle_is_visible
    from search where hidden - visible > 1
  ) s
)
select max(visible) as seq from search`.execute(db);
  return rows[0]!.seq;
}

interface CandidateRow extends SnapshotRow {
  /** 0: had ended in the target; 1: had not. null where there is no candidate at all. */
  part: number | null;
  ended_xid: bigint | null;
  task_id: string;
}

/**
 * The statement is not prepared: a plan that serves every filter and every cursor serves none of them well.
 *
 * The CTEs `moment`, `log_check` and `candidate`: tasks whose row was changed by a transaction that is not visible in
 * what has been seen. Those that run, or wait again, are all looked at, which are few; of those that have ended, the
 * ones that did so since; and of those that wait for their first attempt, where they are asked for, the ones that are
 * new.
 *
 * @param newSince also those that wait for their first attempt, of which older ones have been seen; null: without them
 */
function candidates(query: ChangeQuery, newSince: Date | null = null): RawBuilder<unknown> {
  const { namespace, seen, limit } = query;
  const target = query.round?.target ?? EVERYTHING;
  const place = query.round?.place ?? FIRST_PLACE;
  const inPartOne = place.endedXid === null;
  const from = inPartOne ? place.taskId : FIRST_PLACE.taskId;
  const newFrom = newSince === null ? from : later(from, firstIdAt(newSince));
  // One bound, for an index is entered by one: what had ended below xmin has been seen.
  const isBefore = inPartOne || place.endedXid! < seen.xmin;
  const ended = isBefore ? { ...FIRST_PLACE, xid: seen.xmin } : { ...place, xid: place.endedXid };
  const endedXid = sql.ref("t.ended_xid");
  const columns = sql`t.task_id, t.kind, t.last_seq`;
  const changed = sql`not ${isVisible(rowXid("t"), seen)}`;
  const wanted = sql`t.namespace = ${namespace} and ${changed}
    and (cardinality(${query.kinds}::text[]) = 0 or t.kind = any(${query.kinds}::text[]))
    and t.labels @> ${JSON.stringify(query.labels)}::jsonb`;
  const notEnded = (which: RawBuilder<unknown>, fromId = from) => sql`(
    select 1 as part, null::bigint as ended_xid, ${columns} from tasks t cross join moment m
    where ${which} and t.task_id >= ${fromId}::uuid and ${wanted}
    order by t.task_id limit ${limit}::int
  )`;
  // The later statements of a round give nothing of their own snapshots.
  const isNewRound = sql`${query.round === null}::boolean`;
  const isGiven = sql`${isNewRound} and (${query.mustBeDurable}::boolean or exists (select from candidate))`;
  return sql`moment as materialized (select ${OWN_SNAPSHOT_IN_LOG}),
candidate as materialized (
  (
    select 0 as part, t.ended_xid, ${columns} from tasks t cross join moment m
    where not ${inPartOne}::boolean and t.finished_at is not null and ${wanted}
      and (t.ended_xid, t.task_id) >= (${ended.xid}::bigint, ${ended.taskId}::uuid)
      and not ${isVisible(endedXid, seen)} and ${isVisible(endedXid, target)}
    order by t.ended_xid, t.task_id limit ${limit}::int
  )
  union all ${notEnded(sql`t.status = 'running'`)}
  union all ${notEnded(sql`t.status = 'pending' and t.attempt > 0`)}
  union all ${notEnded(sql`t.finished_at is not null and t.ended_xid is null`)}
  union all ${notEnded(sql`t.finished_at is not null and t.ended_xid >= ${target.xmin}::bigint and not ${isVisible(endedXid, target)}`)}
  union all ${notEnded(sql`${newSince !== null}::boolean and t.status = 'pending' and t.attempt = 0`, newFrom)}
  order by part, ended_xid, task_id limit ${limit}::int
),
${logCheck(isGiven)}`;
}

/** A column of `candidate c`: the last of the last events of its tape that a snapshot shows; null: none of those. */
function lastVisible(snapshot: Snapshot): RawBuilder<bigint | null> {
  return sql`(
    select e.seq from task_events e
    where e.task_id = c.task_id and e.seq > c.last_seq - ${NEAR_EVENTS}::int and ${snapshot.xmax}::bigint > 0
      and ${isRowVisible("e", snapshot)}
    order by e.seq desc limit 1
  )`;
}

function emptyOrFar(lastSeq: bigint): bigint | null {
  return lastSeq <= NEAR_EVENTS ? 0n : null;
}

function toChanges<Row extends CandidateRow, Changed>(
  { limit }: ChangeQuery,
  rows: readonly Row[],
  convert: (row: Row) => Changed,
): Changes<Changed & Placed> {
  const found = rows.filter(({ part }) => part !== null);
  return {
    ...toSnapshot(rows[0]!),
    tasks: found.map((row) => ({ ...convert(row), taskId: row.task_id, endedXid: row.ended_xid })),
    hasMore: found.length === limit,
  };
}

/** The first UUIDv7 of a time. */
function firstIdAt(time: Date): string {
  const hex = time.getTime().toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}

function later(idA: string, idB: string): string {
  return idA > idB ? idA : idB;
}
