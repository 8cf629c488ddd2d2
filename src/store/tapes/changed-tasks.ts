import { sql } from "kysely";
import type { Kysely, RawBuilder } from "kysely";
import { FIRST_PLACE } from "../../domain/follow-cursor.ts";
import type { FollowCursor } from "../../domain/follow-cursor.ts";
import type { EventBodies } from "../../domain/event.ts";
import { NOTHING } from "../../domain/snapshot.ts";
import type { Snapshot } from "../../domain/snapshot.ts";
import type { Task } from "../../domain/task.ts";
import { isPackedVisible } from "./packed-events.ts";
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
import { isOfKinds } from "../tasks/kind-filter.ts";

/** How many events at the end of a tape are read for the last visible one. Further back, findVisibleSeq searches. */
const NEAR_EVENTS = 256;
/** The target of a new round, which shows everything. */
const EVERYTHING: Snapshot = { ...NOTHING, xmin: 2n ** 63n - 1n, xmax: 2n ** 63n - 1n };
/** How far the clocks of servers, which set the time in task ids, may differ from the database's clock. */
const CLOCKS_APART_MS = 5 * 60 * 1_000;

/** Selects the tasks that changed between two snapshots, from a place on. */
export interface ChangeQuery extends Pick<FollowCursor, "seen" | "round"> {
  namespace: string;
  /** Empty: all. */
  kinds: readonly string[];
  labels: Readonly<Record<string, string>>;
  /** The most tasks to return. */
  limit: number;
  /** Whether the snapshot must be durable even if no task has changed. If a task has changed, it always is. */
  mustBeDurable: boolean;
}

/** The changed tasks of one statement. */
export interface Changes<Changed> {
  /** The statement's own snapshot: the target of a new round. */
  snapshot: Snapshot;
  /** Whether a cursor may hold the snapshot: a crash of the database cannot undo what it shows as completed. */
  isDurable: boolean;
  /** In the order of their places. */
  tasks: Changed[];
  /** Whether more tasks may follow. */
  hasMore: boolean;
}

interface Placed {
  taskId: string;
  /** See Place. */
  endedXid: bigint | null;
}

/** A task with unseen events: the target of the round shows them, and the snapshot `seen` does not. */
export interface ChangedTape extends Placed {
  kind: string;
  lastSeq: bigint;
  /** The last seen seq; null: packed, or further back than NEAR_EVENTS. findVisibleSeq finds it. */
  seenSeq: bigint | null;
  /** The last seq in the target; null as above. */
  targetSeq: bigint | null;
}

/** A task that has changed since the snapshot `seen`, in its current state, without its params. */
export interface ChangedTask extends Placed {
  task: Task;
  progress: EventBodies["progress"] | null;
}

/** Reads the tasks whose tapes have unseen events. A task that waits for its first attempt has no tape. */
export async function readChangedTapes(db: Kysely<Database>, query: ChangeQuery): Promise<Changes<ChangedTape>> {
  interface Row extends CandidateRow {
    kind: string;
    last_seq: bigint;
    packed_seq: bigint;
    seen_seq: bigint | null;
    target_seq: bigint | null;
  }
  const { seen } = query;
  const target = query.round?.target ?? EVERYTHING;
  const { rows } = await sql<Row>`with /* spool_changed_tapes */ ${candidates(query)}
select m.snapshot, m.at, l.log, c.*, ${lastVisible(seen)} as seen_seq, ${lastVisible(target)} as target_seq
from clock m cross join log_check l left join candidate c on true
order by c.part, c.ended_xid, c.task_id`.execute(db);
  return toChanges(query, rows, ({ kind, last_seq: lastSeq, seen_seq: seenSeq, target_seq: targetSeq, packed_seq }) => {
    // A short tape that has no visible event near its end has none at all, unless its events are packed.
    const elsewhere = lastSeq <= NEAR_EVENTS && packed_seq === 0n ? 0n : null;
    return {
      kind,
      lastSeq,
      seenSeq: seen.xmax === 0n ? 0n : (seenSeq ?? elsewhere),
      targetSeq: targetSeq ?? elsewhere,
    };
  });
}

