import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { writeFlush } from "../../../src/store/tapes/journal-statement.ts";
import { claimTasks } from "../../../src/store/tasks/claim-statement.ts";
import { readTask } from "../../../src/store/tasks/task-queries.ts";
import { createTask, outline, storedTape, SUCCEEDED } from "../../support/new-tasks.ts";
import { describeOnEachStore } from "../../support/stores.ts";

describeOnEachStore("a claim", (store) => {
  let namespace: string;
  beforeEach(() => {
    namespace = randomUUID();
  });

  const db = () => store().db;
  const create = (options: Partial<Parameters<typeof createTask>[1]> = {}) =>
    createTask(db(), { namespace, ...options });
  const claimAt = (limit: number, { lease = randomUUID(), kinds = ["echo"] } = {}) =>
    claimTasks(db(), { namespace, kinds, lease, limit, keys: ["a", "b"] });
  const claim = async (...query: Parameters<typeof claimAt>) => (await claimAt(...query)).tasks;
  const ids = (tasks: { taskId: string }[]) => tasks.map(({ taskId }) => taskId);

  it("takes one suspected task at a time for a session, and all other tasks", async () => {
    const suspected = [await create(), await create(), await create()];
    const others = [await create(), await create()];
    const crashes = (tasks: { taskId: string }[], count: number) =>
      db().updateTable("tasks").set({ crashes: count }).where("task_id", "in", ids(tasks)).execute();
    await crashes(suspected, 2);
    await crashes(others.slice(1), 1);
    const lease = randomUUID();
    assert.deepEqual(ids(await claim(10, { lease })), ids([suspected[0]!, ...others]));
    assert.deepEqual(ids(await claim(10, { lease })), []);
    assert.deepEqual(ids(await claim(10)), ids([suspected[1]!]));
    const ended = { status: "failed", lease: null, finished_at: new Date() } as const;
    await db().updateTable("tasks").set(ended).where("task_id", "=", suspected[0]!.taskId).execute();
    assert.deepEqual(ids(await claim(10, { lease })), ids([suspected[2]!]));
  });

  it("takes each of the oldest tasks once, up to its limit, and writes their started events", async () => {
    const tasks: { taskId: string }[] = [];
    for (let count = 0; count < 5; count++) tasks.push(await create({ timeoutMs: 1_000, params: { count } }));
    const lease = randomUUID();
    const { tasks: claimed, at } = await claimAt(3, { lease });
    assert.deepEqual(ids(claimed), ids(tasks.slice(0, 3)));
    for (const task of claimed) {
      assert.deepEqual([task.status, task.lease, task.attempt, task.lastSeq], ["running", lease, 1, 1n]);
      assert.deepEqual([task.startedAt, task.deadlineAt], [at, null]);
      assert.equal(task.attemptDeadlineAt!.getTime(), at.getTime() + 1_000);
      assert.deepEqual(await readTask(db(), { namespace, taskId: task.taskId }), task);
      const tape = await storedTape(db(), { namespace, taskId: task.taskId });
      assert.deepEqual(outline(tape), ["started"]);
      assert.deepEqual([JSON.parse(tape[0]!.body), tape[0]!.time], [{ kind: "echo", attempt: 1 }, task.startedAt]);
    }
    assert.deepEqual(ids(await claim(10)), ids(tasks.slice(3)));
    assert.deepEqual(await claim(10), []);
  });

  it("takes nothing if its signal fires before it is sent", async () => {
    const task = await create();
    const stopping = new AbortController();
    const query = { namespace, kinds: ["echo"], lease: randomUUID(), limit: 1, signal: stopping.signal };
    const claimed = claimTasks(db(), query);
    stopping.abort(); // The connection has not even been prepared.
    assert.deepEqual((await claimed).tasks, []);
    assert.deepEqual(ids(await claim(1)), ids([task]));
  });

  it("takes only tasks of its kinds and its namespace", async () => {
    const [echo, other] = [await create(), await create({ kind: "other" })];
    await createTask(db(), { namespace: randomUUID() });
    assert.deepEqual(await claim(10, { kinds: [] }), []);
    assert.deepEqual(ids(await claim(10, { kinds: ["other", "none"] })), [other.taskId]);
    assert.deepEqual(ids(await claim(10)), [echo.taskId]);
  });

  it("skips a task that is not due yet, and takes those behind it", async () => {
    const later = await create({ runAt: new Date(Date.now() + 3_600_000) });
    const due = await create({ runAt: new Date(Date.now() - 3_600_000) });
    assert.deepEqual(ids(await claim(10)), [due.taskId]);
    await db()
      .updateTable("tasks")
      .set({ run_at: new Date(0) })
      .where("task_id", "=", later.taskId)
      .execute();
    assert.deepEqual(ids(await claim(10)), [later.taskId]);
  });

  it("starts the next attempt of a requeued task", async () => {
    const { taskId } = await create({ maxAttempts: 2 });
    const { tasks: first, at } = await claimAt(1);
    const rows = db().updateTable("tasks").where("task_id", "=", taskId);
    await rows.set({ status: "pending", lease: null, appended: 7n }).execute();
    const [second] = await claim(1);
    assert.deepEqual([second!.attempt, second!.lastSeq, second!.startedAt], [2, 2n, first[0]!.startedAt]);
    assert.deepEqual(second!.startedAt, at);
    const fence = { taskId, lease: second!.lease!, attempt: 2 };
    const end = { fence, appended: 0n, events: [SUCCEEDED], end: "succeeded" as const };
    assert.equal((await writeFlush(db(), { creates: [], appends: [end] })).applied.length, 1);
    assert.deepEqual(outline(await storedTape(db(), { namespace, taskId })), ["started", "started", "final"]);
  });

  it("never takes the same task for two sessions", async () => {
    const tasks = await Promise.all(Array.from({ length: 100 }, () => create()));
    const claims = await Promise.all(Array.from({ length: 20 }, () => claim(7)));
    const taken = ids(claims.flat());
    assert.equal(new Set(taken).size, taken.length);
    for (const task of claims.flat()) assert.equal(task.attempt, 1);
    const rest = await claim(1_000);
    assert.deepEqual([...taken, ...ids(rest)].sort(), ids(tasks).sort());
  });

  it("takes one task of an exclusive key, and the other tasks of the key delay no other tasks", async () => {
    const keyed = [
      await create({ exclusiveKey: "a" }),
      await create({ exclusiveKey: "a" }),
      await create({ exclusiveKey: "a" }),
    ];
    const [free, other] = [await create(), await create({ exclusiveKey: "b" })];
    const first = await claim(10);
    assert.deepEqual(ids(first), ids([keyed[0]!, free, other]));
    assert.deepEqual(await claim(10), []);
    const behind = await create();
    assert.deepEqual(ids(await claim(1)), [behind.taskId]);
    const fence = { taskId: keyed[0]!.taskId, lease: first[0]!.lease!, attempt: 1 };
    const end = { fence, appended: 0n, events: [SUCCEEDED], end: "succeeded" as const };
    await writeFlush(db(), { creates: [], appends: [end] });
    assert.deepEqual(ids(await claim(10)), [keyed[1]!.taskId]);
  });

  it("takes one task per exclusive key and namespace, even beside concurrent claims", async () => {
    for (let round = 0; round < 5; round++) {
      const exclusiveKey = randomUUID();
      await Promise.all(Array.from({ length: 10 }, () => create({ exclusiveKey })));
      const claims = await Promise.all(Array.from({ length: 10 }, () => claim(3)));
      const taken = await db()
        .selectFrom("tasks")
        .select("task_id")
        .where("exclusive_key", "=", exclusiveKey)
        .where("status", "=", "running")
        .execute();
      assert.deepEqual([claims.flat().length, taken.length], [1, 1]);
      await db()
        .deleteFrom("tasks")
        .where("exclusive_key", "=", exclusiveKey)
        .where("status", "=", "pending")
        .execute();
    }
    await create({ exclusiveKey: "shared" });
    assert.equal((await claim(1)).length, 1);
    namespace = randomUUID();
    await create({ exclusiveKey: "shared" });
    assert.equal((await claim(1)).length, 1);
  });
});
