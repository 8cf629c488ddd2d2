import type { Kysely } from "kysely";
import { up as tasks } from "./migrations/0001-tasks.ts";
import { up as documents } from "./migrations/0002-documents.ts";
import { up as sessionKinds } from "./migrations/0003-session-kinds.ts";
import { up as workers } from "./migrations/0004-workers.ts";
import { up as followedTasks } from "./migrations/0005-followed-tasks.ts";
import { up as activity } from "./migrations/0006-activity.ts";
import { up as crashes } from "./migrations/0007-crashes.ts";
import { up as claims } from "./migrations/0008-claims.ts";
import { up as stalledTasks } from "./migrations/0010-stalled-tasks.ts";
import type { Database } from "./schema.ts";
import { applySteps, newestStep, requireSteps } from "./schema-steps.ts";
import type { CompleteSchema, SchemaSteps } from "./schema-steps.ts";

/**
 * All steps of the schema, in order. There are no steps back, and a released step never changes. A step that older
 * programs can run on names the oldest of them in `runsFrom`: see migrations/README.md.
 */
export const MIGRATIONS = {
  "0001-tasks": { up: tasks },
  "0002-documents": { up: documents },
  "0003-session-kinds": { up: sessionKinds },
  "0004-workers": { up: workers },
  "0005-followed-tasks": { up: followedTasks },
  "0006-activity": { up: activity },
  "0007-crashes": { up: crashes },
  "0008-claims": { up: claims },
  "0010-stalled-tasks": { up: stalledTasks },
} satisfies SchemaSteps;

/** The newest step that this program knows. */
export const SCHEMA_VERSION = newestStep(MIGRATIONS);

/**
 * Applies missing steps of the schema, in one transaction. Several processes may call it at once. Leaves the schema of a
 * newer program unchanged.
 *
 * @returns the steps that this call applied
 * @throws DatabaseTooNew, DatabaseDiverged
 */
export function migrate(db: Kysely<Database>): Promise<string[]> {
  return applySteps(db, MIGRATIONS);
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
