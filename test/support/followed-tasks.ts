import assert from "node:assert/strict";
import type { FollowCursor } from "../../src/domain/follow-cursor.ts";
import type { TapeEvent } from "../../src/domain/event.ts";
import type { FollowedPage, FollowTasksQuery, TaskEngine } from "../../src/engine/api/task-engine.ts";

const HEARTBEAT_MS = 1_000;

/** A query for every event of every task, from now on, unless said otherwise. */
export function followQuery(query: Partial<FollowTasksQuery> = {}): FollowTasksQuery {
  return {
    kinds: [],
    labels: {},
    view: "events",
    cursor: null,
    fromStart: false,
    heartbeatMs: HEARTBEAT_MS,
    intervalMs: 0,
    ...query,
  };
}

/** Takes in what a follower of many tasks is given, over any number of streams, and holds it to order and to once. */
export class Followed {
  cursor: FollowCursor | null = null;
  pages = 0;
  readonly tapes = new Map<string, TapeEvent[]>();

  take({ tasks, cursor }: FollowedPage): void {
    this.pages++;
    this.cursor = cursor;
    assert.equal(new Set(tasks.map(({ taskId }) => taskId)).size, tasks.length, "a task is on a page twice");
    for (const { taskId, events } of tasks) {
      const tape = this.tapes.get(taskId) ?? [];
      for (const event of events) {
        const last = tape.at(-1);
        if (last !== undefined) assert.equal(event.seq, last.seq + 1n, `task ${taskId} after ${last.seq}`);
        tape.push(event);
      }
      this.tapes.set(taskId, tape);
    }
  }

  /** How many tasks have been seen to their end. */
  get ended(): number {
    return [...this.tapes.values()].filter((tape) => tape.at(-1)?.type === "final").length;
  }

  count(): number {
    return [...this.tapes.values()].reduce((count, tape) => count + tape.length, 0);
  }

  /** Follows on from where it stands until enough has come; then the stream is left. */
  async follow(
    engine: Pick<TaskEngine, "followTasks">,
    isEnough: (followed: Followed) => boolean,
    query: Partial<FollowTasksQuery> = {},
  ): Promise<void> {
    const stopped = new AbortController();
    const from = this.cursor === null ? query : { ...query, cursor: this.cursor, fromStart: false };
    for await (const page of engine.followTasks(followQuery(from), stopped.signal)) {
      this.take(page);
      if (isEnough(this)) break;
    }
    stopped.abort();
  }
}
