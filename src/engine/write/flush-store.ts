import type { Kysely } from "kysely";
import { writeFlush } from "../../store/tapes/journal-statement.ts";
import { readTaskByRequest, readTaskStates } from "../../store/tasks/task-queries.ts";
import { findRemoved } from "../../store/tasks/removed-tasks.ts";
import type { Database } from "../../store/schema.ts";

/** A statement of the store, without its database. */
type Bound<Statement extends (db: Kysely<Database>, arg: never) => unknown> = (
  arg: Parameters<Statement>[1],
) => ReturnType<Statement>;

/** The statements of the journal. Each may throw StoreUnavailable. */
export interface FlushStore {
  writeFlush: Bound<typeof writeFlush>;
  findRemoved: Bound<typeof findRemoved>;
  readTaskStates: Bound<typeof readTaskStates>;
  readTaskByRequest: Bound<typeof readTaskByRequest>;
}

export function openFlushStore(db: Kysely<Database>): FlushStore {
  return {
    writeFlush: (flush) => writeFlush(db, flush),
    findRemoved: (taskIds) => findRemoved(db, taskIds),
    readTaskStates: (taskIds) => readTaskStates(db, taskIds),
    readTaskByRequest: (request) => readTaskByRequest(db, request),
  };
}
