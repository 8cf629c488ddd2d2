import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import type { CheckName, Finding } from "../../src/doctor/check.ts";
import { TASK_SCANS } from "../../src/doctor/scans.ts";
import { DoctorContext } from "../../src/doctor/doctor-context.ts";
import { claimTasks } from "../../src/store/tasks/claim-statement.ts";
import { openSession, renewSession } from "../../src/store/session-queries.ts";
import { FOREVER } from "../support/engines.ts";
import { newSession } from "../support/new-sessions.ts";
import { createEnded, createRunning, createTask } from "../support/new-tasks.ts";
import { describeHeavyOnEachStore } from "../support/stores.ts";

describeHeavyOnEachStore("a scan that the doctor repeats", (store) => {
  let namespace: string;
  beforeEach(() => {
    namespace = randomUUID();
  });

  const db = () => store().db;

  /** Runs a scan, and calls `between` while it waits for its repetition. */
  async function scan(name: CheckName, between: () => Promise<unknown>): Promise<Finding & { scans: number }> {
    let scans = 1;
    class InterruptedContext extends DoctorContext {
      override async pause(): Promise<void> {
        scans++;
        await between();
      }
    }
    const settings = { namespace, leaseMs: 10_000, cancelGraceMs: 5_000, notify: true, ...FOREVER };
    const { signal } = new AbortController();
    const context = new InterruptedContext({ settings, db: db(), url: store().url, signal });
    return { ...(await TASK_SCANS.find((candidate) => candidate.name === name)!.scan(context)), scans };
  }

  async function openIdle({ capacity }: { capacity: number }): Promise<string> {
    const kinds = [{ name: "idle", retry: {}, isExclusive: false }];
    const session = newSession({ namespace, host: namespace, kinds, capacity });
    await openSession(db(), session);
    return session.sessionId;
  }

  it("warns of a removal that is overdue by a tenth of its retention and an hour, by settings and by task", async () => {
    const HOUR_MS = 3_600_000;
    const retention = { retention: 20 * HOUR_MS, retentionByKind: new Map([["audit", null]]) };
    const check = async () => {
      const settings = { namespace, leaseMs: 10_000, cancelGraceMs: 5_000, notify: true, ...retention };
      const context = new DoctorContext({ settings, db: db(), url: store().url, signal: new AbortController().signal });
      return TASK_SCANS.find(({ name }) => name === "retention")!.scan(context);
    };
    await createEnded(db(), { namespace, kind: "audit", agoMs: 1_000 * HOUR_MS });
    await createEnded(db(), { namespace, agoMs: 21.9 * HOUR_MS });
    await createEnded(db(), { namespace, agoMs: 1.9 * HOUR_MS, retentionMs: HOUR_MS });
    await createEnded(db(), { namespace, agoMs: 50 * HOUR_MS, retentionMs: 60 * HOUR_MS });
    assert.equal((await check()).status, "ok");
    await createEnded(db(), { namespace, agoMs: 22.1 * HOUR_MS });
    const bySettings = await check();
    assert.deepEqual(
      [bySettings.status, bySettings.found],
      ["warn", "an ended task is kept for 2.1 h longer than its retention of 20 h"],
    );
    await createEnded(db(), { namespace, agoMs: 7.5 * HOUR_MS, retentionMs: HOUR_MS });
    assert.equal((await check()).found, "an ended task is kept for 6.5 h longer than its retention of 1 h");
  });

  const wait = () => createTask(db(), { namespace, kind: "idle" });
  const claim = (lease: string) => claimTasks(db(), { namespace, kinds: ["idle"], lease, limit: 1 });

  it("fails for a RUNNING task without running code for as long as its owner reports the task", async () => {
    const lease = await openIdle({ capacity: 1 });
    const { taskId } = await createRunning(db(), { namespace, kind: "idle", lease });
    const nothing = () => Promise.resolve();
    const renewal = { sessionId: lease, connection: 1, leaseMs: 60_000 };
    const reason = "the database answers SQLSTATE 53100";
    await renewSession(db(), { ...renewal, stalled: [{ taskId, attempt: 1, forMs: 20_000, reason }] });
    const stalled = await scan("running", nothing);
    assert.match(stalled.found, new RegExp(`^1 task RUNNING .*${taskId} at .* for 20 s, .*53100$`));
    assert.equal(stalled.status, "fail");
    await renewSession(db(), renewal);
    assert.equal((await scan("running", nothing)).status, "ok");
  });

  it("warns of a server that owns more than two tasks per slot in both scans", async () => {
    const lease = await openIdle({ capacity: 1 });
    const own = () => createRunning(db(), { namespace, kind: "idle", lease });
    const { taskId } = await own();
    await own();
    const ending = await scan("running", () => Promise.resolve());
    assert.deepEqual([ending.status, ending.scans], ["ok", 1], "one task may be ending");
    await own();
    const overloaded = await scan("running", () => Promise.resolve());
    assert.deepEqual([overloaded.status, overloaded.scans], ["warn", 2]);
    assert.match(overloaded.found, /3 with 1 slot$/);
    const ended = await scan("running", () => db().deleteFrom("tasks").where("task_id", "=", taskId).execute());
    assert.deepEqual([ended.status, ended.scans], ["ok", 2]);
  });

  it("does not report the next task as stuck if the task is claimed before the second scan", async () => {
    const lease = await openIdle({ capacity: 2 });
    for (let task = 0; task < 5; task++) await wait();
    const moving = await scan("waiting", async () => {
      await claim(lease);
      await claim(randomUUID()); // By a new session: the slot stays free.
    });
    assert.deepEqual([moving.status, moving.scans], ["ok", 2]);
  });

  it("does not report the next task as stuck if the slot is taken before the second scan", async () => {
    const lease = await openIdle({ capacity: 1 });
    await wait();
    const moving = await scan("waiting", () => createRunning(db(), { namespace, kind: "idle", lease }));
    assert.deepEqual([moving.status, moving.scans], ["ok", 2]);
  });

  it("reports a task as stuck if both scans find the task next in line with a free slot", async () => {
    await openIdle({ capacity: 1 });
    const { taskId } = await wait();
    const { status, found, scans } = await scan("waiting", wait);
    assert.deepEqual([status, scans], ["warn", 2]);
    assert.match(found, new RegExp(`^1 task of idle .*: ${taskId}$`));
  });

  it("reports a task of a removed session unless the task is swept before the second scan", async () => {
    const { taskId } = await createRunning(db(), { namespace });
    const left = await scan("sweeper", () => createRunning(db(), { namespace }));
    assert.deepEqual([left.status, left.scans], ["warn", 2]);
    assert.match(left.found, /1 task whose session is gone$/);
    await sql`delete from tasks where namespace = ${namespace} and task_id <> ${taskId}`.execute(db());
    const swept = await scan("sweeper", () => sql`delete from tasks where task_id = ${taskId}`.execute(db()));
    assert.deepEqual([swept.status, swept.scans], ["ok", 2]);
  });

  it("runs once if nothing is suspicious", async () => {
    await openIdle({ capacity: 1 });
    assert.deepEqual([(await scan("waiting", wait)).scans, (await scan("sweeper", wait)).scans], [1, 1]);
  });
});
