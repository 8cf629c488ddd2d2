import type { Kysely } from "kysely";
import { fromTapeEvent, toEventJson } from "../../archive/event-json.ts";
import { TaskDigest } from "../../archive/task-digest.ts";
import { toTaskJson } from "../../archive/task-json.ts";
import { PAGE_EVENTS_MAX } from "../../domain/limits.ts";
import type { TaskView } from "../../domain/task.ts";
import type { Database } from "../../store/schema.ts";
import { readPage } from "../../store/tapes/event-queries.ts";
import { readTask } from "../../store/tasks/task-queries.ts";

/**
 * Returns the digest that an export of a stored task would have. A task that lost its request_id to another one has the
 * digest of the imported task.
 */
export async function digestStored(db: Kysely<Database>, namespace: string, imported: TaskView): Promise<string> {
  const { taskId } = imported;
  const task = await readTask(db, { namespace, taskId });
  const requestId = task.requestId ?? imported.requestId;
  const digest = new TaskDigest(toTaskJson({ ...task, requestId, awaitsWorker: false }));
  for (let fromSeq = 1n; fromSeq <= task.lastSeq;) {
    const { events } = await readPage(db, { namespace, taskId, fromSeq, limit: PAGE_EVENTS_MAX });
    if (events.length === 0) break;
    digest.add(events.map((event) => toEventJson(fromTapeEvent(event))));
    fromSeq += BigInt(events.length);
  }
  return digest.end();
}
