import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { DEFAULT_RETRY_POLICY } from "../../../src/domain/retry.ts";
import type { TerminalStatus } from "../../../src/domain/task.ts";
import { writeFlush } from "../../../src/store/tapes/journal-statement.ts";
import type { Append } from "../../../src/store/tapes/journal-statement.ts";
import { readTask, readTaskByRequest } from "../../../src/store/tasks/task-queries.ts";
import { createRunning, newTask, outline, startedOf, steps, storedTape, SUCCEEDED } from "../../support/new-tasks.ts";
import { describeOnEachStore } from "../../support/stores.ts";

describeOnEachStore("writeFlush", (store) => {
  let namespace: string;
  beforeEach(() => {
    namespace = randomUUID();
  });

  const db = () => store().db;
  const running = (options = {}) => createRunning(db(), { namespace, ...options });
  const append = (...appends: Partial<Append>[]) =>
    writeFlush(db(), {
      creates: [],
      appends: appends.map((item) => ({ appended: 0n, events: steps(1), end: null, ...item }) as Append),
    });
  const create = async (task: ReturnType<typeof newTask>) =>
    (await writeFlush(db(), { creates: [{ task, events: startedOf(task) }], appends: [] })).applied;
  const tapeOf = async ({ taskId }: { taskId: string }) => outline(await storedTape(db(), { namespace, taskId }));
  const read = ({ taskId }: { taskId: string }) => readTask(db(), { namespace, taskId });

  it("creates a waiting task with an empty tape", async () => {
    const labels = { team: "search", "": "empty" };
    const runAt = new Date("2031-02-03T04:05:06.789Z");
    const task = newTask({ namespace, params: { b: 1, a: "\0" }, labels, runAt, timeoutMs: 1_500, maxAttempts: 3 });
    assert.deepEqual(await create(task), [{ taskId: task.taskId, firstSeq: 1n }]);
    const { createdAt, ...stored } = await read(task);
    assert.ok(createdAt instanceof Date);
    assert.deepEqual(stored, {
      ...task.request,
      taskId: task.taskId,
      status: "pending",
      paramsDigest: task.paramsDigest,
      exclusiveKey: null,
      startedAt: null,
      finishedAt: null,
      attemptDeadlineAt: null,
      attempt: 0,
      handovers: 0,
      crashes: 0,
      retryPolicy: DEFAULT_RETRY_POLICY,
      checkpointSeq: null,
      cancelRequestedAt: null,
      cancelReason: null,
      cancelledBy: null,
      lease: null,
      lastSeq: 0n,
    });
    assert.deepEqual(await tapeOf(task), []);
  });

  it("takes no transaction id if it writes nothing, such as for a start that is already stored", async () => {
    const task = newTask({ namespace, requestId: "once" });
    await create(task);
    const again = newTask({ namespace, requestId: "once" });
    await db()
      .transaction()
      .execute(async (trx) => {
        const flush = { creates: [{ task: again, events: startedOf(again) }], appends: [] };
        assert.deepEqual((await writeFlush(trx, flush)).applied, []);
        const { rows } = await sql<{
          xid: string | null;
        }>`select pg_current_xact_id_if_assigned()::text as xid`.execute(trx);
        assert.equal(rows[0]!.xid, null);
      });
  });

  it("creates a running task with its started event and deadline, all with the same time", async () => {
    const lease = randomUUID();
    const task = newTask({ namespace, lease, timeoutMs: 1_500 });
    const { at } = await writeFlush(db(), { creates: [{ task, events: startedOf(task) }], appends: [] });
    const stored = await read(task);
    assert.deepEqual([stored.status, stored.lease, stored.attempt, stored.lastSeq], ["running", lease, 1, 1n]);
    assert.deepEqual([stored.createdAt, stored.startedAt], [at, at]);
    assert.equal(stored.attemptDeadlineAt?.getTime(), at.getTime() + 1_500);
    const [started] = await storedTape(db(), { namespace, taskId: task.taskId });
    assert.deepEqual([started?.type, started?.time], ["started", at]);
  });

  it("creates one task for a request_id of a namespace, even in one flush", async () => {
    const requestId = randomUUID();
    const [first, second, third] = [1, 2, 3].map(() => newTask({ namespace, requestId, lease: randomUUID() }));
    const elsewhere = newTask({ namespace: randomUUID(), requestId });
    const creates = [first!, second!, elsewhere].map((task) => ({ task, events: startedOf(task) }));
    const { applied } = await writeFlush(db(), { creates, appends: [] });
    assert.deepEqual(new Set(applied.map(({ taskId }) => taskId)), new Set([first!.taskId, elsewhere.taskId]));
    assert.deepEqual(await create(third!), []);
    assert.deepEqual((await readTaskByRequest(db(), { namespace, requestId }))?.taskId, first!.taskId);
    for (const none of [second!, third!]) {
      await assert.rejects(read(none), { reason: "TASK_NOT_FOUND" });
      const events = db().selectFrom("task_events").selectAll().where("task_id", "=", none.taskId);
      assert.deepEqual(await events.execute(), []);
    }
  });

  it("creates no task twice, with a request_id or without", async () => {
    for (const requestId of [null, randomUUID()]) {
      const task = newTask({ namespace, requestId, lease: randomUUID() });
      assert.equal((await create(task)).length, 1);
      assert.deepEqual(await create(task), []);
      assert.deepEqual(await tapeOf(task), ["started"]);
    }
  });

  it("appends events at the end of the tape, in order", async () => {
    const fence = await running();
    assert.deepEqual((await append({ fence, events: steps(1, 3) })).applied, [{ taskId: fence.taskId, firstSeq: 2n }]);
    assert.deepEqual((await append({ fence, events: steps(4), appended: 3n })).applied[0]?.firstSeq, 5n);
    assert.deepEqual(await tapeOf(fence), ["started", 1, 2, 3, 4]);
    assert.equal((await read(fence)).lastSeq, 5n);
  });

  it("writes nothing if the fence does not hold: another lease, attempt or number of events", async () => {
    const fence = await running();
    await append({ fence });
    const wrong: Partial<Append>[] = [
      { fence: { ...fence, lease: randomUUID() }, appended: 1n },
      { fence: { ...fence, attempt: 0 }, appended: 1n },
      { fence: { ...fence, attempt: 2 }, appended: 1n },
      { fence: { ...fence, taskId: randomUUID() }, appended: 1n },
      { fence, appended: 0n },
      { fence, appended: 2n },
    ];
    for (const item of wrong) {
      for (const end of [null, "failed"] as const) {
        assert.deepEqual((await append({ ...item, events: steps(9), end })).applied, []);
      }
    }
    assert.deepEqual(await tapeOf(fence), ["started", 1]);
    const { status, lastSeq } = await read(fence);
    assert.deepEqual([status, lastSeq], ["running", 2n]);
  });

  for (const end of ["succeeded", "failed", "cancelled"] satisfies TerminalStatus[]) {
    it(`commits ${end} together with final, and writes nothing after that`, async () => {
      const fence = await running({ timeoutMs: 1_500 });
      const { at } = await append({ fence, events: [...steps(1), SUCCEEDED], end });
      const stored = await read(fence);
      assert.deepEqual([stored.status, stored.finishedAt, stored.lease, stored.lastSeq], [end, at, null, 3n]);
      assert.equal(stored.attemptDeadlineAt, null);
      assert.deepEqual((await append({ fence, appended: 2n })).applied, []);
      assert.deepEqual((await append({ fence, appended: 2n, events: [SUCCEEDED], end })).applied, []);
      assert.deepEqual(await tapeOf(fence), ["started", 1, "final"]);
    });
  }

  it("writes a retried append only once, and does not list it as applied", async () => {
    const fence = await running();
    for (const applied of [1, 0, 0])
      assert.equal((await append({ fence, events: steps(1, 2) })).applied.length, applied);
    const end = { fence, appended: 2n, events: [SUCCEEDED], end: "succeeded" } as const;
    for (const applied of [1, 0]) assert.equal((await append(end)).applied.length, applied);
    assert.deepEqual(await tapeOf(fence), ["started", 1, 2, "final"]);
  });

  it("writes the other tasks of a flush if the fence of one does not hold", async () => {
    const [one, two, three] = [await running(), await running(), newTask({ namespace })];
    const { applied } = await writeFlush(db(), {
      creates: [{ task: three, events: [] }],
      appends: [
        { fence: { ...one, attempt: 2 }, appended: 0n, events: steps(1), end: null },
        { fence: two, appended: 0n, events: [...steps(1, 2), SUCCEEDED], end: "succeeded" },
      ],
    });
    assert.deepEqual(
      new Map(applied.map(({ taskId, firstSeq }) => [taskId, firstSeq])),
      new Map([
        [two.taskId, 2n],
        [three.taskId, 1n],
      ]),
    );
    assert.deepEqual(await tapeOf(one), ["started"]);
    assert.deepEqual(await tapeOf(two), ["started", 1, 2, "final"]);
  });

  it("accepts an empty flush, and returns the time", async () => {
    const { at, applied } = await append();
    assert.ok(at instanceof Date);
    assert.deepEqual(applied, []);
  });

  it("releases the exclusive key with the end, not before", async () => {
    const exclusiveKey = randomUUID();
    const fence = await running({ exclusiveKey });
    const values = { namespace, exclusive_key: exclusiveKey, task_id: fence.taskId };
    await db().insertInto("task_exclusives").values(values).execute();
    const holders = async () =>
      (await db().selectFrom("task_exclusives").select("task_id").where("namespace", "=", namespace).execute()).length;
    await append({ fence });
    assert.equal(await holders(), 1);
    await append({ fence, appended: 7n, events: [SUCCEEDED], end: "succeeded" });
    assert.equal(await holders(), 1);
    await append({ fence, appended: 1n, events: [SUCCEEDED], end: "succeeded" });
    assert.equal(await holders(), 0);
  });

  it("cannot write two final events of a task: the database rejects the second one", async () => {
    const fence = await running();
    // A program gone wrong: final, but the task goes on.
    await append({ fence, events: [SUCCEEDED] });
    await assert.rejects(append({ fence, appended: 1n, events: [SUCCEEDED], end: "failed" }), { code: "23505" });
    assert.deepEqual([await tapeOf(fence), (await read(fence)).status], [["started", "final"], "running"]);
  });

  it("relies on the database to reject rows whose columns contradict their status", async () => {
    const fence = await running();
    const rows = db().updateTable("tasks").where("task_id", "=", fence.taskId);
    for (const wrong of [
      { status: "failed" as const, lease: null },
      { finished_at: new Date() },
      { lease: null },
      { status: "pending" as const },
      { status: "done" as never },
    ]) {
      await assert.rejects(rows.set(wrong).execute(), { code: "23514" });
    }
  });
});
