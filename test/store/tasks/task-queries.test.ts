import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { claimTasks } from "../../../src/store/tasks/claim-statement.ts";
import { listTasks, readTask, readTaskByRequest, readTaskStates } from "../../../src/store/tasks/task-queries.ts";
import type { TaskFilter } from "../../../src/store/tasks/task-queries.ts";
import { createRunning, createTask } from "../../support/new-tasks.ts";
import { describeOnEachStore } from "../../support/stores.ts";

describeOnEachStore("a query for tasks", (store) => {
  let namespace: string;
  beforeEach(() => {
    namespace = randomUUID();
  });

  const create = (options: Partial<Parameters<typeof createTask>[1]> = {}) =>
    createTask(store().db, { namespace, ...options });
  const list = async (filter: Partial<TaskFilter> = {}) => {
    const all = { limit: 100, beforeTaskId: null, statuses: [], kinds: [], labels: {} };
    return listTasks(store().db, namespace, { ...all, ...filter });
  };
  const ids = (tasks: { taskId: string }[]) => tasks.map(({ taskId }) => taskId);

  it("returns the newest tasks of one namespace first, in pages, without params", async () => {
    await createTask(store().db, { namespace: randomUUID() });
    const tasks: { taskId: string }[] = [];
    for (let count = 0; count < 7; count++) tasks.unshift(await create({ params: { count } }));
    assert.deepEqual(ids(await list()), ids(tasks));
    const paged: string[] = [];
    for (let page = await list({ limit: 3 }); page.length > 0;) {
      paged.push(...ids(page));
      page = await list({ limit: 3, beforeTaskId: paged.at(-1)! });
    }
    assert.deepEqual(paged, ids(tasks));
    assert.deepEqual(new Set((await list()).map(({ params }) => params)), new Set([null]));
  });

  it("can filter by status, kind and labels together", async () => {
    const plain = await create();
    const labelled = await create({ labels: { team: "a", env: "x" } });
    const other = await create({ kind: "other", labels: { team: "a", "": "é\"'" } });
    await claimTasks(store().db, { namespace, kinds: ["echo"], lease: randomUUID(), limit: 1 });
    const [a, b, c] = [plain.taskId, labelled.taskId, other.taskId];
    assert.deepEqual(ids(await list({ statuses: ["pending"] })), [c, b]);
    assert.deepEqual(ids(await list({ statuses: ["pending", "running"] })), [c, b, a]);
    assert.deepEqual(ids(await list({ statuses: ["failed"] })), []);
    assert.deepEqual(ids(await list({ kinds: ["other", "none"] })), [c]);
    assert.deepEqual(ids(await list({ labels: { team: "a" } })), [c, b]);
    assert.deepEqual(ids(await list({ labels: { team: "a", env: "x" } })), [b]);
    assert.deepEqual(ids(await list({ labels: { "": "é\"'" } })), [c]);
    assert.deepEqual(ids(await list({ labels: { team: "A" } })), []);
    assert.deepEqual(ids(await list({ labels: { team: "a" }, kinds: ["echo"], statuses: ["pending"] })), [b]);
    assert.deepEqual(ids(await list({ labels: { team: "a" }, beforeTaskId: c })), [b]);
  });

  it("can filter by the beginning of the id, as a range of the index", async () => {
    const ids = [
      "0199a5c0-7b1e-7c3d-9a2b-000000000001",
      "0199a5c0-7b1e-7c3d-9a2b-0000000000f1",
      "0199a5c1-0000-7000-8000-000000000000",
    ];
    const at = (text: string) => ids.map((id) => id.replaceAll("0199a5c", text));
    const start = randomUUID().slice(0, 7); // Of this run: an id is of one namespace alone.
    const [one, two, other] = at(start);
    for (const taskId of at(start)) await create({ taskId });
    for (const [prefix, found] of [
      [one!.slice(0, 8), [two, one]],
      [one!.slice(0, 9), [two, one]],
      [one!.slice(0, 35), [one]],
      [one!, [one]],
      [other!.slice(0, 8), [other]],
      [`${start}2`, []],
    ] as const) {
      assert.deepEqual(
        (await list({ taskIdPrefix: prefix })).map(({ taskId }) => taskId),
        found,
        prefix,
      );
    }
    const plan = await store()
      .db.transaction()
      .execute(async (trx) => {
        await sql`set local enable_seqscan = off`.execute(trx);
        const { rows } = await sql<{ "QUERY PLAN": string }>`
        explain select task_id from tasks
        where namespace = ${namespace} and task_id >= ${one}::uuid and task_id <= ${two}::uuid
        order by task_id desc limit 6`.execute(trx);
        return rows.map((row) => row["QUERY PLAN"]).join("\n");
      });
    assert.match(plan, /tasks_newest|tasks_pkey/);
    assert.match(plan, /Index Cond: .*task_id >= .*task_id <= /);
    assert.doesNotMatch(plan, /Sort/);
  });

  it("finds one task only in its own namespace", async () => {
    const requestId = randomUUID();
    const params = { z: [1, null, "\0"], a: { b: -0.5 }, ["__proto__"]: 1 };
    const { taskId } = await create({ params, requestId });
    const task = await readTask(store().db, { namespace, taskId });
    assert.equal(JSON.stringify(task.params), JSON.stringify(params));
    const { requestDigest, ...found } = (await readTaskByRequest(store().db, { namespace, requestId }))!;
    assert.deepEqual(found, task);
    assert.match(requestDigest!, /^[0-9a-f]{64}$/);
    assert.equal(await readTaskByRequest(store().db, { namespace, requestId: "none" }), undefined);
    const elsewhere = { namespace: randomUUID(), taskId };
    assert.equal(await readTaskByRequest(store().db, { ...elsewhere, requestId }), undefined);
    await assert.rejects(readTask(store().db, elsewhere), { reason: "TASK_NOT_FOUND", metadata: { task_id: taskId } });
  });

  it("returns the states of the given tasks that exist", async () => {
    const fence = await createRunning(store().db, { namespace });
    const states = await readTaskStates(store().db, [fence.taskId, randomUUID()]);
    assert.deepEqual(states, [{ ...fence, status: "running", lastSeq: 1n, appended: 0n }]);
    assert.deepEqual(await readTaskStates(store().db, []), []);
  });
});
