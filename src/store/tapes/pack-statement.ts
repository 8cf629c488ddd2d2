import { sql } from "kysely";
import type { Transaction } from "kysely";
import { PACK_BYTES_MAX, PACK_EVENTS_MAX } from "../../domain/limits.ts";
import type { Database } from "../schema.ts";
import { joinedColumns } from "./event-columns.ts";
import { rowXid } from "./snapshots.ts";

/** The most events, and the size of bodies, that one statement packs of one tape. The last event may exceed the size. */
export const PACKED_EVENTS_MAX = 5_000;
const PACKED_BYTES_MAX = 4 * PACK_BYTES_MAX;

/** A tape of which events were packed. */
export interface PackedTape {
  taskId: string;
  /** How many events this statement packed. */
  events: number;
  /** Whether all events but `final` are packed. */
  isDone: boolean;
}

/**
 * Packs the next events of some ended tasks: inserts packs, deletes the rows of their events, and moves `packed_seq`, in
 * one statement. So every snapshot shows each event exactly once, as a row or in a pack. `final` stays a row.
 *
 * The rows of the tasks are locked first, so no task is removed meanwhile. The packs hold the number of the transaction
 * that wrote each event, because a follower of many tasks finds unseen events by this number.
 *
 * @param taskIds tasks whose unpacked events are at most PACKED_EVENTS_MAX together, or one task
 * @returns the tapes of which events were packed. A removed task and a task without unpacked events are left out.
 */
export async function packEvents(trx: Transaction<Database>, taskIds: readonly string[]): Promise<PackedTape[]> {
  const { rows } = await sql<{ task_id: string; events: number; is_done: boolean }>`/* spool_pack */
with clock as materialized (
  select pg_snapshot_xmax(pg_current_snapshot())::text::bigint as next_xid
),
tapes as materialized (
  select task_id, packed_seq, last_seq from tasks
  where task_id = any(${taskIds}::uuid[]) and finished_at is not null
  order by task_id for update
),
sized as (
  select t.task_id, e.seq, sum(pg_column_size(e.body)) over (
           order by t.task_id, e.seq rows between unbounded preceding and 1 preceding
         ) as before
  from tapes t join task_events e on e.task_id = t.task_id and e.seq > t.packed_seq and e.seq < t.last_seq
    and e.seq <= t.packed_seq + ${PACKED_EVENTS_MAX}::int
),
taken as materialized (
  select task_id, max(seq) as to_seq from sized where before is null or before < ${PACKED_BYTES_MAX}::int
  group by task_id
),
deleted as (
  delete from task_events e using tapes t join taken k using (task_id) cross join clock m
  where e.task_id = t.task_id and e.seq > t.packed_seq and e.seq <= k.to_seq
  returning e.task_id, e.seq, e.time, e.type, e.body::text as body, ${rowXid("e")} as xid
),
in_page as (
  select *, (seq - 1) / ${PACK_EVENTS_MAX}::int as page from deleted
),
in_pack as (
  select *, coalesce(sum(octet_length(body)) over (
           partition by task_id, page order by seq rows between unbounded preceding and 1 preceding
         ), 0) / ${PACK_BYTES_MAX}::int as part
  from in_page
),
inserted as (
  insert into packed_events (task_id, first_seq, last_seq, bytes, xids, types, times, bodies)
  select task_id, min(seq), max(seq), sum(octet_length(body)), array_agg(xid order by seq), ${joinedColumns(sql`body`)}
  from in_pack group by task_id, page, part
)
update tasks t set packed_seq = k.to_seq
from taken k join tapes before using (task_id)
where t.task_id = k.task_id
returning t.task_id, (k.to_seq - before.packed_seq)::int as events, t.last_seq = k.to_seq + 1 as is_done`.execute(trx);
  return rows.map((row) => ({ taskId: row.task_id, events: row.events, isDone: row.is_done }));
}
