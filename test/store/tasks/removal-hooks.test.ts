import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { FIRST_ENDED, removeDueTasks } from "../../../src/store/tasks/due-removals.ts";
import {
  claimHooks,
  finishHook,
  readPendingHooks,
  registerHookedKinds,
  retryHook,
} from "../../../src/store/tasks/removal-hooks.ts";
import { removeTask } from "../../../src/store/tasks/removed-tasks.ts";
import { lockTask } from "../../../src/store/tasks/transitions.ts";
import { createEnded } from "../../support/new-tasks.ts";
import { describeOnEachStore } from "../../support/stores.ts";

const HOUR_MS = 60 * 60_000;

describeOnEachStore("the hook of a removed task", (store) => {
  let namespace: string;
  beforeEach(async () => {
    namespace = randomUUID();
    await registerHookedKinds(store().db, { namespace, kinds: ["files", "other"] });
  });

  const claim = (options = {}) =>
    claimHooks(store().db, { namespace, kind: "files", claimMs: HOUR_MS, limit: 10, ...options });

  const remove = (taskId: string) =>
    store()
      .db.transaction()
      .execute(async (trx) => {
        const { tasks } = await lockTask(trx, { namespace, taskId });
        await removeTask(trx, namespace, tasks[0]!);
      });

  async function createRemoved(options: { kind?: string } = {}): Promise<string> {
    const task = { namespace, kind: "files", params: { path: "a" }, labels: { team: "b" }, agoMs: 0, ...options };
    const taskId = await createEnded(store().db, task);
    await remove(taskId);
    return taskId;
  }

  const age = (ms: number) =>
    sql`update removal_hooks set removed_at = removed_at - ${ms}::float8 * interval '1 millisecond',
        due_at = due_at - ${ms}::float8 * interval '1 millisecond' where namespace = ${namespace}`.execute(store().db);

  it("is stored with the removal by a caller and by retention, only for kinds that have one", async () => {
    const deleted = await createRemoved();
    await createRemoved({ kind: "echo" });
    const due = await createEnded(store().db, { namespace, kind: "files", agoMs: 2 * HOUR_MS, params: { path: "c" } });
    await createEnded(store().db, { namespace, kind: "echo", agoMs: 2 * HOUR_MS });
    await removeDueTasks(store().db, {
      namespace,
      retained: { retentionMs: HOUR_MS, isOnly: false, kinds: [] },
      from: FIRST_ENDED,
      bounds: { rows: 10, tasks: 10, events: 1_000 },
    });
    assert.deepEqual(await claim({ kind: "echo" }), []);
    const hooks = await claim();
    assert.deepEqual(
      hooks.toSorted((a, b) => Number(a.taskId === due) - Number(b.taskId === due)),
      [
        { taskId: deleted, params: { path: "a" }, labels: { team: "b" }, attempt: 1 },
        { taskId: due, params: { path: "c" }, labels: {}, attempt: 1 },
      ],
    );
  });

  it("is claimed by one process until its claim ends, and is gone when it has succeeded", async () => {
    const taskId = await createRemoved();
    const [first] = await claim();
    assert.deepEqual([first?.taskId, first?.attempt, await claim()], [taskId, 1, []]);
    await age(HOUR_MS + 1_000);
    const [second] = await claim();
    assert.deepEqual([second?.taskId, second?.attempt], [taskId, 2]);
    await finishHook(store().db, { taskId });
    await age(HOUR_MS + 1_000);
    assert.deepEqual(await claim(), []);
  });

  it("is due again after a failed attempt, and an attempt that lost its claim changes nothing", async () => {
    const taskId = await createRemoved();
    await claim();
    await retryHook(store().db, { taskId, attempt: 1 }, { error: "disk full", waitMs: 0 });
    const [second] = await claim();
    assert.equal(second?.attempt, 2);
    await retryHook(store().db, { taskId, attempt: 1 }, { error: "late", waitMs: 0 });
    assert.deepEqual(await claim(), []);
    assert.deepEqual(await readPendingHooks(store().db, { namespace, forMs: HOUR_MS }), []);
    await age(2 * HOUR_MS);
    const [pending, ...none] = await readPendingHooks(store().db, { namespace, forMs: HOUR_MS });
    assert.deepEqual([pending?.kind, pending?.count, pending?.lastError, none], ["files", 1, "disk full", []]);
    assert.ok(pending!.oldestMs >= 2 * HOUR_MS && pending!.oldestMs < 3 * HOUR_MS);
  });

  it("is claimed with at most as many others as the limit", async () => {
    for (let count = 0; count < 3; count++) await createRemoved();
    assert.deepEqual([(await claim({ limit: 2 })).length, (await claim({ limit: 2 })).length], [2, 1]);
  });
});
