import { sql } from "kysely";
import type { Kysely } from "kysely";
import type { Database } from "../schema.ts";

/**
 * Counts the tasks that the servers of a namespace run in other namespaces, by the id of their session here. The
 * sessions of a server share its slots, and have its host and pid. Servers that run none elsewhere are left out.
 */
export async function countRunningElsewhere(
  db: Kysely<Database>,
  namespace: string,
): Promise<ReadonlyMap<string, number>> {
  const { rows } = await sql<{ session_id: string; running: number }>`
select here.session_id, count(*)::int as running
from sessions here
join sessions elsewhere on elsewhere.host = here.host and elsewhere.pid = here.pid
  and elsewhere.namespace <> here.namespace and elsewhere.token_digest is null
join tasks on tasks.lease = elsewhere.session_id and tasks.status = 'running'
where here.namespace = ${namespace} and here.token_digest is null
group by 1`.execute(db);
  return new Map(rows.map((row) => [row.session_id, row.running]));
}
