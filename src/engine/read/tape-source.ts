import type { Kysely } from "kysely";
import { TaskNotFound } from "../../domain/errors.ts";
import { readPage } from "../../store/tapes/event-queries.ts";
import type { Database } from "../../store/schema.ts";
import { missingTask } from "../../store/tasks/removed-tasks.ts";
import { readStates } from "../../store/tasks/task-queries.ts";
import { CurrentStates } from "./current-states.ts";
import type { Feed } from "./feed.ts";
import { StoredPages } from "./stored-pages.ts";

/** The source of pages: the feed if it has them, otherwise the store. */
export interface TapeSource {
  feed: Feed;
  stored: StoredPages;
  states: Pick<CurrentStates, "read">;
}

/** Opens the source of the tapes of a namespace. @param parts.opened throws if the schema does not exist yet */
export function openTapeSource(parts: {
  feed: Feed;
  namespace: string;
  opened: () => Kysely<Database>;
  priorityDb: Kysely<Database>;
}): TapeSource {
  const { feed, namespace, opened, priorityDb } = parts;
  const stored = new StoredPages({ feed, readStore: async (query) => readPage(opened(), { namespace, ...query }) });
  // On a priority connection: at most two short reads, so that tapes in memory stay readable while the pool is full.
  const states = new CurrentStates(async (taskIds) => {
    opened();
    return readStates(priorityDb, { namespace, taskIds });
  });
  return {
    feed,
    stored,
    states: {
      async read(taskId) {
        try {
          return await states.read(taskId);
        } catch (error) {
          throw error instanceof TaskNotFound ? await missingTask(priorityDb, { namespace, taskId }) : error;
        }
      },
    },
  };
}
