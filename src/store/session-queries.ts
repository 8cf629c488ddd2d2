import { sql } from "kysely";
import type { Kysely } from "kysely";
import type { FoundOffer, KindOffer, SessionState, StalledTask } from "../domain/session.ts";
import type { Database } from "./schema.ts";

/** The condition for a session to be alive, by the database's clock. */
const ALIVE = sql<boolean>`expires_at > now()`;

function inMs(ms: number) {
  return sql<Date>`now() + ${ms}::int * interval '1 millisecond'`;
}

/** A session to be opened or taken over. */
export interface NewSession extends Pick<SessionState, "sessionId" | "host" | "pid" | "capacity"> {
  namespace: string;
  kinds: readonly KindOffer[];
  /** SHA-256, in hex, of the token that resumes the session; null: a session of a server. */
  tokenDigest: string | null;
  leaseMs: number;
}

/** A session and the stream that acts for it. The session of a server has only one stream, number 1. */
export interface SessionFence {
  sessionId: string;
  connection: number;
}

/** Inserts a session. */
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
      reads_packed: true,
      knows_shards: true,
    })
    .execute();
}

/**
 * Hands a worker's session over to a new stream with the same token. From then on the earlier stream has no effect. The
 * session may have expired: while its row exists, sweepers have not taken all of its tasks.
 *
 * @returns the number of the new stream; undefined if the session is gone, or has another token
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
 * Renews a session for leaseMs. The session may have expired: while its row exists, sweepers have not taken all of its
 * tasks. The fences of the taken tasks no longer hold for this session.
 *
 * @param stalled the tasks that the session owns and that do not run
 * @returns false if the session is gone and owns no tasks, or if it belongs to a later stream
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

/** Whether a session exists and belongs to this stream. */
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

/** Counts the other live servers of the namespace. */
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

/** Lists the sessions of a namespace, alive or not, the oldest first, up to a limit, and whether there are more. */
export async function listSessions(
  db: Kysely<Database>,
  { namespace, limit }: { namespace: string; limit: number },
): Promise<{ sessions: SessionState[]; hasMore: boolean }> {
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
    .limit(limit + 1)
    .execute();
  const sessions = rows.map(({ kinds, ...session }) => ({ ...session, kinds: kinds.map(({ name }) => name) }));
  return { sessions: sessions.slice(0, limit), hasMore: sessions.length > limit };
}

/** The most stalled tasks that the doctor reads. */
export const STALLED_TASKS_READ_MAX = 1_000;

/** A stalled task, and the process that owns it. */
export interface OwnedStalledTask extends StalledTask {
  host: string;
  pid: number;
}

/** Lists the stalled tasks that live sessions have reported: those that have stalled longest first. */
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

/** Finds the offer of a kind in the namespace's sessions, in a live one if possible; undefined: none has the kind. */
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

/** Deletes a session, unless it belongs to a later stream. */
export async function closeSession(db: Kysely<Database>, { sessionId, connection }: SessionFence): Promise<void> {
  await db.deleteFrom("sessions").where("session_id", "=", sessionId).where("connection", "=", connection).execute();
}

/**
 * Expires the session of every server. It is for a database that only this process can have open, so all earlier
 * servers have ended. The rows stay, because a missing row would mean that the server has left in order. Sessions of
 * workers are not affected: workers are separate processes and reconnect.
 */
export async function expireServerSessions(db: Kysely<Database>): Promise<void> {
  await db
    .updateTable("sessions")
    .set({ expires_at: sql<Date>`now()` })
    .where("token_digest", "is", null)
    .where(ALIVE)
    .execute();
}

/** Marks a session as about to end. If it is lost before its end, the loss does not count as a crash of its tasks. */
export async function announceLeave(db: Kysely<Database>, { sessionId, connection }: SessionFence): Promise<void> {
  await db
    .updateTable("sessions")
    .set({ is_leaving: true })
    .where("session_id", "=", sessionId)
    .where("connection", "=", connection)
    .execute();
}

/**
 * Extends the sessions of workers to at least waitMs from now, if no other server has renewed its session for silentMs.
 * Workers could not reconnect while no server was running.
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

/** The condition for a session to have expired and to own no running tasks. */
export const REMOVABLE_SESSION = sql<boolean>`sessions.expires_at <= now() and not exists (
  select from tasks where tasks.lease = sessions.session_id and tasks.status = 'running')`;

/** Deletes expired sessions that own no running tasks. */
export async function removeExpiredSessions(db: Kysely<Database>): Promise<void> {
  await db.deleteFrom("sessions").where(REMOVABLE_SESSION).execute();
}

/** Counts the servers with a live session in a namespace. */
export async function countLiveServers(db: Kysely<Database>, namespace: string): Promise<number> {
  const { count } = await db
    .selectFrom("sessions")
    .select(({ fn }) => fn.countAll<bigint>().as("count"))
    .where("namespace", "=", namespace)
    .where("token_digest", "is", null)
    .where("expires_at", ">", sql<Date>`now()`)
    .executeTakeFirstOrThrow();
  return Number(count);
}
