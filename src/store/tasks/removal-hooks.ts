import { sql } from "kysely";
import type { Kysely, RawBuilder } from "kysely";
import type { JsonObject } from "../../domain/json.ts";
import type { Database } from "../schema.ts";

// A removal stores a hook for each removed task whose kind has one, in the commit that removes the task. The hook stays
// until a server has run it successfully.

/** A hook that this process runs now. */
export interface ClaimedHook {
  taskId: string;
  params: JsonObject;
  labels: Record<string, string>;
  /** The number of this attempt, from 1. */
  attempt: number;
}

/** Stores that kinds have hooks, for the removals at all servers of the namespace. */
export async function registerHookedKinds(
  db: Kysely<Database>,
  { namespace, kinds }: { namespace: string; kinds: readonly string[] },
): Promise<void> {
  if (kinds.length === 0) return;
  await sql`insert into hooked_kinds (namespace, kind) select ${namespace}, unnest(${kinds}::text[])
    on conflict do nothing`.execute(db);
}

/**
 * Returns the CTE that stores hooks, from a CTE `removed` with the task_id, kind, params and labels of removed tasks.
 * Params are read only of tasks whose kind has a hook.
 */
export function storeHooks(namespace: string): RawBuilder<unknown> {
  return sql`hooked as (
  insert into removal_hooks (task_id, namespace, kind, params, labels)
  select task_id, ${namespace}, kind, params, labels from removed
  where kind in (select kind from hooked_kinds where namespace = ${namespace})
  on conflict do nothing
)`;
}

/**
 * Claims due hooks of a kind, up to a limit. Other processes can claim them after claimMs, because this process may
 * die before it has stored the outcome.
 */
export async function claimHooks(
  db: Kysely<Database>,
  query: { namespace: string; kind: string; claimMs: number; limit: number },
): Promise<ClaimedHook[]> {
  const { namespace, kind, claimMs, limit } = query;
  const due = sql`namespace = ${namespace} and kind = ${kind} and due_at <= now()`;
  // Most often there is nothing to do, which needs no write.
  const { rows: first } = await sql`select 1 from removal_hooks where ${due} limit 1`.execute(db);
  if (first.length === 0) return [];
  const { rows } = await sql<ClaimedHook>`/* spool_claim_hooks */
update removal_hooks set attempt = attempt + 1, due_at = now() + ${claimMs}::float8 * interval '1 millisecond'
where task_id = any(array(
  select task_id from removal_hooks where ${due} order by due_at limit ${limit}::int for update skip locked
))
returning task_id as "taskId", params, labels, attempt`.execute(db);
  return rows;
}

/** Deletes a hook that has succeeded. */
export async function finishHook(db: Kysely<Database>, { taskId }: Pick<ClaimedHook, "taskId">): Promise<void> {
  await db.deleteFrom("removal_hooks").where("task_id", "=", taskId).execute();
}

/** Stores why an attempt at a hook failed, and when the next one is due. Does nothing if a later attempt was claimed. */
export async function retryHook(
  db: Kysely<Database>,
  { taskId, attempt }: Pick<ClaimedHook, "taskId" | "attempt">,
  { error, waitMs }: { error: string; waitMs: number },
): Promise<void> {
  await sql`update removal_hooks
    set last_error = ${error}, due_at = now() + ${waitMs}::float8 * interval '1 millisecond'
    where task_id = ${taskId}::uuid and attempt = ${attempt}::int`.execute(db);
}

/** The hooks of a kind that have been pending for long. */
export interface PendingHooks {
  kind: string;
  count: number;
  /** How long ago the first of the tasks was removed. */
  oldestMs: number;
  /** Why the hook of that task failed last; null: it was not run. */
  lastError: string | null;
}

/** The most pending hooks that readPendingHooks counts. */
export const PENDING_HOOKS_COUNTED_MAX = 1_000;

/** Reads the hooks whose task was removed more than forMs ago, by kind, the kind with the oldest first. */
export async function readPendingHooks(
  db: Kysely<Database>,
  { namespace, forMs }: { namespace: string; forMs: number },
): Promise<PendingHooks[]> {
  const { rows } = await sql<PendingHooks>`/* spool_pending_hooks */
select kind, count(*)::int as count, (extract(epoch from now() - min(removed_at)) * 1000)::float8 as "oldestMs",
       (array_agg(last_error order by removed_at))[1] as "lastError"
from (
  select kind, removed_at, last_error from removal_hooks
  where namespace = ${namespace} and removed_at < now() - ${forMs}::float8 * interval '1 millisecond'
  limit ${PENDING_HOOKS_COUNTED_MAX}::int
) h
group by kind order by min(removed_at)`.execute(db);
  return rows;
}
