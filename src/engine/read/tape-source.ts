import type { Kysely } from "kysely";
import { TaskNotFound } from "../../domain/errors.ts";
import { readEndedPage, readPageUnlessEnded } from "../../store/tapes/ended-pages.ts";
import { readPage } from "../../store/tapes/event-queries.ts";
import type { StoredPage } from "../../store/tapes/event-queries.ts";
import type { Database } from "../../store/schema.ts";
import { missingTask } from "../../store/tasks/removed-tasks.ts";
import { readStates } from "../../store/tasks/task-queries.ts";
import { CurrentStates } from "./current-states.ts";
import type { PageQuery } from "../api/task-engine.ts";
import type { Feed } from "./feed.ts";
import type { StandbyReads } from "./standby-reads.ts";
import { StoredPages } from "./stored-pages.ts";

/** After this time, the primary is asked for a page that the standby has not returned. */
const STANDBY_PAGE_MS_MAX = 1_000;

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
  standby: StandbyReads;
}): TapeSource {
  const { feed, namespace, opened, priorityDb, standby } = parts;
  const readStore = async (query: PageQuery) => {
    const ofNamespace = { namespace, ...query };
    return standby.isUp ? readStoredPage(opened(), standby, ofNamespace) : readPage(opened(), ofNamespace);
  };
  const stored = new StoredPages({ feed, readStore });
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

/**
 * Reads a page, from the standby if the task has ended. The primary is asked first how the task has ended, and whether it
 * was removed, so the page is as new as one of the primary.
 */
async function readStoredPage(
  db: Kysely<Database>,
  standby: StandbyReads,
  query: PageQuery & { namespace: string },
): Promise<StoredPage> {
  const found = await readPageUnlessEnded(db, query);
  if ("page" in found) return found.page;
  const read = (copy: Kysely<Database>) => readEndedPage(copy, { ...query, end: found.end });
  return (await standby.readUnchanging(read, STANDBY_PAGE_MS_MAX)) ?? readPage(db, query);
}