/** Reads the tasks that have changed since the snapshot `seen`, including new tasks without an attempt. */
export async function readChangedTasks(db: Kysely<Database>, query: ChangeQuery): Promise<Changes<ChangedTask>> {
  type Row = CandidateRow & TaskRow & { progress: string | null };
  const since = new Date(Math.max(0, query.seen.at.getTime() - CLOCKS_APART_MS));
  const { rows } = await sql<Row>`with /* spool_changed_tasks */ ${candidates(query, since)}
select m.snapshot, m.at, l.log, c.part, c.ended_xid,
       ${SUMMARY_LIST}, ${latestProgress("t")} as progress
from clock m cross join log_check l left join candidate c on true left join tasks t on t.task_id = c.task_id
order by c.part, c.ended_xid, c.task_id`.execute(db);
  return toChanges(query, rows, (row) => ({
    task: toTask(row),
    progress: row.progress === null ? null : toProgress(row.progress),
  }));
}

/**
 * Finds the last seq of a tape that a snapshot shows, at any distance from the end of the tape. It searches by
 * bisection: the events of a tape are committed in order, so a snapshot shows a tape up to some seq and nothing after
 * it.
 *
 * @param tape.lastSeq a seq that is on the tape, or 0
 */
export async function findVisibleSeq(
  db: Kysely<Database>,
  { taskId, lastSeq }: { taskId: string; lastSeq: bigint },
  snapshot: Snapshot,
): Promise<bigint> {
  const { rows } = await sql<{ seq: bigint }>`/* spool_visible_seq */
with recursive clock as materialized (select ${OWN_SNAPSHOT}),
search (visible, hidden) as (
  select 0::bigint, ${lastSeq}::bigint + 1
  union all
  select case when s.middle_is_visible then s.middle else s.visible end,
         case when s.middle_is_visible then s.hidden else s.middle end
  from (
    select visible, hidden, (visible + hidden) / 2 as middle,
           coalesce(
             (select ${isRowVisible("e", snapshot)} from clock m, task_events e
              where e.task_id = ${taskId}::uuid and e.seq = (visible + hidden) / 2),
             ${isPackedVisible(sql`${taskId}::uuid`, sql`(visible + hidden) / 2`, snapshot)}
           ) as middle_is_visible
    from search where hidden - visible > 1
  ) s
)
select max(visible) as seq from search`.execute(db);
  return rows[0]!.seq;
}

interface CandidateRow extends SnapshotRow {
  /** 0: the task had ended in the target; 1: it had not; null: there is no candidate at all. */
  part: number | null;
  ended_xid: bigint | null;
  task_id: string;
}

/**
 * Returns the CTEs `clock`, `log_check` and `candidate`. A candidate is a task whose row was last written by a
 * transaction that the snapshot `seen` does not show. Each branch reads one index, in the order of places and up to the
 * limit:
 *
 *   ended          ended since `seen`, and visible in the target: part 0, in the order of their ends
 *   running        part 1, in the order of their ids, like all branches below
 *   retrying       pending after an earlier attempt
 *   endedUnordered ended, but without the number of the transaction that ended them
 *   endedLater     ended, but not in the target yet: on their tapes the target may show events before the end
 *   waiting        pending without an attempt, created since `seen`: only if newSince is given
 *
 * An example of three tasks A < B < C, two transactions and one cursor. The cursor has seen the transactions below 100.
 *
 *   transaction 101 wrote an event of A, which runs, and is still open
 *   transaction 102 ended B, and committed
 *   C ended in transaction 90
 *
 * A round begins; its target shows 102 but not 101. B is found in `ended`. A is no candidate: its visible row was
 * written before 100. C is below the bound of `ended` and is not read. A stream that breaks after B resumes from the
 * cursor { seen: 100, target, place: (102, B) }; a finished round leaves the cursor { seen: target }.
 *
 * Transaction 101 commits, and the next round begins. A is found in `running`: 101 is not visible in `seen`, though it
 * is below 102. B is no candidate any more. So no event is missed and none is delivered twice.
 *
 * If B had ended during a round, after the target of the round, the round would find B in `endedLater` and deliver the
 * events up to the target. The next round would deliver the end.
 *
 * The statement is not prepared, because no single plan is good for every filter and every cursor.
 *
 * @param newSince the earliest creation of tasks that wait for their first attempt; null: such tasks are not read
 */
