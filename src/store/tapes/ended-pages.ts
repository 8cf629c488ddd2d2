import { sql } from "kysely";
import type { Kysely } from "kysely";
import type { Database } from "../schema.ts";
import { missingTask } from "../tasks/removed-tasks.ts";
import { toEvents } from "./event-columns.ts";
import { findPage, readPageRow, smallEvents } from "./event-queries.ts";
import type { PageQuery, RowsRow, StoredPage, TapeEnd } from "./event-queries.ts";

/** A page of fewer events is read with the state of its task: to read only the state takes as long. */
const ENDED_EVENTS_MIN = 32;

/**
 * Reads a page like readPage, unless the task has ended and the page has more events than are worth it. Then it returns
 * how the task has ended, for readEndedPage. A page of an open task takes the one statement that readPage takes.
 *
 * @throws TaskNotFound, TaskExpired
 */
export async function readPageUnlessEnded(
  db: Kysely<Database>,
  query: PageQuery,
): Promise<{ page: StoredPage } | { end: TapeEnd }> {
  const { taskId, fromSeq } = query;
  const { events } = smallEvents(
    query,
    sql`and (t.finished_at is null or t.last_seq - ${ENDED_EVENTS_MIN}::int < ${fromSeq}::bigint)`,
  );
  const row = await readPageRow<RowsRow & { finished_at: string | null }>(
    db,
    query,
    sql`/* spool_open_page */
select t.status, t.last_seq, t.packed_seq, t.finished_at::text, e.* from tasks t ${events}`,
  );
  if (row === undefined) throw await missingTask(db, query);
  const { status, last_seq: lastSeq, packed_seq: packedSeq, finished_at: finishedAt } = row;
  const isRead = finishedAt === null || (lastSeq - BigInt(ENDED_EVENTS_MIN) < fromSeq && packedSeq < fromSeq);
  const read = isRead ? toEvents(query, row) : null;
  if (read !== null) return { page: { taskId, status, lastSeq, events: read } };
  if (finishedAt !== null) return { end: { status, lastSeq, finishedAt } };
  // A page with a large event.
  const page = await findPage(db, query);
  if (page === null) throw await missingTask(db, query);
  return { page };
}

/** Reads a page of a task that has ended, from any copy of the database; null: the copy does not show this end. */
export function readEndedPage(db: Kysely<Database>, query: PageQuery & { end: TapeEnd }): Promise<StoredPage | null> {
  return findPage(db, query);
}
