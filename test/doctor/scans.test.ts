import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import type { CheckName, Finding } from "../../src/doctor/check.ts";
import { TASK_LOOKS } from "../../src/doctor/scans.ts";
import { Patient } from "../../src/doctor/doctor-context.ts";
import { claimTasks } from "../../src/store/tasks/claim-statement.ts";
import { openSession, renewSession } from "../../src/store/session-queries.ts";
import { newSession } from "../support/new-sessions.ts";
import { createRunning, createTask } from "../support/new-tasks.ts";
import { describeOnEachStore } from "../support/stores.ts";

describeOnEachStore("what the doctor looks at twice", (store) => {
  let namespace: string;
  beforeEach(() => {
    namespace = randomUUID();
  });

  const db = () => store().db;

  /** Takes a look, and does between its two what others do while it waits. */
  async function look(name: CheckName, between: () => Promise<unknown>): Promise<Finding & { looks: number }> {
    let looks = 1;
    class Waiting extends Patient {
      override async pause(): Promise<void> {
        looks++;
        await between();
      }
    }
    const settings = { namespace, leaseMs: 10_000, cancelGraceMs: 5_000, notify: true };
    const { signal } = new AbortController();
    const patient = new Waiting({ settings, db: db(), url: store().url, signal });
    return { ...(await TASK_LOOKS.find((candidate) => candidate.name === name)!.look(patient)), looks };
  }

  async function openIdle({ capacity }: { capacity: number }): Promise<string> {
    const kinds = [{ name: "idle", retry: {}, isExclusive: false }];
    const session = newSession({ namespace, kinds, capacity });
    await openSession(db(), session);
    return session.sessionId;
  }

  const wait = () => createTask(db(), { namespace, kind: "idle" });
  const claim = (lease: string) => claimTasks(db(), { namespace, kinds: ["idle"], lease, limit: 1 });

  it("is a task that is RUNNING at a live process and does not run there, for as long as its owner reports it", async () => {
    const lease = await openIdle({ capacity: 1 });
    const { taskId } = await createRunning(db(), { namespace, kind: "idle", lease });
    const nothing = () => Promise.resolve();
    const renewal = { sessionId: lease, connection: 1, leaseMs: 60_000 };
    const reason = "the database answers SQLSTATE 53100";
    await renewSession(db(), { ...renewal, stalled: [{ taskId, attempt: 1, forMs: 20_000, reason }] });
    const stalled = await look("running", nothing);
    assert.match(stalled.found, new RegExp(`^1 task RUNNING .*${taskId} at .* for 20 s, .*53100$`));
    assert.equal(stalled.status, "fail");
    await renewSession(db(), renewal);
    assert.equal((await look("running", nothing)).status, "ok");
  });

  it("is a process that owns more than two tasks for a slot, if it still does at the second look", async () => {
    const lease = await openIdle({ capacity: 1 });
    const own = () => createRunning(db(), { namespace, kind: "idle", lease });
    const { taskId } = await own();
    await own();
    const ending = await look("running", () => Promise.resolve());
    assert.deepEqual([ending.status, ending.looks], ["ok", 1], "one of them may be ending");
    await own();
    const overloaded = await look("running", () => Promise.resolve());
    assert.deepEqual([overloaded.status, overloaded.looks], ["warn", 2]);
    assert.match(overloaded.found, /3 with 1 slot$/);
    const ended = await look("running", () => db().deleteFrom("tasks").where("task_id", "=", taskId).execute());
    assert.deepEqual([ended.status, ended.looks], ["ok", 2]);
  });

  it("is not stuck where the task that was next is taken, and another is next", async () => {
    const lease = await openIdle({ capacity: 2 });
    for (let task = 0; task < 5; task++) await wait();
    const moving = await look("waiting", async () => {
      await claim(lease);
      await claim(randomUUID()); // By another that has come: the slot is free still.
    });
    assert.deepEqual([moving.status, moving.looks], ["ok", 2]);
  });

  it("is not stuck where the slot that was free is taken", async () => {
    const lease = await openIdle({ capacity: 1 });
    await wait();
    const moving = await look("waiting", () => createRunning(db(), { namespace, kind: "idle", lease }));
    assert.deepEqual([moving.status, moving.looks], ["ok", 2]);
  });

  it("is stuck where it is next again, with a slot free", async () => {
    await openIdle({ capacity: 1 });
    const { taskId } = await wait();
    const { status, found, looks } = await look("waiting", wait);
    assert.deepEqual([status, looks], ["warn", 2]);
    assert.match(found, new RegExp(`^1 task of idle .*: ${taskId}$`));
  });

  it("is lost where its session is gone at both looks, and not where it was swept in between", async () => {
    const { taskId } = await createRunning(db(), { namespace });
    const left = await look("sweeper", () => createRunning(db(), { namespace }));
    assert.deepEqual([left.status, left.looks], ["warn", 2]);
    assert.match(left.found, /1 task whose session is gone$/);
    await sql`delete from tasks where namespace = ${namespace} and task_id <> ${taskId}`.execute(db());
    const swept = await look("sweeper", () => sql`delete from tasks where task_id = ${taskId}`.execute(db()));
    assert.deepEqual([swept.status, swept.looks], ["ok", 2]);
  });

  it("is looked at once where nothing stands still", async () => {
    await openIdle({ capacity: 1 });
    assert.deepEqual([(await look("waiting", wait)).looks, (await look("sweeper", wait)).looks], [1, 1]);
  });
});
