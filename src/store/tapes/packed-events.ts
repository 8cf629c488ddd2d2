import { sql } from "kysely";
import type { RawBuilder } from "kysely";
import type { TapeEvent } from "../../domain/event.ts";
import { PACK_EVENTS_MAX, PAGE_BYTES_MAX } from "../../domain/limits.ts";
import type { Snapshot } from "../../domain/snapshot.ts";
import { SEPARATOR, toEvents } from "./event-columns.ts";
import { isVisible, surelyVisibleBefore } from "./snapshots.ts";

// The events of a task that has ended are stored packed: each row of `packed_events` has up to PACK_EVENTS_MAX of them,
// and `tasks.packed_seq` is the seq of the last one. `final` always stays a row of `task_events`.

/** Consecutive packed events. All fields except packed_seq are null if none of the events read is packed. */
export interface PackedColumns {
  /** The last packed seq of the tape; 0: none. */
  packed_seq: bigint;
  /** The seqs of the first and last event read. */
  packed_from: bigint | null;
  packed_to: bigint | null;
  packed_types: string | null;
  packed_times: Uint8Array | null;
  packed_bodies: string | null;
}

/**
 * Returns a join of `tasks t` with `p`, which has PackedColumns: the packs that hold events of a range, in one value. The
 * first pack may begin before the range, and the last may end after it. The packs end with the one that brings their
 * bodies to PAGE_BYTES_MAX.
 */
export function joinPacks({ fromSeq, endSeq }: { fromSeq: bigint; endSeq: bigint }): RawBuilder<unknown> {
  const separator = sql`${SEPARATOR}::text`;
  return sql`cross join lateral (
  select t.packed_seq, min(first_seq) as packed_from, max(last_seq) as packed_to,
         string_agg(types, ${separator} order by first_seq) as packed_types,
         string_agg(times, ''::bytea order by first_seq) as packed_times,
         string_agg(bodies, ${separator} order by first_seq) as packed_bodies
  from (
    select first_seq, last_seq, types, times, bodies,
           sum(bytes) over (order by first_seq rows between unbounded preceding and 1 preceding) as before
    from packed_events
    where t.packed_seq >= ${fromSeq}::bigint and task_id = t.task_id and last_seq >= ${fromSeq}::bigint
      and first_seq > ${fromSeq}::bigint - ${PACK_EVENTS_MAX}::int and first_seq < ${endSeq}::bigint
  ) sized
  where before is null or before < ${PAGE_BYTES_MAX}::int
) p`;
}

/** Returns the events of some packs. */
export function toPackedEvents(taskId: string, packs: PackedColumns): TapeEvent[] {
  const { packed_from: fromSeq, packed_to: toSeq } = packs;
  const events = toEvents(
    { taskId, fromSeq: fromSeq! },
    {
      count: Number(toSeq! - fromSeq!) + 1,
      end_seq: toSeq,
      types: packs.packed_types,
      times: packs.packed_times,
      bodies: packs.packed_bodies,
    },
  );
  if (events === null) throw new Error(`the tape of task ${taskId} has a gap at ${fromSeq} or after`);
  return events;
}

/**
 * Returns whether a snapshot shows a packed event; null: the event is not packed.
 *
 * @param taskId the id of the task, in SQL
 * @param seq the seq of the event, in SQL
 */
export function isPackedVisible(
  taskId: RawBuilder<unknown>,
  seq: RawBuilder<unknown>,
  snapshot: Snapshot,
): RawBuilder<boolean | null> {
  const number = sql`(${seq} - p.first_seq + 1)::int`;
  const micros = sql`('x' || encode(substr(p.times, 8 * ${number} - 7, 8), 'hex'))::bit(64)::bigint`;
  const time = sql`timestamptz '2000-01-01 00:00:00+00' + interval '1 microsecond' * ${micros}`;
  return sql`(
    select ${time} < ${surelyVisibleBefore(snapshot)}::timestamptz or ${isVisible(sql`p.xids[${number}]`, snapshot)}
    from packed_events p
    where p.task_id = ${taskId} and p.first_seq <= ${seq} and p.last_seq >= ${seq}
    order by p.first_seq desc limit 1
  )`;
}