function candidates(query: ChangeQuery, newSince: Date | null = null): RawBuilder<unknown> {
  const { namespace, seen, limit } = query;
  const target = query.round?.target ?? EVERYTHING;
  const place = query.round?.place ?? FIRST_PLACE;
  const isPastEnded = place.endedXid === null;
  const fromId = isPastEnded ? place.taskId : FIRST_PLACE.taskId;
  const newFromId = newSince === null ? fromId : later(fromId, firstIdAt(newSince));
  // The index scan begins at a single bound. A task that ended below xmin has been seen.
  const isPlaceSeen = isPastEnded || place.endedXid! < seen.xmin;
  const firstEnd = isPlaceSeen ? { ...FIRST_PLACE, xid: seen.xmin } : { ...place, xid: place.endedXid };
  const endedXid = sql.ref("t.ended_xid");
  const columns = sql`t.task_id, t.kind, t.last_seq, t.packed_seq`;
  const isChanged = sql`not ${isVisible(rowXid("t"), seen)}`;
  const matches = sql`t.namespace = ${namespace} and ${isChanged}
    and ${isOfKinds(query.kinds, sql.ref("t.kind"))}
    and t.labels @> ${JSON.stringify(query.labels)}::jsonb`;
  const inOrderOfIds = (condition: RawBuilder<unknown>, from = fromId) => sql`(
    select 1 as part, null::bigint as ended_xid, ${columns} from tasks t cross join clock m
    where ${condition} and t.task_id >= ${from}::uuid and ${matches}
    order by t.task_id limit ${limit}::int
  )`;
  const ended = sql`(
    select 0 as part, t.ended_xid, ${columns} from tasks t cross join clock m
    where not ${isPastEnded}::boolean and t.finished_at is not null and ${matches}
      and (t.ended_xid, t.task_id) >= (${firstEnd.xid}::bigint, ${firstEnd.taskId}::uuid)
      and not ${isVisible(endedXid, seen)} and ${isVisible(endedXid, target)}
    order by t.ended_xid, t.task_id limit ${limit}::int
  )`;
  const running = inOrderOfIds(sql`t.status = 'running'`);
  const retrying = inOrderOfIds(sql`t.status = 'pending' and t.attempt > 0`);
  const endedUnordered = inOrderOfIds(sql`t.finished_at is not null and t.ended_xid is null`);
  const endedLater = inOrderOfIds(
    sql`t.finished_at is not null and t.ended_xid >= ${target.xmin}::bigint and not ${isVisible(endedXid, target)}`,
  );
  const waiting = inOrderOfIds(
    sql`${newSince !== null}::boolean and t.status = 'pending' and t.attempt = 0`,
    newFromId,
  );
  const branches = [ended, running, retrying, endedUnordered, endedLater, waiting];
  // Only the first statement of a round gives its own snapshot to a cursor.
  const isNewRound = sql`${query.round === null}::boolean`;
  const isGiven = sql`${isNewRound} and (${query.mustBeDurable}::boolean or exists (select from candidate))`;
  return sql`clock as materialized (select ${OWN_SNAPSHOT_IN_LOG}),
candidate as materialized (
  ${sql.join(branches, sql` union all `)}
  order by part, ended_xid, task_id limit ${limit}::int
),
${logCheck(isGiven)}`;
}

/** Returns a column of `candidate c`: the last seq that a snapshot shows among the tape's last events; null: none. */
function lastVisible(snapshot: Snapshot): RawBuilder<bigint | null> {
  return sql`(
    select e.seq from task_events e
    where e.task_id = c.task_id and e.seq > c.last_seq - ${NEAR_EVENTS}::int and ${snapshot.xmax}::bigint > 0
      and ${isRowVisible("e", snapshot)}
    order by e.seq desc limit 1
  )`;
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

/** Returns the first UUIDv7 of a time. */
function firstIdAt(time: Date): string {
  const hex = time.getTime().toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}

function later(idA: string, idB: string): string {
  return idA > idB ? idA : idB;
}
