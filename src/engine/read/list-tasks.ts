import type { Kysely } from "kysely";
import type { Task } from "../../domain/task.ts";
import type { Database } from "../../store/schema.ts";
import { readProgress } from "../../store/tapes/progress.ts";
import { listTasks as readTasks } from "../../store/tasks/task-queries.ts";
import type { TaskEngine, TaskView } from "../api/task-engine.ts";
import type { StandbyReads } from "./standby-reads.ts";

/** After this time, the primary is asked for a list that the standby has not returned. */
const STANDBY_LIST_MS_MAX = 2_000;

type Filter = Parameters<TaskEngine["listTasks"]>[0];

/** Returns one page of a list, with what callers see besides the stored tasks. @throws StoreUnavailable */
export async function listTasks(
  source: {
    db: Kysely<Database>;
    standby: StandbyReads;
    namespace: string;
    withAvailability: (task: Task) => Promise<TaskView>;
  },
  filter: Filter,
): ReturnType<TaskEngine["listTasks"]> {
  const { db, standby, namespace, withAvailability } = source;
  const read = (from: Kysely<Database>) => readList(from, namespace, filter);
  const { found, progress } = (await standby.readCurrent(read, STANDBY_LIST_MS_MAX)) ?? (await read(db));
  const tasks = await Promise.all(found.slice(0, filter.limit).map(withAvailability));
  return { tasks, progress, hasMore: found.length > filter.limit };
}

/** Reads one task more than the page has, and the progress of those that run. */
async function readList(db: Kysely<Database>, namespace: string, filter: Filter) {
  const found = await readTasks(db, namespace, { ...filter, limit: filter.limit + 1 });
  const running = filter.withProgress === true ? found.filter(({ status }) => status === "running") : [];
  const progress = await readProgress(
    db,
    running.slice(0, filter.limit).map(({ taskId }) => taskId),
  );
  return { found, progress };
}
