import { sql } from "kysely";
import type { Kysely } from "kysely";
import type { Database } from "../schema.ts";

/** A session of Postgres that a migration waits for. The text of its statement may hold data, so it is left out. */
export interface OtherSession {
  pid: number;
  /** Its application_name, or the sort of process, such as `autovacuum worker`. */
  application: string;
  /** Such as `active` or `idle in transaction`; null: hidden from this role. */
  state: string | null;
  /** The time since its latest statement began; null: hidden from this role. */
  statementMs: number | null;
}

const SESSION = sql<OtherSession>`
  a.pid, coalesce(nullif(a.application_name, ''), a.backend_type, '') as application, a.state,
  (extract(epoch from clock_timestamp() - a.query_start) * 1000)::float8 as "statementMs"`;

/** The key of the migration lock. */
export const LOCK_KEY = sql<bigint>`hashtextextended('spool migrations', 0)`;

/** Returns the id of the connection's session. */
export async function readPid(connection: Kysely<Database>): Promise<number> {
  const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(connection);
  return rows[0]!.pid;
}

/** Reads the sessions that keep a session from a lock. */
export async function readBlockers(db: Kysely<Database>, pid: number): Promise<OtherSession[]> {
  const { rows } = await sql<OtherSession>`
    select ${SESSION} from pg_stat_activity a
    where a.pid = any(pg_blocking_pids(${pid}::int)) order by a.pid`.execute(db);
  return rows;
}

/** Reads the session that holds the migration lock, if there is one. */
export async function readLockHolder(db: Kysely<Database>): Promise<OtherSession[]> {
  const { rows } = await sql<OtherSession>`
    select ${SESSION} from pg_locks l join pg_stat_activity a using (pid)
    where l.locktype = 'advisory' and l.objsubid = 1 and l.granted
      and l.database = (select oid from pg_database where datname = current_database())
      and (l.classid::bigint << 32) | l.objid::bigint = ${LOCK_KEY}`.execute(db);
  return rows;
}

/** Returns sessions as a text for people. */
export function describeSessions(sessions: readonly OtherSession[]): string {
  return sessions.length === 0 ? "a session that has ended" : sessions.map(describeSession).join("; ");
}

function describeSession({ pid, application, state, statementMs }: OtherSession): string {
  const age = statementMs === null ? null : `its statement began ${(statementMs / 1_000).toFixed(1)} s ago`;
  return `pid ${pid} (${[application, state, age].filter(Boolean).join(", ")})`;
}
