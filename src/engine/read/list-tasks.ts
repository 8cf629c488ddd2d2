import type { Kysely } from "kysely";
import type { Task } from "../../domain/task.ts";
import type { Database } from "../../store/schema.ts";
import { readProgress } from "../../store/tapes/progress.ts";
import { listTasks as readTasks } from "../../store/tasks/task-queries.ts";
import type { TaskEngine, TaskView } from "../api/task-engine.ts";

/** Returns one page of a list, with what callers see besides the stored tasks. @throws StoreUnavailable */
export async function listTasks(
  source: { db: Kysely<Database>; namespace: string; withAvailability: (task: Task) => Promise<TaskView> },
  filter: Parameters<TaskEngine["listTasks"]>[0],
): ReturnType<TaskEngine["listTasks"]> {
  const { db, namespace, withAvailability } = source;
  const { limit, withProgress = false } = filter;
  const found = await readTasks(db, namespace, { ...filter, limit: limit + 1 });
  const tasks = await Promise.all(found.slice(0, limit).map(withAvailability));
  const running = withProgress ? tasks.filter(({ status }) => status === "running") : [];
  const progress = await readProgress(
    db,
    running.map(({ taskId }) => taskId),
  );
  return { tasks, progress, hasMore: found.length > limit };
}
