import assert from "node:assert/strict";
import { SeqOutOfRange } from "../../../src/domain/errors.ts";
import type { TaskStatus } from "../../../src/domain/task.ts";
import { Feed } from "../../../src/engine/read/feed.ts";
import { followTape } from "../../../src/engine/read/follow.ts";
import { StoredPages } from "../../../src/engine/read/stored-pages.ts";

const TASK_ID = "task";
const NEVER = new AbortController().signal;

/** A server that knows of `knownSeq` events of a task, and its database, which has `lastSeq` of them. */
function sourceOf({ knownSeq, lastSeq, status }: { knownSeq: bigint; lastSeq: bigint; status: TaskStatus }) {
  const feed = new Feed();
  const subscription = feed.subscribe(TASK_ID, NEVER);
  feed.observe({ taskId: TASK_ID, status: "running", lastSeq: knownSeq });
  const readStore = async () => ({ taskId: TASK_ID, status, lastSeq, events: [] });
  return {
    source: {
      feed,
      stored: new StoredPages({ feed, readStore }),
      states: { read: async () => ({ taskId: TASK_ID, status, lastSeq }) },
    },
    [Symbol.dispose]: () => subscription[Symbol.dispose](),
  };
}

describe("a follower that comes from another server", () => {
  const first = (opened: ReturnType<typeof sourceOf>, fromSeq: bigint) =>
    followTape(opened.source, { taskId: TASK_ID, fromSeq, heartbeatMs: 60_000 }, NEVER).next();

  it("gets the state of the database if its position is ahead of what this server knows", async () => {
    using opened = sourceOf({ knownSeq: 2n, lastSeq: 5n, status: "running" });
    const { value: page } = await first(opened, 6n);
    assert.deepEqual([page!.events, page!.nextFromSeq, page!.lastSeq], [[], 6n, 5n]);
  });

  it("is refused only if its position is ahead of the database too", async () => {
    using opened = sourceOf({ knownSeq: 2n, lastSeq: 5n, status: "running" });
    await assert.rejects(first(opened, 7n), (error: unknown) => {
      assert.ok(error instanceof SeqOutOfRange);
      assert.deepEqual(error.metadata, { task_id: TASK_ID, from_seq: "7", last_seq: "5" });
      return true;
    });
  });

  it("is not refused past the end of a task that has ended meanwhile", async () => {
    using opened = sourceOf({ knownSeq: 2n, lastSeq: 5n, status: "succeeded" });
    const { value: page } = await first(opened, 9_999n);
    assert.deepEqual([page!.events, page!.status, page!.nextFromSeq], [[], "succeeded", 9_999n]);
  });
});
