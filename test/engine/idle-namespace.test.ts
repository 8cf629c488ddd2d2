import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import type { KyselyPlugin } from "kysely";
import { Engine } from "../../src/engine/engine.ts";
import { openSharedParts } from "../../src/engine/namespaces/shared-parts.ts";
import { echo } from "../../src/kinds/echo.ts";
import { listSessions, openSession } from "../../src/store/session-queries.ts";
import { LOG, TEST_SETTINGS } from "../support/engines.ts";
import { eventually } from "../support/eventually.ts";
import { createEnded, createRunning, createTask } from "../support/new-tasks.ts";
import { describeHeavyOnEachOwnStore } from "../support/stores.ts";

const STOP_MS = 10_000;

/** Calls the listener with the name of each statement that has one. */
function observing(onSent: (name: string) => void): KyselyPlugin {
  return {
    transformQuery({ node }) {
      const name = node.kind === "RawNode" ? /^\/\* (\w+) \*\//.exec(node.sqlFragments[0] ?? "")?.[1] : undefined;
      if (name !== undefined) onSent(name);
      return node;
    },
    transformResult: ({ result }) => Promise.resolve(result),
  };
}

/** What another process has stored, which has died before it could announce it. */
describeHeavyOnEachOwnStore("an engine of an idle namespace", (store) => {
  const db = () => store().db;
  let namespace: string;
  let engine: Engine;
  let stop: () => Promise<void>;
  /** The statements of the engine. */
  let sent: string[];

  beforeEach(async () => {
    namespace = randomUUID();
    const settings = { ...TEST_SETTINGS, namespace, notify: false };
    sent = [];
    const { priorityDb } = store();
    const observed = { ...store(), priorityDb: priorityDb.withPlugin(observing((text) => sent.push(text))) };
    const shared = openSharedParts({ store: observed, settings, log: LOG });
    engine = new Engine({ store: observed, kinds: [echo], settings, log: LOG, shared });
    await engine.start();
    // One statement checks both watches, so the engine knows what this watch knows.
    const watch = shared.idle.watch(namespace, () => {});
    stop = async () => {
      await shared.idle.leave(watch);
      await engine.stop({ drainMs: 0, halt: AbortSignal.timeout(STOP_MS) });
      await shared.upkeep.stop();
    };
    await eventually(() => assert.equal(watch.mayHave("tasks"), false));
  });
  afterEach(() => stop());

  const statusOf = async (taskId: string) => (await engine.getTask(taskId)).status;

  it("sends only the check while it is idle, and polls while a task runs", async () => {
    const polls = ["spool_claim", "spool_unblock", "spool_lock_lost", "spool_expire_markers"];
    const afterChecks = async (count: number) => {
      sent = [];
      await eventually(() => assert.ok(sent.filter((name) => name === "spool_read_work").length >= count));
      return polls.filter((name) => sent.includes(name));
    };
    // A poll that had begun before the first check may still send statements.
    await eventually(async () => assert.deepEqual(await afterChecks(3), []));
    await createTask(db(), { namespace, runAt: new Date(Date.now() + 60_000) });
    for (const poll of ["spool_claim", "spool_unblock", "spool_lock_lost"]) {
      await eventually(() => assert.ok(sent.includes(poll)), { describe: `${poll} is sent` });
    }
  });

  it("runs a task that waits", async () => {
    const { taskId } = await createTask(db(), { namespace, kind: "echo" });
    await eventually(async () => assert.equal(await statusOf(taskId), "succeeded"));
  });

  it("validates and runs a task that was stored without its kind", async () => {
    const { taskId } = await createTask(db(), { namespace, kind: "echo", isUnvalidated: true });
    await eventually(async () => assert.equal(await statusOf(taskId), "succeeded"));
  });

  it("ends a waiting task at its deadline", async () => {
    const { taskId } = await createTask(db(), { namespace, kind: "of-no-server" });
    await sql`update tasks set deadline_at = now() - interval '1 s' where task_id = ${taskId}::uuid`.execute(db());
    await eventually(async () => assert.equal(await statusOf(taskId), "failed"));
  });

  it("ends a task whose process has died", async () => {
    const { taskId } = await createRunning(db(), { namespace, kind: "echo" });
    await eventually(async () => assert.notEqual(await statusOf(taskId), "running"));
  });

  it("runs or releases a task of its session that it has never received", async () => {
    const [own] = (await listSessions(db(), { namespace, limit: 2 })).sessions;
    const { taskId } = await createRunning(db(), { namespace, kind: "echo", lease: own!.sessionId });
    await eventually(async () => assert.equal(await statusOf(taskId), "succeeded"));
  });

  it("removes sessions that have expired", async () => {
    const sessionId = randomUUID();
    const session = { namespace: randomUUID(), host: "here", pid: 1, kinds: [], capacity: 1, tokenDigest: null };
    await openSession(db(), { ...session, sessionId, leaseMs: 1 });
    await eventually(async () => {
      assert.deepEqual((await db().selectFrom("sessions").where("session_id", "=", sessionId).execute()).length, 0);
    });
  });

  it("removes a task after a retention of its own", async () => {
    const taskId = await createEnded(db(), { namespace, agoMs: 2_000, retentionMs: 1_000 });
    await eventually(() => assert.rejects(statusOf(taskId), { reason: "TASK_EXPIRED" }));
  });

  it("deletes the events of a removed task", async () => {
    const taskId = randomUUID();
    await sql`insert into task_events (task_id, seq, time, type, body)
      values (${taskId}::uuid, 1, now(), 'log', '{}')`.execute(db());
    await sql`insert into removed_tasks (task_id, namespace, events_left, removed_at)
      values (${taskId}::uuid, ${namespace}, true, now())`.execute(db());
    await eventually(async () => {
      const left = db().selectFrom("task_events").select("seq").where("task_id", "=", taskId);
      assert.deepEqual(await left.execute(), []);
    });
  });
});
