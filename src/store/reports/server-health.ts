import { sql } from "kysely";
import type { Kysely } from "kysely";
import { DISTRIBUTED_TABLES, distributionProblem } from "../connection/distributed-tables.ts";
import type { DistributedTable } from "../connection/distributed-tables.ts";
import { HAS_CITUS } from "../connection/session-check.ts";
import { SERVICE_TABLES } from "../schema.ts";
import type { Database } from "../schema.ts";

// Reports on the database's server, as far as the role may read them. They do not need Spool's schema.

/** Settings that Spool's promises depend on, and that a connection cannot set for itself. */
const SETTINGS = ["fsync", "full_page_writes", "autovacuum"] as const;

/** The version and settings of a server. */
export interface ServerSettings extends Record<(typeof SETTINGS)[number], string> {
  /** Such as `18.4`. */
  version: string;
  /** Such as 180004. */
  versionNumber: number;
  /** What the server calls itself, such as `PostgreSQL 18.4 on x86_64…`. */
  product: string;
  /** Why Spool cannot use its tables as Citus has distributed them; null: it has not. */
  distributionProblem: string | null;
  /** Whether the server is a standby, or is set to refuse writes. */
  isReadOnly: boolean;
  /** The encoding of the database, such as `UTF8`. */
  encoding: string;
}

/** Reads the version and settings of the server. */
export async function readServerSettings(db: Kysely<Database>): Promise<ServerSettings> {
  const settings = SETTINGS.map((name) => sql`current_setting(${sql.lit(name)}) as ${sql.ref(name)}`);
  const { rows } = await sql<Omit<ServerSettings, "distributionProblem"> & { hasCitus: boolean }>`
    select split_part(current_setting('server_version'), ' ', 1) as version,
           current_setting('server_version_num')::int as "versionNumber",
           version() as product, ${sql.raw(HAS_CITUS)} as "hasCitus",
           current_setting('server_encoding') as encoding,
           pg_is_in_recovery() or current_setting('default_transaction_read_only') = 'on' as "isReadOnly",
           ${sql.join(settings)}`.execute(db);
  const { hasCitus, ...found } = rows[0]!;
  const distributed = hasCitus ? (await sql<DistributedTable>`${sql.raw(DISTRIBUTED_TABLES)}`.execute(db)).rows : [];
  return { ...found, distributionProblem: distributionProblem(distributed) };
}

/** The number of reads per connection. A pooler may lend its connections in turn, and other clients may take some. */
const POOLED_CHECKS = 3;

/**
 * Detects a pooler that lends its connections by the transaction. With such a pooler, one of two open connections is
 * served by several processes of the server, or both by the same process. The check uses two connections.
 */
export async function isPooledByTransaction(db: Kysely<Database>): Promise<boolean> {
  const pidOf = async (connection: Kysely<Database>) => {
    const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(connection);
    return rows[0]!.pid;
  };
  return db.connection().execute(async (first) =>
    db.connection().execute(async (second) => {
      const [firsts, seconds] = [new Set<number>(), new Set<number>()];
      for (let turn = 0; turn < POOLED_CHECKS; turn++) {
        firsts.add(await pidOf(first));
        seconds.add(await pidOf(second));
      }
      return firsts.size > 1 || seconds.size > 1 || !firsts.isDisjointFrom(seconds);
    }),
  );
}

/** Reads the database's clock. */
export async function readClock(db: Kysely<Database>): Promise<Date> {
  const { rows } = await sql<{ at: Date }>`select clock_timestamp() as at`.execute(db);
  return rows[0]!.at;
}

/** The connections of the server. */
export interface Connections {
  /** Open connections to all databases of the server. */
  used: number;
  /** The most connections for roles that are not superusers. */
  max: number;
}

/** Reads the number of connections of the server. */
export async function readConnections(db: Kysely<Database>): Promise<Connections> {
  const { rows } = await sql<Connections>`
    select (select sum(numbackends)::int from pg_stat_database) as used,
           current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
             - coalesce(current_setting('reserved_connections', true)::int, 0) as max`.execute(db); // Since Postgres 16.
  return rows[0]!;
}

/** A transaction that holds locks of the modes that writers take. */
export interface LockHolder {
  pid: number;
  application: string;
  user: string;
  isIdle: boolean;
  /** How long an idle transaction has been idle, or how long ago an active transaction began. */
  forMs: number;
  tables: string[];
  /** How many other sessions wait for the transaction. */
  waiting: number;
}

/** Lock modes of writers. The modes of vacuum are left out, because they block no other session. */
const WRITERS_LOCKS = [
  "RowShareLock",
  "RowExclusiveLock",
  "ShareLock",
  "ShareRowExclusiveLock",
  "ExclusiveLock",
  "AccessExclusiveLock",
];
const HOLDERS_MAX = 20;

/**
 * Reads transactions that may have locked Spool's rows: idle for longer than idleMs, or active for longer than
 * activeMs. Postgres does not report which rows are locked. At most 20 are read, the longest first.
 *
 * @returns `unseen`: how many transactions hold such locks, but hide their state from this role
 */
export async function readLockHolders(
  db: Kysely<Database>,
  { idleMs, activeMs }: { idleMs: number; activeMs: number },
): Promise<{ holders: LockHolder[]; unseen: number }> {
  const { rows } = await sql<Omit<LockHolder, "user" | "isIdle"> & { user: string | null; state: string | null }>`
with spool as (
  select c.oid, c.relname::text as name from pg_class c
  where c.oid in (select to_regclass(t) from unnest(${sql.val(SERVICE_TABLES)}::text[]) t)
),
holding as (
  select l.pid, array_agg(distinct s.name) as tables
  from pg_locks l join spool s on s.oid = l.relation
  where l.granted and l.mode = any(${sql.val(WRITERS_LOCKS)}::text[]) and l.pid <> pg_backend_pid()
    and l.database = (select oid from pg_database where datname = current_database())
  group by l.pid
)
select a.pid, a.application_name as application, a.usename::text as user, a.state, h.tables,
       coalesce(extract(epoch from clock_timestamp()
         - case when a.state = 'active' then a.xact_start else a.state_change end) * 1000, 0)::float8 as "forMs",
       (select count(*)::int from pg_stat_activity w
        where w.wait_event_type = 'Lock' and a.pid = any(pg_blocking_pids(w.pid))) as waiting
from holding h join pg_stat_activity a on a.pid = h.pid
where a.state is null
   or a.state like 'idle in transaction%' and a.state_change < clock_timestamp() - ${idleMs}::int * interval '1 millisecond'
   or a.state = 'active' and a.xact_start < clock_timestamp() - ${activeMs}::int * interval '1 millisecond'
order by "forMs" desc
limit ${HOLDERS_MAX}::int`.execute(db);
  const holders = rows.flatMap(({ state, user, ...holder }): LockHolder[] =>
    state === null ? [] : [{ ...holder, user: user ?? "", isIdle: state !== "active" }],
  );
  return { holders, unseen: rows.length - holders.length };
}
