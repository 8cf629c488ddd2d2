import { sql } from "kysely";
import type { Kysely } from "kysely";
import type { Database } from "../schema.ts";

// What the database's server says of itself, to those who may see it. None of it needs Spool's schema.

/** Those that decide whether Spool's promises hold and that its connections cannot set for themselves. */
const SETTINGS = ["fsync", "full_page_writes", "autovacuum"] as const;

export interface ServerSettings extends Record<(typeof SETTINGS)[number], string> {
  /** As people know it: `18.4`. */
  version: string;
  /** 180004. */
  versionNumber: number;
  /** A standby, or one that was told to refuse writes. */
  isReadOnly: boolean;
  /** Of the database: `UTF8`. */
  encoding: string;
}

export async function readServerSettings(db: Kysely<Database>): Promise<ServerSettings> {
  const settings = SETTINGS.map((name) => sql`current_setting(${sql.lit(name)}) as ${sql.ref(name)}`);
  const { rows } = await sql<ServerSettings>`
    select split_part(current_setting('server_version'), ' ', 1) as version,
           current_setting('server_version_num')::int as "versionNumber",
           current_setting('server_encoding') as encoding,
           pg_is_in_recovery() or current_setting('default_transaction_read_only') = 'on' as "isReadOnly",
           ${sql.join(settings)}`.execute(db);
  return rows[0]!;
}

/** A pooler may hand out its connections in turn, and others may take some meanwhile. */
const POOLED_LOOKS = 3;

/**
 * Whether a pooler in between lends its connections by the transaction: of two that are open at once each is then served
 * by several processes of the server, or both by the same. It takes two connections.
 */
export async function isPooledByTransaction(db: Kysely<Database>): Promise<boolean> {
  const pidOf = async (connection: Kysely<Database>) => {
    const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(connection);
    return rows[0]!.pid;
  };
  return db.connection().execute(async (first) =>
    db.connection().execute(async (second) => {
      const [firsts, seconds] = [new Set<number>(), new Set<number>()];
      for (let turn = 0; turn < POOLED_LOOKS; turn++) {
        firsts.add(await pidOf(first));
        seconds.add(await pidOf(second));
      }
      return firsts.size > 1 || seconds.size > 1 || !firsts.isDisjointFrom(seconds);
    }),
  );
}

/** The moment that it is there, by the database's clock. */
export async function readClock(db: Kysely<Database>): Promise<Date> {
  const { rows } = await sql<{ at: Date }>`select clock_timestamp() as at`.execute(db);
  return rows[0]!.at;
}

export interface Connections {
  /** How many there are, of all databases of the server, this one among them. */
  used: number;
  /** How many those may have that are no superusers. */
  max: number;
}

export async function readConnections(db: Kysely<Database>): Promise<Connections> {
  const { rows } = await sql<Connections>`
    select (select sum(numbackends)::int from pg_stat_database) as used,
           current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
             - coalesce(current_setting('reserved_connections', true)::int, 0) as max`.execute(db); // Since Postgres 16.
  return rows[0]!;
}

/** A transaction that holds locks as those who write take them. */
export interface LockHolder {
  pid: number;
  application: string;
  user: string;
  isIdle: boolean;
  /** How long it has been idle; of one that works, how long ago it began. */
  forMs: number;
  tables: string[];
  /** How many others wait for it. */
  waiting: number;
}

const TABLES = ["tasks", "task_events", "task_requests", "task_exclusives", "sessions"];
/** Excludes vacuum's, which block no other session. */
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
 * Transactions that may hold Spool's rows: idle for longer than idleMs, or at work for longer than activeMs. Which rows
 * those are Postgres tells nobody. At most 20, those first that have stood for longest.
 *
 * @returns unseen: how many hold such locks of which this role may not see what they do
 */
export async function readLockHolders(
  db: Kysely<Database>,
  { idleMs, activeMs }: { idleMs: number; activeMs: number },
): Promise<{ holders: LockHolder[]; unseen: number }> {
  const { rows } = await sql<Omit<LockHolder, "user" | "isIdle"> & { user: string | null; state: string | null }>`
with spool as (
  select c.oid, c.relname::text as name from pg_class c
  where c.oid in (select to_regclass(t) from unnest(${sql.val(TABLES)}::text[]) t)
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
