import { sql } from "kysely";
import type { Kysely } from "kysely";
import type { Database } from "../schema.ts";
import { REMOVABLE_SESSION } from "../session-queries.ts";
import { retentionAfter } from "./due-removals.ts";
import { EVENTS_LEFT, EXPIRED_MARKER } from "./removed-tasks.ts";

/** What a namespace has for the loops of its servers. */
export interface NamespaceWork {
  /** Tasks that wait or run. */
  tasks: boolean;
  /** Expired sessions of any namespace, which a sweep of any namespace removes. */
  sessions: boolean;
  /** Removed tasks with events left, or markers that have expired. */
  removals: boolean;
  /** Ended tasks with a retention of their own. */
  retained: boolean;
}

/**
 * Reads what some namespaces have to do. Each part reads the first entry of an index, and has a column of that index in
 * its order: so no plan reads another index, or the table, however many ended tasks there are.
 *
 * @returns an entry for each of the namespaces
 */
export async function readWork(
  db: Kysely<Database>,
  namespaces: readonly string[],
): Promise<Map<string, NamespaceWork>> {
  const of = sql<string>`n.namespace`;
  const { rows } = await sql<NamespaceWork & { namespace: string }>`/* spool_read_work */
select n.namespace,
  exists(select from sessions where ${REMOVABLE_SESSION}) as sessions,
  coalesce(
    (select true from tasks t where t.namespace = ${of} and t.status between 'pending' and 'running'
     order by t.status limit 1),
    false
  ) as tasks,
  coalesce(
    (select true from removed_tasks r where r.namespace = ${of} and ${EVENTS_LEFT} order by r.removed_at limit 1),
    (select true from removed_tasks r where r.namespace = ${of} and ${EXPIRED_MARKER} order by r.removed_at limit 1),
    false
  ) as removals,
  (${retentionAfter(of, sql`0`)}) is not null as retained
from unnest(${sql.val(namespaces)}::text[]) as n (namespace)`.execute(db);
  return new Map(rows.map(({ namespace, ...work }) => [namespace, work]));
}
