import { sql } from "kysely";
import type { Kysely } from "kysely";
import type { TapeEvent } from "../../domain/event.ts";
import type { Database } from "../schema.ts";

/** Reads one event of a task; undefined if the tape is shorter. */
export async function readEvent(
  db: Kysely<Database>,
  { taskId, seq }: { taskId: string; seq: bigint },
): Promise<TapeEvent | undefined> {
  return db
    .selectFrom("task_events")
    .select(["seq", "time", "type", sql<string>`body::text`.as("body")])
    .where("task_id", "=", taskId)
    .where("seq", "=", seq)
    .executeTakeFirst();
}

/** Reads the last event of a task, which is `final` if the task has ended; undefined if the tape is empty. */
export async function readLastEvent(db: Kysely<Database>, taskId: string): Promise<TapeEvent | undefined> {
  return db
    .selectFrom("task_events")
    .select(["seq", "time", "type", sql<string>`body::text`.as("body")])
    .where("task_id", "=", taskId)
    .orderBy("seq", "desc")
    .limit(1)
    .executeTakeFirst();
}
