import { SpoolRpcError } from "../../client/client.ts";
import type { SpoolClient, SpoolEvent, Task } from "../../client/client.ts";
import { PAGE_EVENTS_DEFAULT } from "../../domain/limits.ts";

/** An ended task with the beginning of its tape. */
export interface FetchedTask {
  task: Task;
  /** The first events; empty if the tape is long. */
  events: readonly SpoolEvent[];
}

/**
 * Reads a task, with its tape if the tape is short: a server reads one long page at a time for all of its callers. Long
 * tapes are streamed by tapeOf.
 *
 * @param task as ListTasks returned the task
 * @returns null: the task was removed
 */
export async function fetchTask(client: SpoolClient, { taskId, lastSeq }: Task): Promise<FetchedTask | null> {
  try {
    const isShort = lastSeq <= PAGE_EVENTS_DEFAULT;
    const [task, page] = await Promise.all([client.get({ taskId }), isShort ? client.events({ taskId }) : null]);
    return { task, events: page?.events ?? [] };
  } catch (error) {
    if (isRemoved(error)) return null;
    throw error;
  }
}

/**
 * Yields the whole tape in pieces of at most 1,000 events. Throws if the tape does not end with `final`.
 *
 * @throws SpoolRpcError: see isRemoved
 */
export async function* tapeOf(client: SpoolClient, fetched: FetchedTask): AsyncGenerator<readonly SpoolEvent[]> {
  const { taskId, lastSeq } = fetched.task;
  let seq = 0n;
  let last: SpoolEvent | undefined;
  for await (const events of piecesOf(client, fetched)) {
    for (const event of events) {
      if (event.seq !== ++seq) throw new Error(`task ${taskId}: the server sent event ${event.seq} instead of ${seq}`);
    }
    last = events.at(-1) ?? last;
    yield events;
  }
  if (last?.type !== "final" || seq !== lastSeq) {
    throw new Error(
      `task ${taskId}: the tape has ${seq} of ${lastSeq} events and ends with ${last?.type ?? "nothing"}`,
    );
  }
}

/** Whether an error says that the task was removed. */
export function isRemoved(error: unknown): boolean {
  return error instanceof SpoolRpcError && error.code === "NOT_FOUND";
}

async function* piecesOf(
  client: SpoolClient,
  { task: { taskId, lastSeq }, events }: FetchedTask,
): AsyncGenerator<readonly SpoolEvent[]> {
  if (events.length > 0) yield events;
  const fromSeq = BigInt(events.length + 1);
  if (fromSeq > lastSeq) return;
  for await (const frame of client.followFrames({ taskId, fromSeq })) {
    if (frame.events.length > 0) yield frame.events;
  }
}
