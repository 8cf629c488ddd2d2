import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import { sql } from "kysely";
import { openDatabase } from "../../src/store/database.ts";
import type { Store } from "../../src/store/database.ts";
import { migrate } from "../../src/store/migrate.ts";
import { lockTask } from "../../src/store/tasks/transitions.ts";
import {
  kindOf,
  outcomeOf,
  start,
  startRunning,
  untilEvent,
  untilStopped,
  wholeTape,
} from "../support/engine-tasks.ts";
import { startEngine } from "../support/engines.ts";
import { inHeldTransaction } from "../support/held-transaction.ts";
import { createRunning, outline, storedTape } from "../support/new-tasks.ts";
import { createDatabase } from "../support/postgres.ts";
import type { TestDatabase } from "../support/postgres.ts";

/** Runs on Postgres only: several processes cannot share PGlite. */
describe("engines that share a database", () => {
  let database: TestDatabase;
  let store: Store;
  let namespace: string;
  before(async () => {
    database = await createDatabase();
    store = await openDatabase({ url: database.url });
    await migrate(store.db);
  });
  after(async () => {
    await store?.close();
    await database?.[Symbol.asyncDispose]();
  });
  beforeEach(() => {
    namespace = randomUUID();
  });

  /** Starts a process with a running task, and kills it. */
  async function startAndKill(maxAttempts: number): Promise<string> {
    const script = join(import.meta.dirname, "../support/dying-engine.ts");
    const child = spawn(process.execPath, [script, database.url, namespace, String(maxAttempts)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exit = once(child, "exit");
    try {
      for await (const line of createInterface({ input: child.stdout })) return line;
      throw new Error("the process ended without a task");
    } finally {
      child.kill("SIGKILL");
      await exit;
    }
  }

  it("end the tasks of a killed engine", async () => {
    const taskId = await startAndKill(1);
    await using engine = await startEngine(store, { namespace, leaseMs: 1_000 });
    const { status, error, tape } = await outcomeOf(engine, taskId);
    assert.deepEqual([status, error?.reason], ["failed", "WORKER_LOST"]);
    assert.deepEqual(outline(tape), ["started", "log", "final"]);
    const sessions = await store.db
      .selectFrom("sessions")
      .select("session_id")
      .where("namespace", "=", namespace)
      .execute();
    assert.ok(sessions.length <= 2);
  });

  it("retry the tasks of a killed engine if attempts are left", async () => {
    const taskId = await startAndKill(2);
    const wait = kindOf("wait", (task) => Promise.resolve({ attempt: task.attempt }));
    await using engine = await startEngine(store, { namespace, leaseMs: 1_000, kinds: [wait] });
    const { status, result, tape } = await outcomeOf(engine, taskId);
    assert.deepEqual([status, result], ["succeeded", { attempt: 2 }]);
    assert.deepEqual(outline(tape), ["started", "log", "retrying", "started", "final"]);
  });

  it("end all tasks of a dead engine, even if another transaction locks one of the rows", async () => {
    const lease = randomUUID();
    const fences = await Promise.all(
      Array.from({ length: 250 }, () => createRunning(store.db, { namespace, kind: "wait", lease })),
    );
    const [held, ...others] = fences.map(({ taskId }) => taskId);
    await inHeldTransaction(store.db, async (trx) => {
      await lockTask(trx, { namespace, taskId: held! });
      await using one = await startEngine(store, { namespace, leaseMs: 1_000 });
      await using two = await startEngine(store, { namespace, leaseMs: 1_000 });
      for (const [index, taskId] of others.entries()) {
        const { error, tape } = await outcomeOf(index % 2 === 0 ? one : two, taskId);
        assert.deepEqual([error?.reason, outline(tape)], ["WORKER_LOST", ["started", "final"]]);
      }
      assert.equal((await one.getTask(held!)).status, "running");
    });
    await using engine = await startEngine(store, { namespace, leaseMs: 1_000 });
    assert.equal((await outcomeOf(engine, held!)).error?.reason, "WORKER_LOST");
  });

  it("run tasks of a claim whose answer was lost", async () => {
    const wait = kindOf("wait", (task) => Promise.resolve({ attempt: task.attempt }));
    await using engine = await startEngine(store, { namespace, kinds: [wait] });
    const { session_id: lease } = await store.db
      .selectFrom("sessions")
      .select("session_id")
      .where("namespace", "=", namespace)
      .executeTakeFirstOrThrow();
    const { taskId } = await createRunning(store.db, { namespace, kind: "wait", lease });
    const { status, result, tape } = await outcomeOf(engine, taskId);
    assert.deepEqual([status, result, outline(tape)], ["succeeded", { attempt: 1 }, ["started", "final"]]);
  });

  it("stop the code of an engine whose session is gone, and refuse further events of the code", async () => {
    const told = Promise.withResolvers<string>();
    const release = Promise.withResolvers<void>();
    const refused = Promise.withResolvers<unknown>();
    const kind = kindOf("deaf", async (task) => {
      await untilStopped(task.signal).catch((reason: { because: string }) => told.resolve(reason.because));
      await release.promise;
      await task
        .log("INFO", "late")
        .then(() => task.flush())
        .then(() => refused.resolve("taken"), refused.resolve);
      return { late: true };
    });
    await using engine = await startEngine(store, { namespace, kinds: [kind], leaseMs: 1_000 });
    await using other = await startEngine(store, { namespace, leaseMs: 60_000 });
    const taskId = await startRunning(engine, { kind: "deaf" });
    await sql`delete from sessions
      where session_id = (select lease from tasks where task_id = ${taskId})`.execute(store.db);
    assert.equal(await told.promise, "lost");
    const { error, tape } = await outcomeOf(other, taskId);
    assert.equal(error?.reason, "WORKER_LOST");
    assert.deepEqual(outline(tape), ["started", "final"]);
    assert.deepEqual(await wholeTape(engine, taskId), tape);
    release.resolve();
    assert.equal(((await refused.promise) as { reason: string }).reason, "LEASE_LOST");
    assert.deepEqual(await storedTape(store.db, { namespace, taskId }), tape);
  });

  it("continue under a new session after their session was removed", async () => {
    const wait = kindOf("wait", ({ signal }) => untilStopped(signal));
    await using engine = await startEngine(store, { namespace, kinds: [wait], leaseMs: 1_000 });
    const taskId = await startRunning(engine, { kind: "wait" });
    await sql`delete from sessions`.execute(store.db);
    assert.equal((await outcomeOf(engine, taskId)).error?.reason, "WORKER_LOST");
    assert.equal((await outcomeOf(engine, await start(engine))).status, "succeeded");
  });

  it("stop code whose task is cancelled at another engine", async () => {
    const kind = kindOf("polite", async (task) => {
      await untilStopped(task.signal).catch(() => task.log("INFO", (task.signal.reason as Error).message));
      task.signal.throwIfAborted();
    });
    await using engine = await startEngine(store, { namespace, kinds: [kind], leaseMs: 60_000 });
    await using other = await startEngine(store, { namespace, leaseMs: 60_000 });
    const taskId = await startRunning(engine, { kind: "polite" });
    assert.equal((await other.cancelTask(taskId, { reason: "elsewhere", by: null })).outcome, "requested");
    const { status, tape } = await outcomeOf(other, taskId);
    assert.equal(status, "cancelled");
    assert.deepEqual(outline(tape), ["started", "cancel_requested", "log", "final"]);
  });

  it("stop code whose task another process took, even if the code emits nothing", async () => {
    const told = Promise.withResolvers<void>();
    const kind = kindOf("quiet", ({ signal }) => untilStopped(signal).finally(() => told.resolve()));
    await using engine = await startEngine(store, { namespace, kinds: [kind], slots: 1, leaseMs: 60_000 });
    const taskId = await startRunning(engine, { kind: "quiet" });
    const followed = wholeTape(engine, taskId);
    // Another process would do the same if it considered this process dead.
    await store.db.transaction().execute(async (trx) => {
      const final = JSON.stringify({ status: "failed", error: { reason: "WORKER_LOST", message: "taken" } });
      await sql`update tasks set status = 'failed', finished_at = now(), lease = null, last_seq = 2
        where task_id = ${taskId}`.execute(trx);
      await sql`insert into task_events values (${taskId}, 2, now(), 'final', ${final}::json)`.execute(trx);
    });
    await told.promise;
    assert.deepEqual(outline(await followed), ["started", "final"]);
    assert.equal((await outcomeOf(engine, await start(engine))).status, "succeeded");
  });

  it("run each task once, and never two tasks of one key at once", async () => {
    const running = new Map<string, number>();
    const overlaps: string[] = [];
    const kind = kindOf(
      "alone",
      async (task) => {
        const key = task.params.key as string;
        running.set(key, (running.get(key) ?? 0) + 1);
        if (running.get(key)! > 1) overlaps.push(key);
        await task.log("INFO", "in");
        await task.flush();
        running.set(key, running.get(key)! - 1);
      },
      { exclusiveKey: (params) => params.key as string },
    );
    const settings = { namespace, kinds: [kind], slots: 4 };
    await using one = await startEngine(store, settings);
    await using two = await startEngine(store, settings);
    const engines = [one, two];
    const keys = Array.from({ length: 40 }, (_, index) => `key-${index % 16}`);
    const exclusive = keys.map((key, index) => start(engines[index % 2]!, { kind: "alone", params: { key } }));
    const plain = keys.map((_, index) => start(engines[index % 2]!, { params: { count: 2 } }));
    for (const taskId of await Promise.all(plain)) {
      assert.deepEqual(outline(await wholeTape(one, taskId)), ["started", "progress", "progress", "partial", "final"]);
    }
    for (const taskId of await Promise.all(exclusive)) {
      assert.deepEqual(outline(await wholeTape(two, taskId)), ["started", "log", "final"]);
    }
    assert.deepEqual(overlaps, []);
  });

  it("run tasks that are started at a draining engine, which runs no new tasks", async () => {
    const gate = Promise.withResolvers<void>();
    const gated = kindOf("gated", () => gate.promise.then(() => ({})));
    const where = (name: string) => kindOf("where", () => Promise.resolve({ name }));
    await using other = await startEngine(store, { namespace, kinds: [where("other")] });
    const engine = await startEngine(store, { namespace, kinds: [gated, where("engine")] });
    const running = await startRunning(engine, { kind: "gated" });
    const stopped = engine.stop({ drainMs: 60_000, halt: new AbortController().signal });
    const taskIds = await Promise.all([1, 2, 3].map(() => start(engine, { kind: "where" })));
    for (const taskId of taskIds) assert.deepEqual((await outcomeOf(other, taskId)).result, { name: "other" });
    gate.resolve();
    await stopped;
    assert.equal((await outcomeOf(other, running)).status, "succeeded");
    await assert.rejects(start(engine, { kind: "where" }), { reason: "DRAINING" });
  });

  it("serve each other's tapes", async () => {
    const gate = Promise.withResolvers<void>();
    const kind = kindOf("gated", async (task) => {
      await task.log("INFO", "one");
      await gate.promise;
      await task.log("INFO", "two");
    });
    await using engine = await startEngine(store, { namespace, kinds: [kind] });
    await using other = await startEngine(store, { namespace });
    const taskId = await startRunning(engine, { kind: "gated" });
    const there = wholeTape(other, taskId);
    await untilEvent(other, taskId, "log");
    gate.resolve();
    assert.deepEqual(await there, await wholeTape(engine, taskId));
  });
});
