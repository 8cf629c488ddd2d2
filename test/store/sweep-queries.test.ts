import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import {
  closeAllSessions,
  closeSession,
  openSession,
  removeExpiredSessions,
  renewSession,
} from "../../src/store/session-queries.ts";
import { findOverdueTasks, findOwnedTasks, isOverdue } from "../../src/store/sweep-queries.ts";
import type { OverdueReason } from "../../src/store/sweep-queries.ts";
import { createRunning, createTask } from "../support/new-tasks.ts";
import { describeOnEachStore } from "../support/stores.ts";

const LEASE_MS = 60_000;

describeOnEachStore("sessions and what they own", (store) => {
  let namespace: string;
  beforeEach(() => {
    namespace = randomUUID();
  });

  const db = () => store().db;
  const running = (lease?: string) => createRunning(db(), { namespace, ...(lease === undefined ? {} : { lease }) });
  const find = (reason: OverdueReason, graceMs = 0, limit = 100) =>
    findOverdueTasks(db(), { namespace, reason, graceMs, limit });
  const sessions = async () =>
    (await db().selectFrom("sessions").select("session_id").where("namespace", "=", namespace).execute()).map(
      (row) => row.session_id,
    );
  const open = async () => {
    const sessionId = randomUUID();
    await openSession(db(), { sessionId, namespace, host: "host", pid: 1, leaseMs: LEASE_MS });
    return sessionId;
  };
  const expire = (sessionId: string) =>
    sql`update sessions set expires_at = now() where session_id = ${sessionId}`.execute(db());
  const past = (column: "cancel_requested_at" | "deadline_at", ms: number, taskId: string) =>
    sql`update tasks set ${sql.ref(column)} = now() - ${ms}::int * interval '1 millisecond'
      where task_id = ${taskId}`.execute(db());

  it("renews what is alive or has only run out, and nothing that was closed or never was", async () => {
    const [alive, expired, closed] = [await open(), await open(), await open()];
    await expire(expired);
    await closeSession(db(), closed);
    const renew = (sessionId: string) => renewSession(db(), { sessionId, leaseMs: LEASE_MS });
    assert.deepEqual(
      [await renew(alive), await renew(expired), await renew(closed), await renew(randomUUID())],
      [true, true, false, false],
    );
  });

  it("finds tasks as lost whose session has run out or is gone", async () => {
    const [alive, expired] = [await open(), await open()];
    const [kept, late, gone] = [await running(alive), await running(expired), await running()];
    assert.deepEqual(await find("lost"), [gone.taskId]);
    await expire(expired);
    assert.deepEqual((await find("lost")).sort(), [late.taskId, gone.taskId].sort());
    assert.equal((await find("lost", 0, 1)).length, 1);
    await closeSession(db(), alive);
    assert.ok((await find("lost")).includes(kept.taskId));
    await createTask(db(), { namespace });
    namespace = randomUUID();
    assert.deepEqual(await find("lost"), []);
  });

  for (const [reason, column] of [
    ["cancel", "cancel_requested_at"],
    ["deadline", "deadline_at"],
  ] as const) {
    it(`finds tasks as overdue for a ${reason} when the grace has passed`, async () => {
      const [waiting, overdue] = [await running(), await running()];
      await past(column, 30_000, waiting.taskId);
      await past(column, 90_000, overdue.taskId);
      assert.deepEqual(await find(reason, 60_000), [overdue.taskId]);
      assert.equal((await find(reason, 0)).length, 2);
      const isStill = ({ taskId }: { taskId: string }) =>
        db()
          .transaction()
          .execute((trx) => isOverdue(trx, { taskId, reason, graceMs: 60_000 }));
      assert.deepEqual([await isStill(waiting), await isStill(overdue)], [false, true]);
      const ended = { status: "failed", lease: null, finished_at: new Date() } as const;
      await db().updateTable("tasks").set(ended).where("task_id", "=", overdue.taskId).execute();
      assert.deepEqual([await find(reason, 60_000), await isStill(overdue)], [[], false]);
    });
  }

  it("knows what a session owns, and what it was asked to cancel", async () => {
    const lease = await open();
    const [one, two] = [await running(lease), await running(lease)];
    await running();
    await past("cancel_requested_at", 0, two.taskId);
    const owned = await findOwnedTasks(db(), lease);
    const asked = new Map(
      owned.map(({ taskId, attempt, cancelRequestedAt }) => [taskId, [attempt, cancelRequestedAt !== null]]),
    );
    assert.deepEqual(
      asked,
      new Map([
        [one.taskId, [1, false]],
        [two.taskId, [1, true]],
      ]),
    );
    assert.deepEqual(await findOwnedTasks(db(), randomUUID()), []);
  });

  it("forgets what has run out and owns nothing any more", async () => {
    const [alive, owning, idle] = [await open(), await open(), await open()];
    await running(owning);
    for (const sessionId of [owning, idle]) await expire(sessionId);
    await removeExpiredSessions(db());
    assert.deepEqual(new Set(await sessions()), new Set([alive, owning]));
    await closeAllSessions(db());
    assert.deepEqual(await sessions(), []);
  });
});
