import { sql } from "kysely";
import type { Kysely, Transaction } from "kysely";
import { PACK_EVENTS_MIN } from "../../domain/limits.ts";
import type { Database } from "../schema.ts";
import { packEvents, PACKED_EVENTS_MAX } from "./pack-statement.ts";

/** The most ended tasks that one call reads. */
const SCANNED_TASKS_MAX = 1_000;
const SWEEP = "packing";
const STEP = "0013-packed-events";

/** The result of one call. */
export interface PackingResult {
  tapes: number;
  events: number;
  /** Whether there may be more to pack now. */
  hasMore: boolean;
}

const NOTHING: PackingResult = { tapes: 0, events: 0, hasMore: false };

interface ScannedTask extends Cursor {
  last_seq: bigint;
  packed_seq: bigint;
}

/**
 * Packs the tapes of the tasks that ended next after the sweep's cursor, in one short transaction, and moves the cursor.
 * The cursor is stored, so each ended task is read once, by one server. While another server packs, and while a server
 * runs that cannot read packed events, it does nothing.
 *
 * A task that ended in a transaction that stayed open for longer than afterMs may be left out. Its tape then stays as it
 * is, which is correct and takes more space.
 *
 * @param afterMs how long after its end a tape is packed
 */
export async function packNextTapes(
  db: Kysely<Database>,
  { namespace, afterMs }: { namespace: string; afterMs: number },
): Promise<PackingResult> {
  // Most often there is nothing to do, which needs no transaction.
  const cursor = await readCursor(db, namespace);
  if (cursor !== undefined && (await scan(db, { namespace, cursor, afterMs, limit: 1 })).length === 0) return NOTHING;
  return db.transaction().execute(async (trx) => {
    if (await hasEarlierServer(trx, namespace)) return NOTHING;
    const locked = await lockCursor(trx, namespace);
    if (locked === undefined) return NOTHING;
    const scanned = await scan(trx, { namespace, cursor: locked, afterMs, limit: SCANNED_TASKS_MAX });
    const { taskIds, end } = chooseTapes(scanned);
    const packed = taskIds.length === 0 ? [] : await packEvents(trx, taskIds);
    if (packed.length > 0) await refuseEarlierServers(trx);
    // A tape that is missing in the result was removed meanwhile, or exceeded the bound of bytes.
    const isPartial = packed.some(({ isDone }) => !isDone) || (packed.length > 0 && packed.length < taskIds.length);
    const passed = isPartial ? scanned.findIndex(({ task_id: taskId }) => taskId === taskIds[0]) : end;
    if (passed > 0) await moveCursor(trx, namespace, scanned[passed - 1]!);
    return {
      tapes: packed.filter(({ isDone }) => isDone).length,
      events: packed.reduce((sum, { events }) => sum + events, 0),
      hasMore: isPartial || end < scanned.length || scanned.length === SCANNED_TASKS_MAX,
    };
  });
}

/** Makes the sweep read all ended tasks again: some were inserted that had ended before its cursor. */
export async function restartPacking(db: Kysely<Database>, namespace: string): Promise<void> {
  await db.deleteFrom("sweep_cursors").where("namespace", "=", namespace).where("sweep", "=", SWEEP).execute();
}

/**
 * Chooses the tapes that one statement packs: the first ones that are long enough, up to PACKED_EVENTS_MAX events, and at
 * least one.
 *
 * @returns their ids, and the index after the last task that was chosen or needs no packing
 */
function chooseTapes(scanned: readonly ScannedTask[]): { taskIds: string[]; end: number } {
  const taskIds: string[] = [];
  let events = 0;
  for (const [index, { task_id: taskId, last_seq: lastSeq, packed_seq: packedSeq }] of scanned.entries()) {
    const count = Number(lastSeq - 1n - packedSeq);
    if (lastSeq < PACK_EVENTS_MIN || count <= 0) continue;
    if (taskIds.length > 0 && events + count > PACKED_EVENTS_MAX) return { taskIds, end: index };
    taskIds.push(taskId);
    events += count;
  }
  return { taskIds, end: scanned.length };
}

interface Cursor {
  /** As text, with microseconds. */
  finished_at: string;
  task_id: string;
}

function cursorQuery(db: Kysely<Database>, namespace: string) {
  return db
    .selectFrom("sweep_cursors")
    .select([sql<string>`finished_at::text`.as("finished_at"), "task_id"])
    .where("namespace", "=", namespace)
    .where("sweep", "=", SWEEP);
}

function readCursor(db: Kysely<Database>, namespace: string): Promise<Cursor | undefined> {
  return cursorQuery(db, namespace).executeTakeFirst();
}

/** Locks the cursor, and creates it if there is none. Returns undefined while another server has it. */
async function lockCursor(trx: Transaction<Database>, namespace: string): Promise<Cursor | undefined> {
  await sql`insert into sweep_cursors (namespace, sweep, finished_at, task_id)
    values (${namespace}, ${SWEEP}, '-infinity', '00000000-0000-0000-0000-000000000000')
    on conflict do nothing`.execute(trx);
  return cursorQuery(trx, namespace).forUpdate().skipLocked().executeTakeFirst();
}

/** Moves the cursor to a task, which may have been removed meanwhile. */
async function moveCursor(trx: Transaction<Database>, namespace: string, place: Cursor): Promise<void> {
  await sql`update sweep_cursors set finished_at = ${place.finished_at}::timestamptz, task_id = ${place.task_id}::uuid
    where namespace = ${namespace} and sweep = ${SWEEP}`.execute(trx);
}

/** Reads the tasks that ended next after the cursor. */
async function scan(
  db: Kysely<Database>,
  { namespace, cursor, afterMs, limit }: { namespace: string; cursor: Cursor; afterMs: number; limit: number },
): Promise<ScannedTask[]> {
  const { rows } = await sql<ScannedTask>`/* spool_scan_ended */
select task_id, finished_at::text, last_seq, packed_seq from tasks
where namespace = ${namespace} and finished_at is not null
  and (finished_at, task_id) > (${cursor.finished_at}::timestamptz, ${cursor.task_id}::uuid)
  and finished_at < now() - ${afterMs}::bigint * interval '1 millisecond'
order by tasks.finished_at, task_id limit ${limit}::int`.execute(db);
  return rows;
}

/** Returns whether a server that cannot read packed events may be running. */
async function hasEarlierServer(trx: Transaction<Database>, namespace: string): Promise<boolean> {
  const session = await trx
    .selectFrom("sessions")
    .select("session_id")
    .where("namespace", "=", namespace)
    .where("token_digest", "is", null)
    .where("reads_packed", "=", false)
    .executeTakeFirst();
  return session !== undefined;
}

/** From the first pack on, programs that cannot read packed events must not start on this database. */
async function refuseEarlierServers(trx: Transaction<Database>): Promise<void> {
  await sql`update spool_schema_compatibility set runs_from = ${STEP}
    where step = ${STEP} and runs_from <> ${STEP}`.execute(trx);
}
