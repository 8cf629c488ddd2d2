import { sql } from "kysely";
import type { Kysely } from "kysely";
import { SERVICE_TABLES } from "../schema.ts";
import type { Database } from "../schema.ts";

// Reports on what vacuum has to do, and on what keeps it from removing dead rows. They read only statistics and catalogs.

/** What the statistics say about a table. */
export interface TableHealth {
  table: string;
  deadRows: number;
  /** The number of dead rows from which autovacuum cleans the table. */
  deadRowsMax: number;
  /** How long ago a vacuum has last ended; null: none has. */
  vacuumedMs: number | null;
  /** Whether the table is excluded from autovacuum. */
  isAutovacuumOff: boolean;
  /** How many transactions ago the oldest row may have been written that is not frozen, TOAST included. */
  unfrozenXids: number;
}

/** Reads the state of Spool's tables, those that exist. */
export async function readTableHealth(db: Kysely<Database>): Promise<TableHealth[]> {
  const { rows } = await sql<TableHealth>`
with options as (
  select c.oid, c.relname::text as name, c.reltuples, c.relfrozenxid, c.reltoastrelid,
         (select jsonb_object_agg(o.option_name, o.option_value) from pg_options_to_table(c.reloptions) o) as set
  from pg_class c
  where c.oid in (select to_regclass(t) from unnest(${sql.val(SERVICE_TABLES)}::text[]) t)
)
select o.name as table, coalesce(s.n_dead_tup, 0)::float8 as "deadRows",
       coalesce(o.set ->> 'autovacuum_vacuum_threshold', current_setting('autovacuum_vacuum_threshold'))::float8
         + coalesce(o.set ->> 'autovacuum_vacuum_scale_factor', current_setting('autovacuum_vacuum_scale_factor'))::float8
           * greatest(o.reltuples, 0) as "deadRowsMax",
       (extract(epoch from clock_timestamp() - greatest(s.last_vacuum, s.last_autovacuum)) * 1000)::float8 as "vacuumedMs",
       not coalesce((o.set ->> 'autovacuum_enabled')::boolean, true) as "isAutovacuumOff",
       greatest(age(o.relfrozenxid), (select age(t.relfrozenxid) from pg_class t where t.oid = o.reltoastrelid))::float8
         as "unfrozenXids"
from options o left join pg_stat_user_tables s on s.relid = o.oid
order by "deadRows" desc, o.name`.execute(db);
  return rows;
}

/** A transaction or slot whose snapshot keeps vacuum from removing rows that died later. */
export interface HorizonHolder {
  type: "session" | "prepared transaction" | "replication slot";
  /** The process id of a session, the id of a prepared transaction, or the name of a slot. */
  name: string;
  /** The application and role of a session; else empty. */
  who: string;
  /** For how long; null: unknown, for a slot. */
  forMs: number | null;
  /** How many transactions have begun since. */
  xids: number;
}

const HOLDERS_MAX = 20;

/**
 * Reads what holds back the removal of dead rows in this database, the oldest snapshot first: at most 20. Sessions of
 * other databases hold back only theirs. Vacuums and this session are left out. Sessions of other roles hide their
 * transaction from a role without pg_read_all_stats.
 */
export async function readHorizonHolders(db: Kysely<Database>): Promise<HorizonHolder[]> {
  const { rows } = await sql<HorizonHolder>`
select * from (
  select 'session' as type, a.pid::text as name,
         coalesce(nullif(a.application_name, ''), 'no application name') || ', ' || coalesce(a.usename::text, a.backend_type)
           as who,
         (extract(epoch from clock_timestamp() - coalesce(a.xact_start, a.backend_start)) * 1000)::float8 as "forMs",
         greatest(age(a.backend_xmin), age(a.backend_xid))::float8 as xids
  from pg_stat_activity a
  where (a.backend_xmin is not null or a.backend_xid is not null) and a.pid <> pg_backend_pid()
    and (a.datname = current_database() or a.backend_type = 'walsender')
    and not exists (select from pg_stat_progress_vacuum v where v.pid = a.pid)
  union all
  select 'prepared transaction', p.gid, '', (extract(epoch from clock_timestamp() - p.prepared) * 1000)::float8,
         age(p.transaction)::float8
  from pg_prepared_xacts p where p.database = current_database()
  union all
  select 'replication slot', s.slot_name::text, '', null, age(s.xmin)::float8
  from pg_replication_slots s where s.xmin is not null
) holder
order by xids desc, "forMs" desc nulls last
limit ${HOLDERS_MAX}::int`.execute(db);
  return rows;
}
