import { sql } from "kysely";
import type { Kysely } from "kysely";
import type { Database } from "./schema.ts";

/** A session counts as alive while this holds, by the database's clock. */
const ALIVE = sql<boolean>`expires_at > now()`;

function inMs(ms: number) {
  return sql<Date>`now() + ${ms}::int * interval '1 millisecond'`;
}

export async function openSession(
  db: Kysely<Database>,
  session: { sessionId: string; namespace: string; host: string; pid: number; leaseMs: number },
): Promise<void> {
  await db
    .insertInto("sessions")
    .values({
      session_id: session.sessionId,
      namespace: session.namespace,
      host: session.host,
      pid: session.pid,
      expires_at: inMs(session.leaseMs),
    })
    .execute();
}

/**
 * Keeps a session alive for leaseMs more, also one that had run out: while its row is there its tasks were not all
 * taken, and those that were have fences that do not hold for it.
 *
 * @returns false when it is gone, and owns nothing any more
 */
export async function renewSession(
  db: Kysely<Database>,
  { sessionId, leaseMs }: { sessionId: string; leaseMs: number },
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable("sessions")
    .set({ expires_at: inMs(leaseMs) })
    .where("session_id", "=", sessionId)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

/** How many other sessions of the namespace are alive. */
export async function countPeers(
  db: Kysely<Database>,
  { sessionId, namespace }: { sessionId: string; namespace: string },
): Promise<number> {
  const { peers } = await db
    .selectFrom("sessions")
    .select(({ fn }) => fn.countAll<bigint>().as("peers"))
    .where("namespace", "=", namespace)
    .where("session_id", "<>", sessionId)
    .where(ALIVE)
    .executeTakeFirstOrThrow();
  return Number(peers);
}

export async function closeSession(db: Kysely<Database>, sessionId: string): Promise<void> {
  await db.deleteFrom("sessions").where("session_id", "=", sessionId).execute();
}

/** Forgets every session: for a database that only this process can have open, where all of them are gone. */
export async function closeAllSessions(db: Kysely<Database>): Promise<void> {
  await db.deleteFrom("sessions").execute();
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
