import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import type { Kysely, Transaction } from "kysely";
import type { Database } from "../../../src/store/schema.ts";
import {
  announceLeave,
  expireServerSessions,
  closeSession,
  openSession,
  removeExpiredSessions,
  renewSession,
} from "../../../src/store/session-queries.ts";
import { lockOverdueTasks } from "../../../src/store/tasks/sweep-queries.ts";
import type { OverdueReason } from "../../../src/store/tasks/sweep-queries.ts";
import { readTask } from "../../../src/store/tasks/task-queries.ts";
import { newSession } from "../../support/new-sessions.ts";
import { createRunning, createTask } from "../../support/new-tasks.ts";
import { describeOnEachStore } from "../../support/stores.ts";

const LEASE_MS = 60_000;
const GRACE_MS = 60_000;

const ENDED = { status: "failed", lease: null, finished_at: new Date() } as const;

describeOnEachStore("the store of sessions and overdue tasks", (store) => {
  let namespace: string;
  beforeEach(() => {
    namespace = randomUUID();
  });

  const db = () => store().db;
  const running = (lease?: string) => createRunning(db(), { namespace, ...(lease === undefined ? {} : { lease }) });
  const waiting = () => createTask(db(), { namespace });
  const transact = <Result>(work: (trx: Transaction<Database>) => Promise<Result>) => db().transaction().execute(work);
  const find = async (
    reason: OverdueReason,
    { graceMs = 0, limit = 100, trx }: { graceMs?: number; limit?: number; trx?: Transaction<Database> } = {},
  ) => {
    const lock = (locking: Transaction<Database>) => lockOverdueTasks(locking, { namespace, reason, graceMs, limit });
    const { tasks } = await (trx === undefined ? transact(lock) : lock(trx));
    return tasks.map(({ taskId }) => taskId).sort();
  };
  const sessions = async () =>
    (await db().selectFrom("sessions").select("session_id").where("namespace", "=", namespace).execute()).map(
      (row) => row.session_id,
    );
  const open = async () => {
    const sessionId = randomUUID();
    await openSession(db(), newSession({ sessionId, namespace, leaseMs: LEASE_MS }));
    return sessionId;
  };
  const expire = (
    sessionId: string,
    { microsAhead = 0, on = db() }: { microsAhead?: number; on?: Kysely<Database> } = {},
  ) =>
    sql`update sessions set expires_at = now() + ${microsAhead}::int * interval '1 microsecond'
      where session_id = ${sessionId}`.execute(on);

  type Due = "cancel_requested_at" | "attempt_deadline_at" | "deadline_at";
  const past = (
    column: Due,
    ms: number,
    taskId: string,
    { micros = 0, on = db() }: { micros?: number; on?: Kysely<Database> } = {},
  ) =>
    sql`update tasks set ${sql.ref(column)} =
        now() - ${ms}::int * interval '1 millisecond' - ${micros}::int * interval '1 microsecond'
      where task_id = ${taskId}`.execute(on);

  it("renews live and expired sessions, and no closed or unknown ones", async () => {
    const [alive, expired, closed] = [await open(), await open(), await open()];
    await expire(expired);
    await closeSession(db(), { sessionId: closed, connection: 1 });
    const renew = (sessionId: string) => renewSession(db(), { sessionId, connection: 1, leaseMs: LEASE_MS });
    assert.deepEqual(
      [await renew(alive), await renew(expired), await renew(closed), await renew(randomUUID())],
      [true, true, false, false],
    );
  });

  it("finds a task as lost if its session has expired or is gone", async () => {
    const [alive, expired] = [await open(), await open()];
    const [kept, late, gone] = [await running(alive), await running(expired), await running()];
    assert.deepEqual(await find("lost"), [gone.taskId]);
    await expire(expired);
    assert.deepEqual(await find("lost"), [late.taskId, gone.taskId].sort());
    assert.equal((await find("lost", { limit: 1 })).length, 1);
    await closeSession(db(), { sessionId: alive, connection: 1 });
    assert.ok((await find("lost")).includes(kept.taskId));
    await waiting();
    namespace = randomUUID();
    assert.deepEqual(await find("lost"), []);
  });

  it("finds a task as lost from exactly the expiry of its session", async () => {
    const session = await open();
    const { taskId } = await running(session);
    await transact(async (trx) => {
      await expire(session, { microsAhead: 1, on: trx });
      assert.deepEqual(await find("lost", { trx }), []);
      await expire(session, { on: trx });
      assert.deepEqual(await find("lost", { trx }), [taskId]);
    });
  });

  for (const [reason, column, make] of [
    ["cancel", "cancel_requested_at", running],
    ["deadline", "attempt_deadline_at", running],
    ["expired", "deadline_at", waiting],
  ] as const) {
    it(`finds a task as overdue after the grace: ${reason}`, async () => {
      const [early, overdue] = [await make(), await make()];
      await past(column, GRACE_MS / 2, early.taskId);
      await past(column, GRACE_MS * 1.5, overdue.taskId);
      assert.deepEqual(await find(reason, { graceMs: GRACE_MS }), [overdue.taskId]);
      assert.deepEqual(await find(reason), [early.taskId, overdue.taskId].sort());
      assert.equal((await find(reason, { limit: 1 })).length, 1);
      await db().updateTable("tasks").set(ENDED).where("task_id", "=", overdue.taskId).execute();
      assert.deepEqual(await find(reason, { graceMs: GRACE_MS }), []);
      namespace = randomUUID();
      assert.deepEqual(await find(reason), []);
    });

    it(`finds no task at the end of its grace, and each task after it: ${reason}`, async () => {
      for (const graceMs of [0, GRACE_MS]) {
        const { taskId } = await make();
        const found = (micros: number) =>
          transact(async (trx) => {
            await past(column, graceMs, taskId, { micros, on: trx }); // Within a transaction the time stands still.
            return (await find(reason, { graceMs, trx })).includes(taskId);
          });
        assert.deepEqual([await found(-1), await found(0), await found(1)], [false, false, true]);
      }
    });
  }

  it("finds only waiting tasks as expired, and only running tasks for the other reasons", async () => {
    const [run, wait] = [await running(), await waiting()];
    for (const column of ["cancel_requested_at", "attempt_deadline_at", "deadline_at"] as const) {
      for (const { taskId } of [run, wait]) await past(column, GRACE_MS, taskId);
    }
    assert.deepEqual(await find("expired"), [wait.taskId]);
    for (const reason of ["lost", "cancel", "deadline"] as const) assert.deepEqual(await find(reason), [run.taskId]);
  });

  it("returns overdue tasks with all fields except params, and a later time", async () => {
    const { taskId } = await createRunning(db(), { namespace, params: { a: 1 }, retryPolicy: { jitter: 0 } });
    const none = await transact((trx) => lockOverdueTasks(trx, { namespace, reason: "cancel", graceMs: 0, limit: 9 }));
    assert.deepEqual(none.tasks, []);
    const found = await transact((trx) => lockOverdueTasks(trx, { namespace, reason: "lost", graceMs: 0, limit: 9 }));
    assert.deepEqual(found.tasks, [{ ...(await readTask(db(), { namespace, taskId })), params: null }]);
    assert.ok(found.at >= found.tasks[0]!.startedAt!);
  });

  it("deletes expired sessions that own no running tasks", async () => {
    const [alive, owning, idle] = [await open(), await open(), await open()];
    await running(owning);
    for (const sessionId of [owning, idle]) await expire(sessionId);
    await removeExpiredSessions(db());
    assert.deepEqual(new Set(await sessions()), new Set([alive, owning]));
    await expireServerSessions(db());
    await removeExpiredSessions(db());
    assert.deepEqual(await sessions(), [owning]);
  });

  it("distinguishes tasks of a crashed process from tasks of a process that left or was about to leave", async () => {
    const [dead, leaving, left] = [await open(), await open(), await open()];
    const [died, cut, gone] = [await running(dead), await running(leaving), await running(left)];
    await announceLeave(db(), { sessionId: leaving, connection: 1 });
    await closeSession(db(), { sessionId: left, connection: 1 });
    for (const sessionId of [dead, leaving]) await expire(sessionId);
    const found = await transact((trx) => lockOverdueTasks(trx, { namespace, reason: "lost", graceMs: 0, limit: 9 }));
    assert.deepEqual(new Set(found.tasks.map(({ taskId }) => taskId)), new Set([died, cut, gone].map((f) => f.taskId)));
    assert.deepEqual(found.died, new Set([died.taskId]));
  });
});
