import { sql } from "kysely";
import type { Kysely } from "kysely";
import type { FoundOffer, KindOffer, SessionState, StalledTask } from "../domain/session.ts";
import type { Database } from "./schema.ts";

/** A session counts as alive while this holds, by the database's clock. */
const ALIVE = sql<boolean>`expires_at > now()`;

function inMs(ms: number) {
  return sql<Date>`now() + ${ms}::int * interval '1 millisecond'`;
}

/** What a session says of itself. */
export interface NewSession extends Pick<SessionState, "sessionId" | "host" | "pid" | "capacity"> {
  namespace: string;
  kinds: readonly KindOffer[];
  /** SHA-256 in hex of the token that resumes it; null: a server's. */
  tokenDigest: string | null;
  leaseMs: number;
}

/** Which stream of a session speaks: of a server's, the first and only one. */
export interface SessionFence {
  sessionId: string;
  connection: number;
}

export async function openSession(db: Kysely<Database>, session: NewSession): Promise<void> {
  await db
    .insertInto("sessions")
    .values({
      session_id: session.sessionId,
      namespace: session.namespace,
      host: session.host,
      pid: session.pid,
      kinds: JSON.stringify(session.kinds),
      capacity: session.capacity,
      token_digest: session.tokenDigest,
      expires_at: inMs(session.leaseMs),
    })
    .execute();
}

/**
 * Gives a worker's session to another of its streams, by its token, also one that had run out: while its row is there
 * its tasks were not all taken. The stream before it has no say from then on.
 *
 * @returns which of its streams that is; undefined: the session is gone, or is another's
 */
export async function takeSession(
  db: Kysely<Database>,
  { sessionId, namespace, tokenDigest, ...session }: NewSession & { tokenDigest: string },
): Promise<number | undefined> {
  const row = await db
    .updateTable("sessions")
    .set(({ eb }) => ({
      connection: eb("connection", "+", 1),
      host: session.host,
      pid: session.pid,
      kinds: JSON.stringify(session.kinds),
      capacity: session.capacity,
      expires_at: inMs(session.leaseMs),
      seen_at: sql<Date>`now()`,
    }))
    .where("session_id", "=", sessionId)
    .where("namespace", "=", namespace)
    .where("token_digest", "=", tokenDigest)
    .returning("connection")
    .executeTakeFirst();
  return row?.connection;
}

/**
 * Keeps a session alive for leaseMs more, also one that had run out: while its row is there its tasks were not all
 * taken, and those that were have fences that do not hold for it.
 *
 * @param stalled the tasks that it owns and that do not run
 * @returns false when it is gone, and owns nothing any more, or is another stream's
 */
