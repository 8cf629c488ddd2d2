import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { newEvent } from "../../../src/domain/event.ts";
import type { NewEvent } from "../../../src/domain/event.ts";
import { stopAttempt } from "../../../src/domain/lifecycle.ts";
import type { StopReason } from "../../../src/domain/lifecycle.ts";
import type { Fence, TerminalStatus } from "../../../src/domain/task.ts";
import { claimTasks } from "../../../src/store/tasks/claim-statement.ts";
import { readEvent } from "../../../src/store/tapes/single-events.ts";
import { writeFlush } from "../../../src/store/tapes/journal-statement.ts";
import { readTask } from "../../../src/store/tasks/task-queries.ts";
import { lockTask } from "../../../src/store/tasks/transitions.ts";
import { createRunning, steps, SUCCEEDED } from "../../support/new-tasks.ts";
import { describeOnEachStore } from "../../support/stores.ts";
import { decideOn } from "../decisions.ts";

function checkpoint(at: number): NewEvent {
  return newEvent("partial", { kind: "checkpoint", payload: { at } });
}

const PAGE = newEvent("partial", { kind: "page", payload: { kind: "checkpoint" } });

describeOnEachStore("the last checkpoint of a task", (store) => {
  let namespace: string;
  beforeEach(() => {
    namespace = randomUUID();
  });

  const db = () => store().db;
  const flush = async (fence: Fence, appended: number, events: NewEvent[], end: TerminalStatus | null = null) => {
    const append = { fence, appended: BigInt(appended), events, end };
    return (await writeFlush(db(), { creates: [], appends: [append] })).applied.length;
  };
  const running = (options = {}) =>
    createRunning(db(), { namespace, retryPolicy: { initialBackoffMs: 1 }, ...options });
  const last = async ({ taskId }: { taskId: string }) => (await readTask(db(), { namespace, taskId })).checkpointSeq;
  /** What stands where the task says that its last checkpoint is. */
  const payload = async (task: { taskId: string }): Promise<unknown> => {
    const event = await readEvent(db(), { taskId: task.taskId, seq: (await last(task))! });
    return (JSON.parse(event!.body) as { payload: unknown }).payload;
  };
  /** Takes the task from its attempt, and gives the next one. */
  const nextAttempt = async ({ taskId }: Fence, because: StopReason): Promise<Fence> => {
    await db()
      .transaction()
      .execute(async (trx) =>
        decideOn(trx, await lockTask(trx, { namespace, taskId }), (task, moment) =>
          stopAttempt(task, because, { ...moment, random: 1 }),
        ),
      );
    const lease = randomUUID();
    const { tasks } = await claimTasks(db(), { namespace, kinds: ["echo"], lease, limit: 1 });
    return { taskId, lease, attempt: tasks[0]!.attempt };
  };

  it("is null before the first checkpoint", async () => {
    const fence = await running();
    await flush(fence, 0, [...steps(1), PAGE]);
    assert.equal(await last(fence), null);
    await flush(fence, 2, [checkpoint(1)]);
    assert.equal(await last(fence), 4n);
  });

  it("is the last one in a flush, at any position", async () => {
    const fence = await running();
    await flush(fence, 0, [checkpoint(1), ...steps(1), checkpoint(2), PAGE, ...steps(2, 3)]);
    assert.deepEqual([await last(fence), await payload(fence)], [4n, { at: 2 }]);
    await flush(fence, 6, [checkpoint(3), checkpoint(4)]);
    assert.deepEqual([await last(fence), await payload(fence)], [9n, { at: 4 }]);
    await flush(fence, 8, [checkpoint(5), SUCCEEDED], "succeeded");
    assert.deepEqual([await last(fence), await payload(fence)], [10n, { at: 5 }]);
  });

  it("is unchanged by flushes without a checkpoint, and by the end", async () => {
    const fence = await running();
    await flush(fence, 0, [checkpoint(1)]);
    await flush(fence, 1, [...steps(1, 5), PAGE]);
    await flush(fence, 7, []);
    assert.equal(await last(fence), 2n);
    await flush(fence, 7, [SUCCEEDED], "succeeded");
    assert.equal(await last(fence), 2n);
  });

  it("is unchanged by a retried flush, and by a flush whose fence does not hold", async () => {
    const fence = await running();
    assert.equal(await flush(fence, 0, [...steps(1), checkpoint(1)]), 1);
    assert.equal(await flush(fence, 2, [...steps(2), checkpoint(2), ...steps(3)]), 1);
    assert.equal(await flush(fence, 2, [...steps(2), checkpoint(2), ...steps(3)]), 0);
    assert.equal(await flush(fence, 0, [...steps(1), checkpoint(1)]), 0);
    assert.equal(await flush({ ...fence, attempt: 2 }, 5, [checkpoint(9)]), 0);
    assert.equal(await flush({ ...fence, lease: randomUUID() }, 5, [checkpoint(9)]), 0);
    assert.deepEqual([await last(fence), await payload(fence)], [5n, { at: 2 }]);
  });

  it("is kept across attempts, whichever attempt wrote it", async () => {
    const first = await running({ maxAttempts: 9, retryPolicy: { initialBackoffMs: 1, jitter: 1 } });
    await flush(first, 0, [...steps(1), checkpoint(1)]); // Behind started: 2 and 3.
    const second = await nextAttempt(first, "lost"); // retrying and started: 4 and 5.
    assert.equal(await last(second), 3n);
    await flush(second, 0, steps(1, 4)); // 6 to 9.
    const third = await nextAttempt(second, "handover"); // 10 and 11.
    assert.deepEqual([await last(third), await payload(third)], [3n, { at: 1 }]);
    await flush(third, 0, [checkpoint(2), ...steps(1)]); // 12 and 13.
    assert.equal(await flush(second, 4, [checkpoint(9)]), 0);
    const fourth = await nextAttempt(third, "shutdown");
    assert.deepEqual([fourth.attempt, await last(fourth), await payload(fourth)], [4, 12n, { at: 2 }]);
  });

  it("can be read as a single event of the tape", async () => {
    const fence = await running();
    await flush(fence, 0, [checkpoint(1)]);
    const event = await readEvent(db(), { taskId: fence.taskId, seq: 2n });
    assert.deepEqual([event?.seq, event?.type, event?.body], [2n, "partial", checkpoint(1).body]);
    assert.ok(event?.time instanceof Date);
    assert.equal((await readEvent(db(), { taskId: fence.taskId, seq: 1n }))?.type, "started");
    for (const seq of [0n, 3n, 2n ** 63n - 1n]) {
      assert.equal(await readEvent(db(), { taskId: fence.taskId, seq }), undefined);
    }
    assert.equal(await readEvent(db(), { taskId: randomUUID(), seq: 1n }), undefined);
  });
});
