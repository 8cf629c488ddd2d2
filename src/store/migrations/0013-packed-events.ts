import type { Stage } from "../stages/stage.ts";

/**
 * Adds the storage for the tapes of ended tasks: many events in one row, which PostgreSQL compresses. docs/adr/0038 has
 * the rules.
 *
 * - `tasks.packed_seq`: the events up to this seq are in `packed_events`, and no longer in `task_events`.
 * - `sweep_cursors`: how far a sweep over ended tasks has come, so that no sweep reads them again after a restart.
 * - `sessions.reads_packed`: whether the server of the session can read packed events. Servers of earlier versions
 *   cannot, so nothing is packed while one of them runs.
 * - `tape_events`: all events, one a row, for people with psql.
 *
 * The text columns join their events with the character 30, which JSON text always escapes. `times` has 8 bytes an event,
 * as timestamptz_send returns them.
 */
export const stages: readonly Stage[] = [
  {
    type: "transaction",
    table: "tasks",
    statements: [`alter table tasks add column if not exists packed_seq bigint not null default 0`],
  },
  {
    type: "transaction",
    table: "sessions",
    statements: [`alter table sessions add column if not exists reads_packed boolean not null default false`],
  },
  {
    type: "transaction",
    table: null,
    statements: [
      `create table packed_events (
        task_id uuid not null,
        first_seq bigint not null check (first_seq >= 1),
        last_seq bigint not null,
        bytes int not null,
        types text not null,
        times bytea not null,
        xids bigint[] not null,
        bodies text not null,
        primary key (task_id, first_seq)
      )`,
      `create table sweep_cursors (
        namespace text not null,
        sweep text not null,
        finished_at timestamptz not null,
        task_id uuid not null,
        primary key (namespace, sweep)
      )`,
      `create view tape_events as
        select task_id, seq, time, type, body from task_events
        union all
        select p.task_id, p.first_seq + e.number - 1,
               timestamptz '2000-01-01 00:00:00+00' + interval '1 microsecond'
                 * ('x' || encode(substr(p.times, (8 * e.number - 7)::int, 8), 'hex'))::bit(64)::bigint,
               e.type, e.body::json
        from packed_events p cross join lateral
          unnest(string_to_array(p.types, chr(30)), string_to_array(p.bodies, chr(30)))
            with ordinality as e (type, body, number)`,
    ],
  },
];
