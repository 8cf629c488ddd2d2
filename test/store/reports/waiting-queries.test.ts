import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { claimTasks } from "../../../src/store/tasks/claim-statement.ts";
import { readOverdueTasks } from "../../../src/store/tasks/sweep-queries.ts";
import { openSession } from "../../../src/store/session-queries.ts";
import {
  readClaimable,
  readIdleKeys,
  readUnvalidatedKinds,
  readWaitingKinds,
} from "../../../src/store/reports/waiting-queries.ts";
import { newSession } from "../../support/new-sessions.ts";
import { createRunning, createTask } from "../../support/new-tasks.ts";
import { describeOnEachStore } from "../../support/stores.ts";

const HOUR_MS = 3_600_000;

describeOnEachStore("a report on waiting and stalled tasks", (store) => {
  let namespace: string;
  beforeEach(() => {
    namespace = randomUUID();
  });

  const db = () => store().db;
  const wait = async (kind: string, parts: { isUnvalidated?: boolean; exclusiveKey?: string; runAt?: Date } = {}) =>
    (await createTask(db(), { namespace, kind, ...parts })).taskId;
  const back = (taskId: string, ms: number) =>
    sql`update tasks set created_at = now() - ${ms}::int * interval '1 ms' where task_id = ${taskId}`.execute(db());
  const claimable = async (kinds: string[]) =>
    (await readClaimable(db(), { namespace, kindSets: [kinds] }))[0]!.map(({ taskId }) => taskId);

  it("counts due tasks by kind", async () => {
    const [old] = [await wait("a"), await wait("a"), await wait("b", { isUnvalidated: true })];
    await wait("a", { runAt: new Date(Date.now() + HOUR_MS) });
    await createRunning(db(), { namespace, kind: "a" });
    await createTask(db(), { namespace: randomUUID(), kind: "other" });
    await back(old, 5_000);
    const kinds = await readWaitingKinds(db(), namespace);
    assert.deepEqual(
      kinds.map(({ kind, count }) => [kind, count]),
      [
        ["a", 2],
        ["b", 1],
      ],
    );
    assert.ok(kinds[0]!.waitedMs >= 5_000 && kinds[0]!.waitedMs < 60_000);
  });

  it("counts unvalidated tasks by kind, whatever other tasks wait", async () => {
    assert.deepEqual(await readUnvalidatedKinds(db(), namespace), []);
    await wait("checked");
    for (const kind of ["c", "a", "b", "a"]) await wait(kind, { isUnvalidated: true });
    await wait("later", { isUnvalidated: true, runAt: new Date(Date.now() + HOUR_MS) });
    const kinds = await readUnvalidatedKinds(db(), namespace);
    assert.deepEqual(
      kinds.map(({ kind, count }) => [kind, count]),
      [
        ["a", 2],
        ["b", 1],
        ["c", 1],
      ],
    );
  });

  it("lists the tasks that a claim takes next, for each set of kinds", async () => {
    const [first, second, other] = [await wait("a"), await wait("a"), await wait("b")];
    await wait("a", { isUnvalidated: true });
    await wait("a", { runAt: new Date(Date.now() + HOUR_MS) });
    await back(second, 5_000);
    const found = await readClaimable(db(), { namespace, kindSets: [["a"], ["none"], ["a", "b"]] });
    assert.deepEqual(
      found.map((tasks) => tasks.map(({ taskId }) => taskId)),
      [[second, first], [], [second, first, other]],
    );
    assert.deepEqual(await readClaimable(db(), { namespace, kindSets: [] }), []);
    const { tasks } = await claimTasks(db(), { namespace, kinds: ["a", "b"], lease: randomUUID(), limit: 10 });
    assert.deepEqual(tasks.map(({ taskId }) => taskId).sort(), [first, second, other].sort());
    assert.deepEqual(await claimable(["a", "b"]), []);
  });

  it("lists the oldest task of an exclusive key while the key is free", async () => {
    const [first, second] = [await wait("a", { exclusiveKey: "k" }), await wait("a", { exclusiveKey: "k" })];
    assert.deepEqual(await claimable(["a"]), [first]);
    await claimTasks(db(), { namespace, kinds: ["a"], lease: randomUUID(), limit: 1 });
    assert.deepEqual(await claimable(["a"]), []);
    assert.deepEqual(await readIdleKeys(db(), namespace), []);
    // What no statement of Spool's would leave.
    await sql`update task_exclusives set task_id = ${second} where namespace = ${namespace}`.execute(db());
    assert.deepEqual(await readIdleKeys(db(), namespace), [{ key: "k", taskId: second, status: "pending" }]);
    await sql`delete from task_exclusives where namespace = ${namespace}`.execute(db());
    assert.deepEqual(await claimable(["a"]), [second]);
  });

  it("lists a task as overdue after the grace and the allowed delay", async () => {
    const sessionId = randomUUID();
    await openSession(db(), newSession({ sessionId, namespace }));
    const { taskId } = await createRunning(db(), { namespace, lease: sessionId });
    const overdue = (lateMs: number, reason: "lost" | "cancel" = "lost", graceMs = 0) =>
      readOverdueTasks(db(), { namespace, reason, graceMs, lateMs });
    assert.deepEqual(await overdue(0), []);
    await sql`update sessions set expires_at = now() - interval '5 s' where session_id = ${sessionId}`.execute(db());
    assert.deepEqual(await overdue(60_000), []);
    const [found] = await overdue(4_000);
    assert.deepEqual([found!.taskId, found!.attempt], [taskId, 1]);
    assert.ok(found!.overdueMs! >= 5_000);
    await sql`delete from sessions where session_id = ${sessionId}`.execute(db());
    assert.deepEqual(await overdue(60_000), [{ taskId, attempt: 1, overdueMs: null }]);
    await sql`update tasks set cancel_requested_at = now() - interval '9 s' where task_id = ${taskId}`.execute(db());
    assert.deepEqual(await overdue(3_000, "cancel", 7_000), []);
    const [cancelled] = await overdue(1_000, "cancel", 7_000);
    assert.ok(cancelled!.overdueMs! >= 2_000 && cancelled!.overdueMs! < 60_000);
  });
});