export async function renewSession(
  db: Kysely<Database>,
  {
    sessionId,
    connection,
    leaseMs,
    stalled = [],
  }: SessionFence & { leaseMs: number; stalled?: readonly StalledTask[] },
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable("sessions")
    .set({ expires_at: inMs(leaseMs), seen_at: sql<Date>`now()`, stalled: JSON.stringify(stalled) })
    .where("session_id", "=", sessionId)
    .where("connection", "=", connection)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

/** Whether a session is there, and no later stream speaks for it. */
export async function isCurrentSession(
  db: Kysely<Database>,
  { sessionId, connection }: SessionFence,
): Promise<boolean> {
  const row = await db
    .selectFrom("sessions")
    .select("session_id")
    .where("session_id", "=", sessionId)
    .where("connection", "=", connection)
    .executeTakeFirst();
  return row !== undefined;
}

/** How many other servers of the namespace are alive. */
export async function countPeers(
  db: Kysely<Database>,
  { sessionId, namespace }: { sessionId: string; namespace: string },
): Promise<number> {
  const { peers } = await db
    .selectFrom("sessions")
    .select(({ fn }) => fn.countAll<bigint>().as("peers"))
    .where("namespace", "=", namespace)
    .where("session_id", "<>", sessionId)
    .where("token_digest", "is", null)
    .where(ALIVE)
    .executeTakeFirstOrThrow();
  return Number(peers);
}

/** The sessions of a namespace, alive or not, those that began first, first: up to a limit. */
export async function listSessions(
  db: Kysely<Database>,
  { namespace, limit }: { namespace: string; limit: number },
): Promise<SessionState[]> {
  const rows = await db
    .selectFrom("sessions")
    .select([
      "session_id as sessionId",
      "host",
      "pid",
      "kinds",
      "capacity",
      "started_at as startedAt",
      "seen_at as seenAt",
      "expires_at as expiresAt",
      sql<boolean>`token_digest is not null`.as("isWorker"),
      sql<number>`(select count(*)::int from tasks t where t.lease = sessions.session_id and t.status = 'running')`.as(
        "running",
      ),
    ])
    .where("namespace", "=", namespace)
    .orderBy("started_at")
    .orderBy("session_id")
    .limit(limit)
    .execute();
  return rows.map(({ kinds, ...session }) => ({ ...session, kinds: kinds.map(({ name }) => name) }));
}

/** What the doctor reads of them. */
export const STALLED_TASKS_READ_MAX = 1_000;

/** A stalled task, and the process that owns it. */
export interface OwnedStalledTask extends StalledTask {
  host: string;
  pid: number;
}

/** What the sessions that are alive say of tasks that they own and that do not run, those first that stall longest. */
export async function listStalledTasks(db: Kysely<Database>, namespace: string): Promise<OwnedStalledTask[]> {
  const { rows } = await sql<OwnedStalledTask>`
    select s.host, s.pid, t."taskId", t.attempt, t."forMs", t.reason
    from sessions s cross join json_to_recordset(s.stalled)
      as t ("taskId" text, attempt int, "forMs" float8, reason text)
    where s.namespace = ${namespace} and s.expires_at > now()
    order by t."forMs" desc
    limit ${STALLED_TASKS_READ_MAX}::int`.execute(db);
  return rows;
}

/** What a session of the namespace says of a kind, one that is alive if there is one; undefined: none has it. */
export async function findOffer(
  db: Kysely<Database>,
  { namespace, kind }: { namespace: string; kind: string },
): Promise<FoundOffer | undefined> {
  const { rows } = await sql<{ offer: KindOffer; is_alive: boolean }>`
    select offer, s.expires_at > now() as is_alive
    from sessions s cross join jsonb_array_elements(s.kinds) offer
    where s.namespace = ${namespace} and offer ->> 'name' = ${kind}
    order by is_alive desc, s.started_at, s.session_id
    limit 1`.execute(db);
  return rows[0] && { ...rows[0].offer, isAlive: rows[0].is_alive };
}

/** Forgets a session, unless it is another stream's by now. */
export async function closeSession(db: Kysely<Database>, { sessionId, connection }: SessionFence): Promise<void> {
  await db.deleteFrom("sessions").where("session_id", "=", sessionId).where("connection", "=", connection).execute();
}

/**
 * Has the session of every server run out: for a database that only this process can have open, where all of them are
 * gone. They are not forgotten yet, for one that has left in order is not there any more. Workers are processes of their
 * own, and come back.
 */
export async function expireServerSessions(db: Kysely<Database>): Promise<void> {
  await db
    .updateTable("sessions")
    .set({ expires_at: sql<Date>`now()` })
    .where("token_digest", "is", null)
    .where(ALIVE)
    .execute();
}

/** Says that a session is about to end: where it is lost all the same, nothing that it ran is suspected for it. */
export async function announceLeave(db: Kysely<Database>, { sessionId, connection }: SessionFence): Promise<void> {
  await db
    .updateTable("sessions")
    .set({ is_leaving: true })
    .where("session_id", "=", sessionId)
    .where("connection", "=", connection)
    .execute();
}

/**
 * Keeps the sessions of workers for waitMs at least, where no other server has shown itself for silentMs: they could not
 * come back while no server was there.
 */
export async function awaitWorkers(
  db: Kysely<Database>,
  query: { namespace: string; sessionId: string; waitMs: number; silentMs: number },
): Promise<void> {
  const { namespace, sessionId, waitMs, silentMs } = query;
  const since = sql<Date>`now() - ${silentMs}::int * interval '1 millisecond'`;
  await db
    .updateTable("sessions")
    .set({ expires_at: inMs(waitMs) })
    .where("namespace", "=", namespace)
    .where("token_digest", "is not", null)
    .where("expires_at", "<", inMs(waitMs))
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom("sessions as server")
            .select("server.session_id")
            .where("server.namespace", "=", namespace)
            .where("server.session_id", "<>", sessionId)
            .where("server.token_digest", "is", null)
            .where("server.seen_at", ">", since),
        ),
      ),
    )
    .execute();
}

/** Forgets sessions that ran out and own nothing any more. */
export async function removeExpiredSessions(db: Kysely<Database>): Promise<void> {
  await db
    .deleteFrom("sessions")
    .where(sql<boolean>`expires_at <= now()`)
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom("tasks")
            .select("task_id")
            .whereRef("tasks.lease", "=", "sessions.session_id")
            .where("status", "=", "running"),
        ),
      ),
    )
    .execute();
}
