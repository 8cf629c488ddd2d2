import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { DEFAULT_RETRY_POLICY } from "../../../src/domain/retry.ts";
import type { TaskRequest } from "../../../src/domain/task.ts";
import { claimTasks } from "../../../src/store/tasks/claim-statement.ts";
import { writeFlush } from "../../../src/store/tapes/journal-statement.ts";
import { asCreated } from "../../../src/store/tasks/new-task.ts";
import { listTasks, readTask } from "../../../src/store/tasks/task-queries.ts";
import { createTask, newTask, startedOf, SUCCEEDED } from "../../support/new-tasks.ts";
import { describeOnEachStore } from "../../support/stores.ts";

const DAY_MS = 24 * 60 * 60 * 1_000;
const AHEAD = new Date(Date.now() + DAY_MS);

/** Requests by what they say of time, each with when its attempt is to end, counted from its beginning. */
const TIMES: Record<string, [request: Partial<TaskRequest>, attemptEnds: (at: Date) => Date | null]> = {
  "no end": [{}, () => null],
  "a timeout": [{ timeoutMs: 1_500 }, (at) => new Date(at.getTime() + 1_500)],
  "a deadline": [{ deadlineAt: AHEAD }, () => AHEAD],
  "a timeout before its deadline": [{ timeoutMs: 1_500, deadlineAt: AHEAD }, (at) => new Date(at.getTime() + 1_500)],
  "a deadline before its timeout": [{ timeoutMs: 2 * DAY_MS, deadlineAt: AHEAD }, () => AHEAD],
};

describeOnEachStore("a created task", (store) => {
  let namespace: string;
  beforeEach(() => {
    namespace = randomUUID();
  });

  const db = () => store().db;
  const read = (taskId: string) => readTask(db(), { namespace, taskId });
  const flush = (task: ReturnType<typeof newTask>) =>
    writeFlush(db(), { creates: [{ task, events: startedOf(task) }], appends: [] });
  const claim = () => claimTasks(db(), { namespace, kinds: ["echo"], lease: randomUUID(), limit: 10 });

  for (const [title, [request, attemptEnds]] of Object.entries(TIMES)) {
    it(`equals asCreated, pending or running, with ${title}`, async () => {
      for (const lease of [null, randomUUID()]) {
        const task = newTask({ namespace, lease, ...request });
        const { at } = await flush(task);
        const stored = await read(task.taskId);
        assert.deepEqual(stored, asCreated(task, at));
        assert.deepEqual(stored.attemptDeadlineAt, lease === null ? null : attemptEnds(at));
        assert.deepEqual(stored.deadlineAt, request.deadlineAt ?? null);
      }
    });

    it(`gets the earlier attempt deadline when it is claimed with ${title}`, async () => {
      const { taskId } = await createTask(db(), { namespace, maxAttempts: 2, ...request });
      const { tasks, at } = await claim();
      assert.deepEqual(tasks[0]?.attemptDeadlineAt, attemptEnds(at));
      assert.deepEqual(await read(taskId), tasks[0]);
    });
  }

  it("equals asCreated with all fields of a start", async () => {
    const task = newTask({
      namespace,
      kind: "other",
      params: { b: 1, a: [null, "\0"] },
      requestId: randomUUID(),
      labels: { team: "search", "": "empty" },
      exclusiveKey: "key",
      timeoutMs: 1_500,
      maxAttempts: 7,
      retryPolicy: { initialBackoffMs: 10, jitter: 0 },
      runAt: new Date("2031-02-03T04:05:06.789Z"),
      deadlineAt: new Date("2031-02-03T04:05:06.790Z"),
    });
    const { at } = await flush(task);
    const stored = await read(task.taskId);
    assert.deepEqual(stored, asCreated(task, at));
    assert.deepEqual(stored.retryPolicy, { ...DEFAULT_RETRY_POLICY, initialBackoffMs: 10, jitter: 0 });
    assert.deepEqual(await listTasks(db(), namespace, LISTED), [{ ...stored, params: null }]);
  });

  it("stores the default retry policy as null, and any other policy unchanged", async () => {
    const column = async (taskId: string) =>
      (await db().selectFrom("tasks").select("retry_policy").where("task_id", "=", taskId).executeTakeFirstOrThrow())
        .retry_policy;
    const plain = await createTask(db(), { namespace, maxAttempts: 3 });
    assert.equal(await column(plain.taskId), null);
    assert.equal((await read(plain.taskId)).retryPolicy, DEFAULT_RETRY_POLICY);
    for (const retryPolicy of [
      { ...DEFAULT_RETRY_POLICY },
      { initialBackoffMs: 1, maxBackoffMs: 2_592_000_000, backoffMultiplier: 1.1, jitter: 1 / 3 },
    ]) {
      const { taskId } = await createTask(db(), { namespace, retryPolicy });
      assert.deepEqual([await column(taskId), (await read(taskId)).retryPolicy], [retryPolicy, retryPolicy]);
    }
  });

  it("has an attempt deadline only while an attempt runs", async () => {
    const { taskId } = await createTask(db(), { namespace, timeoutMs: 60_000, deadlineAt: AHEAD });
    assert.equal((await read(taskId)).attemptDeadlineAt, null);
    const { tasks } = await claim();
    const fence = { taskId, lease: tasks[0]!.lease!, attempt: 1 };
    await writeFlush(db(), { creates: [], appends: [{ fence, appended: 0n, events: [], end: null }] });
    assert.deepEqual((await read(taskId)).attemptDeadlineAt, tasks[0]!.attemptDeadlineAt);
    const end = { fence, appended: 0n, events: [SUCCEEDED], end: "succeeded" as const };
    await writeFlush(db(), { creates: [], appends: [end] });
    const ended = await read(taskId);
    assert.deepEqual([ended.attemptDeadlineAt, ended.deadlineAt], [null, AHEAD]);
  });
});

const LISTED = { limit: 10, beforeTaskId: null, statuses: [], kinds: [], labels: {} };
