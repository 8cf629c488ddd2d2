import { sql } from "kysely";
import type { Kysely, Transaction } from "kysely";
import { pause } from "../../async/pause.ts";
import { MOVED_CONSTRAINT } from "../errors.ts";
import type { Database } from "../schema.ts";

/** The tables that every write of a namespace changes: its sessions, its tasks, or the marker of a removed task. */
const FENCED_TABLES = ["sessions", "tasks", "removed_tasks"] as const;
/** How long a change of a table waits for its lock. Other statements on the table wait behind it. */
const LOCK_MS = 200;
const RETRY_MS = 300;

/** Error for a fence that cannot be set because other sessions use the table. */
class FenceBlocked extends Error {
  constructor(table: string, waitMs: number) {
    super(`the table ${table} could not be locked within ${waitMs / 1_000} s: a long transaction uses it`);
    this.name = "FenceBlocked";
  }
}

/**
 * Makes a shard refuse all further writes of a namespace, whichever process makes them: also that of a server that was
 * stopped before its write and continues after the move. No statement has to look for the fence: it is a constraint of
 * the tables, so it costs nothing while no namespace has moved away.
 *
 * Deletes are not refused. Those of tasks come with a marker, which is refused.
 *
 * @param waitMs how long to wait for the locks of the tables
 * @throws FenceBlocked, StoreUnavailable
 */
export function closeNamespace(db: Kysely<Database>, namespace: string, waitMs: number): Promise<void> {
  return changeFence(db, waitMs, async (trx) => {
    await sql`insert into moved_namespaces (namespace, has_rows) values (${namespace}, true)
      on conflict (namespace) do update set has_rows = true`.execute(trx);
  });
}

/** Lets a shard accept writes of a namespace again. @throws as closeNamespace */
export async function openNamespace(db: Kysely<Database>, namespace: string, waitMs: number): Promise<void> {
  // A call that died may have deleted the row, and left the constraints.
  const { rows } = await sql`
    select from moved_namespaces where namespace = ${namespace}
    union all
    select from pg_constraint where conname = ${MOVED_CONSTRAINT} and conrelid in (${sql.join(
      FENCED_TABLES.map((table) => sql`to_regclass(${table})`),
    )})`.execute(db);
  if (rows.length === 0) return;
  await changeFence(db, waitMs, async (trx) => {
    await sql`delete from moved_namespaces where namespace = ${namespace}`.execute(trx);
  });
}

/** Whether a shard still has all rows of a namespace that has left it. */
export async function hasMovedRows(db: Kysely<Database>, namespace: string): Promise<boolean> {
  const row = await db
    .selectFrom("moved_namespaces")
    .select("has_rows")
    .where("namespace", "=", namespace)
    .executeTakeFirst();
  return row?.has_rows ?? false;
}

/** Records that the rows of a namespace are about to be deleted. Call it before the first delete. */
export async function dropMovedRows(db: Kysely<Database>, namespace: string): Promise<void> {
  await db.updateTable("moved_namespaces").set({ has_rows: false }).where("namespace", "=", namespace).execute();
}

async function changeFence(
  db: Kysely<Database>,
  waitMs: number,
  change: (trx: Transaction<Database>) => Promise<void>,
): Promise<void> {
  const until = performance.now() + waitMs;
  await db.transaction().execute(change);
  for (const table of FENCED_TABLES) {
    for (;;) {
      try {
        await db.transaction().execute((trx) => setConstraint(trx, table));
        break;
      } catch (error) {
        if (!isLockTimeout(error)) throw error;
        if (performance.now() > until) throw new FenceBlocked(table, waitMs);
        await pause(RETRY_MS);
      }
    }
  }
}

async function setConstraint(trx: Transaction<Database>, table: (typeof FENCED_TABLES)[number]): Promise<void> {
  await sql`select set_config('lock_timeout', ${`${LOCK_MS}`}, true)`.execute(trx);
  const { rows } = await sql<{ namespace: string }>`
    select namespace from moved_namespaces order by namespace for share`.execute(trx);
  const moved = rows.map(({ namespace }) => namespace);
  const name = sql.id(MOVED_CONSTRAINT);
  const drop = sql`drop constraint if exists ${name}`;
  // Not validated: the rows of before stay until they are deleted.
  const add = sql`add constraint ${name} check (namespace <> all (${sql.lit(`{${moved.join()}}`)}::text[])) not valid`;
  await sql`alter table ${sql.table(table)} ${moved.length === 0 ? drop : sql`${drop}, ${add}`}`.execute(trx);
}

function isLockTimeout(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ((cause as { code?: string }).code === "55P03") return true; // lock_not_available
  }
  return false;
}
