import { pause } from "../../async/pause.ts";
import { brokenPromise } from "../../codec/rpc-error.ts";
import type { SpoolRpcError } from "../../codec/rpc-error.ts";
import { retryBudget } from "../retry.ts";
import { TapeCursor } from "./tape-cursor.ts";
import type { FollowedTask, TasksFrame } from "../types.ts";

/** Reports that a follower of many tasks has lost its connection, or has resumed. */
export type TasksReconnectNotice =
  { state: "lost"; error: SpoolRpcError; cursor: string; retryInMs: number } | { state: "resumed"; cursor: string };

/** Opens one stream over many tasks, which ends only with an error. @param cursor empty: none yet */
export type OpenTasksStream = (cursor: string) => AsyncIterable<TasksFrame>;

/**
 * Follows many tasks and reconnects after failures: every event comes once, in the order of its tape. Progress is any
 * frame of a stream but its first.
 *
 * @throws errors that a retry does not solve, at once; DATA_LOSS if a server repeats or skips events; the last error
 *   after `retryMs` without progress
 */
export async function* followTasks(
  openStream: OpenTasksStream,
  {
    cursor: from,
    retryMs,
    onReconnect,
    signal,
  }: {
    cursor: string;
    retryMs: number;
    onReconnect?: ((notice: TasksReconnectNotice) => void) | undefined;
    signal?: AbortSignal | undefined;
  },
): AsyncGenerator<TasksFrame, void, undefined> {
  const tapes = new TapeCursors();
  const budget = retryBudget(retryMs);
  let cursor = from;
  let lost = false;
  for (;;) {
    let isFirst = true;
    try {
      for await (const frame of openStream(cursor)) {
        tapes.take(frame.tasks);
        cursor = frame.cursor;
        if (lost) onReconnect?.({ state: "resumed", cursor });
        lost = false;
        if (!isFirst) budget.succeeded();
        isFirst = false;
        yield frame;
      }
      throw brokenPromise("the stream over many tasks ended without an error");
    } catch (error) {
      const retryInMs = budget.nextDelayMs(error);
      if (retryInMs === null) throw error;
      lost = true;
      onReconnect?.({ state: "lost", error: error as SpoolRpcError, cursor, retryInMs });
      await pause(retryInMs, signal);
    }
  }
}

/** The position of a follower on each unfinished tape from which it has received events. */
class TapeCursors {
  readonly #cursors = new Map<string, TapeCursor>();

  /** @throws SpoolRpcError DATA_LOSS */
  take(tasks: readonly FollowedTask[]): void {
    for (const { taskId, events } of tasks) {
      const [first] = events;
      if (first === undefined) continue;
      const cursor = this.#cursors.get(taskId) ?? new TapeCursor(taskId, first.seq);
      cursor.take(events, events.at(-1)!.seq);
      if (cursor.final) this.#cursors.delete(taskId);
      else this.#cursors.set(taskId, cursor);
    }
  }
}
