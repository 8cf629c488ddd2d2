import type { Kysely } from "kysely";
import { stages as tasks } from "./migrations/0001-tasks.ts";
import { stages as documents } from "./migrations/0002-documents.ts";
import { stages as sessionKinds } from "./migrations/0003-session-kinds.ts";
import { stages as workers } from "./migrations/0004-workers.ts";
import { stages as followedTasks } from "./migrations/0005-followed-tasks.ts";
import { stages as activity } from "./migrations/0006-activity.ts";
import { stages as crashes } from "./migrations/0007-crashes.ts";
import { stages as claims } from "./migrations/0008-claims.ts";
import { stages as stalledTasks } from "./migrations/0010-stalled-tasks.ts";
import { stages as removedTasks } from "./migrations/0011-removed-tasks.ts";
import { stages as retention } from "./migrations/0012-retention.ts";
import { stages as packedEvents } from "./migrations/0013-packed-events.ts";
import { stages as removalHooks } from "./migrations/0014-removal-hooks.ts";
import { stages as storageSettings } from "./migrations/0015-storage-settings.ts";
import { stages as access } from "./migrations/0016-access.ts";
import { stages as overdueTasks } from "./migrations/0017-overdue-tasks.ts";
import { stages as shards } from "./migrations/0018-shards.ts";
import { stages as starters } from "./migrations/0019-starters.ts";
import type { Database } from "./schema.ts";
import { applySteps, newestStep, readSchema, requireSteps } from "./schema-steps.ts";
import type { CompleteSchema, SchemaSteps } from "./schema-steps.ts";
import type { MigrationOptions } from "./stages/apply-stages.ts";
import { planSteps } from "./stages/migration-plan.ts";
import type { MigrationPlan } from "./stages/migration-plan.ts";

/**
 * All steps of the schema, in order. There are no steps back, and a released step never changes. A step that older
 * programs can run on names the oldest of them in `runsFrom`: see migrations/README.md.
 */
export const MIGRATIONS = {
  "0001-tasks": { stages: tasks },
  "0002-documents": { stages: documents },
  "0003-session-kinds": { stages: sessionKinds },
  "0004-workers": { stages: workers },
  "0005-followed-tasks": { stages: followedTasks },
  "0006-activity": { stages: activity },
  "0007-crashes": { stages: crashes },
  "0008-claims": { stages: claims },
  "0010-stalled-tasks": { stages: stalledTasks },
  "0011-removed-tasks": { stages: removedTasks, runsFrom: "0010-stalled-tasks" },
  "0012-retention": { stages: retention, runsFrom: "0010-stalled-tasks" },
  // The first pack raises this: see refuseEarlierServers in tapes/packing.ts.
  "0013-packed-events": { stages: packedEvents, runsFrom: "0010-stalled-tasks" },
  "0014-removal-hooks": { stages: removalHooks, runsFrom: "0010-stalled-tasks" },
  "0015-storage-settings": { stages: storageSettings, runsFrom: "0010-stalled-tasks" },
  "0016-access": { stages: access, runsFrom: "0010-stalled-tasks" },
  "0017-overdue-tasks": { stages: overdueTasks, runsFrom: "0010-stalled-tasks" },
  // An older program would serve every namespace from the first shard: see refuseEarlierServers in access/shards.ts.
  "0018-shards": { stages: shards, runsFrom: "0010-stalled-tasks" },
  "0019-starters": { stages: starters, runsFrom: "0010-stalled-tasks" },
} satisfies SchemaSteps;

/** The newest step that this program knows. */
export const SCHEMA_VERSION = newestStep(MIGRATIONS);

/**
 * Applies missing steps of the schema, while servers may use the database. Several processes may call it at once. Leaves
 * the schema of a newer program unchanged.
 *
 * @returns the steps that this call applied
 * @throws DatabaseTooNew, DatabaseDiverged, MigrationBlocked, PoolerHoldsNoLock
 */
export function migrate(db: Kysely<Database>, options?: MigrationOptions): Promise<string[]> {
  return applySteps(db, MIGRATIONS, options);
}

/**
 * Returns what `migrate` would do. Only reads.
 *
 * @param db null: the database does not exist yet
 * @throws DatabaseTooNew, DatabaseDiverged
 */
export async function planMigration(db: Kysely<Database> | null): Promise<MigrationPlan> {
  if (db === null) return planSteps(null, { newest: null, missing: Object.keys(MIGRATIONS) }, MIGRATIONS);
  return planSteps(db, await readSchema(db, MIGRATIONS), MIGRATIONS);
}

/**
 * Checks that this program may run on the schema: the schema is the one of this program, or the one of a newer program
 * that allows this program to run.
 *
 * @throws DatabaseTooNew, DatabaseDiverged, DatabaseTooOld
 */
export function requireCurrentSchema(db: Kysely<Database>): Promise<CompleteSchema> {
  return requireSteps(db, MIGRATIONS);
}
