import type { Kysely } from "kysely";
import type { TapeEvent } from "../../domain/event.ts";
import { PACK_EVENTS_MIN, PAGE_EVENTS_MAX } from "../../domain/limits.ts";
import type { Task } from "../../domain/task.ts";
import type { Database } from "../../store/schema.ts";
import { readPage, readRanges } from "../../store/tapes/event-queries.ts";
import { readTasks } from "../../store/tasks/task-queries.ts";
import type { ArchivedTask } from "../api/removal-archive.ts";

/** How many tasks one statement reads. Their tapes, if they are short, are one more statement. */
const TASKS = 20;
/** The longest tape that is read together with others: it is never packed. 20 of them are at most PAGE_EVENTS_MAX. */
const SHORT_EVENTS_MAX = PACK_EVENTS_MIN - 1;

/**
 * Reads tasks with their tapes. Tasks that were removed are left out.
 *
 * @param rest is called between reads, with the time since the read before began. So it counts what the reader of the
 *   pages does, too
 */
export async function* readArchivedTasks(
  db: Kysely<Database>,
  query: { namespace: string; taskIds: readonly string[]; rest: (workedMs: number) => Promise<void> },
): AsyncGenerator<ArchivedTask> {
  const { namespace, taskIds, rest } = query;
  for (let start = 0; start < taskIds.length; start += TASKS) {
    const began = performance.now();
    const tasks = await readTasks(db, { namespace, taskIds: taskIds.slice(start, start + TASKS) });
    const beginnings = await readShortTapes(db, namespace, tasks);
    let restedMs = 0;
    const restWithin = async (workedMs: number) => {
      const now = performance.now();
      await rest(workedMs);
      restedMs += workedMs + performance.now() - now;
    };
    for (const task of tasks) {
      yield {
        task,
        pages: pagesOf(db, { namespace, task, first: beginnings.get(task.taskId) ?? [], rest: restWithin }),
      };
    }
    await rest(Math.max(0, performance.now() - began - restedMs));
  }
}

/** Reads the short tapes among those of the tasks, or the beginnings of some. */
async function readShortTapes(
  db: Kysely<Database>,
  namespace: string,
  tasks: readonly Task[],
): Promise<Map<string, TapeEvent[]>> {
  const ranges = tasks
    .filter(({ lastSeq }) => lastSeq <= SHORT_EVENTS_MAX)
    .map(({ taskId, lastSeq }) => ({ taskId, fromSeq: 1n, toSeq: lastSeq }));
  if (ranges.length === 0) return new Map();
  const tapes = await readRanges(db, { namespace, ranges });
  return new Map(ranges.map(({ taskId }, index) => [taskId, tapes[index]!]));
}

async function* pagesOf(
  db: Kysely<Database>,
  options: { namespace: string; task: Task; first: TapeEvent[]; rest: (workedMs: number) => Promise<void> },
): AsyncGenerator<readonly TapeEvent[]> {
  const { namespace, task, first, rest } = options;
  const { taskId, lastSeq } = task;
  if (first.length > 0) yield first;
  for (let fromSeq = BigInt(first.length + 1); fromSeq <= lastSeq;) {
    const began = performance.now();
    const { events } = await readPage(db, { namespace, taskId, fromSeq, limit: PAGE_EVENTS_MAX });
    if (events.length === 0) return;
    yield events;
    fromSeq = events.at(-1)!.seq + 1n;
    await rest(performance.now() - began);
  }
}
