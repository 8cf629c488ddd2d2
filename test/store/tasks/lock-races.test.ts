import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import type { Transaction } from "kysely";
import { stopAttempt } from "../../../src/domain/lifecycle.ts";
import { claimTasks } from "../../../src/store/tasks/claim-statement.ts";
import type { Database } from "../../../src/store/schema.ts";
import { openSession } from "../../../src/store/session-queries.ts";
import { lockOverdueTasks } from "../../../src/store/tasks/sweep-queries.ts";
import { readTask } from "../../../src/store/tasks/task-queries.ts";
import { lockTask } from "../../../src/store/tasks/transitions.ts";
import { inHeldTransaction } from "../../support/held-transaction.ts";
import { newSession } from "../../support/new-sessions.ts";
import { eventually } from "../../support/eventually.ts";
import { createRunning, createTask } from "../../support/new-tasks.ts";
import { openPostgres } from "../../support/stores.ts";
import type { TestStore } from "../../support/stores.ts";
import { decideOn } from "../decisions.ts";

/** Only a server has connections that can stand in each other's way. */
describe("on Postgres, rows that another transaction has locked", () => {
  let namespace: string;
  let store: TestStore;
  before(async () => {
    store = await openPostgres();
  });
  beforeEach(() => {
    namespace = randomUUID();
  });
  after(() => store?.[Symbol.asyncDispose]());

  const transact = <Result>(work: (trx: Transaction<Database>) => Promise<Result>) => inHeldTransaction(store.db, work);
  const running = (options = {}) => createRunning(store.db, { namespace, ...options });
  const lockLost = (trx: Transaction<Database>, limit: number) =>
    lockOverdueTasks(trx, { namespace, reason: "lost", graceMs: 0, limit });
  const findLost = async (trx: Transaction<Database>, limit: number) => ids((await lockLost(trx, limit)).tasks);
  const claim = async (limit: number, keys: string[] = []) =>
    ids((await claimTasks(store.db, { namespace, kinds: ["echo"], lease: randomUUID(), limit, keys })).tasks);
  const ids = (tasks: { taskId: string }[]) => tasks.map(({ taskId }) => taskId);

  it("are skipped by a sweep, which takes other rows without waiting", async () => {
    const [held, free] = [await running(), await running()];
    await transact(async (trx) => {
      await lockTask(trx, { namespace, taskId: held.taskId });
      assert.deepEqual(await transact((other) => findLost(other, 9)), [free.taskId]);
    });
    assert.deepEqual((await transact((trx) => findLost(trx, 9))).sort(), ids([held, free]).sort());
  });

  it("are divided among concurrent sweeps: each task is taken by one of them", async () => {
    const tasks = await Promise.all(Array.from({ length: 10 }, () => running()));
    const swept = await transact(async (one) => {
      const first = await findLost(one, 4);
      const rest = await transact(async (two) => {
        const second = await findLost(two, 4);
        const [third, none] = await transact(async (three) => {
          const left = await findLost(three, 4);
          return [left, await transact((four) => findLost(four, 4))] as const;
        });
        return [second, third, none];
      });
      return [first, ...rest];
    });
    assert.deepEqual(
      swept.map(({ length }) => length),
      [4, 4, 2, 0],
    );
    assert.deepEqual(swept.flat().sort(), ids(tasks).sort());
  });

  it("give an exclusive key to only one of two concurrent claims for different tasks", async () => {
    const key = { namespace, exclusiveKey: "key" };
    const [mine, other] = [await createTask(store.db, { ...key, kind: "other" }), await createTask(store.db, key)];
    let second: Promise<string[]> | undefined;
    await transact(async (trx) => {
      const query = { namespace, kinds: ["other"], lease: randomUUID(), limit: 1 };
      assert.deepEqual(ids((await claimTasks(trx, query)).tasks), [mine.taskId]);
      second = claim(1); // Does not see the key, which is not committed, and waits for it.
      await eventually(async () => {
        const { rows } = await sql`select from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock' and query like '%spool_claim%'`.execute(
          store.db,
        );
        assert.equal(rows.length, 1);
      });
    });
    assert.deepEqual(await second, []);
    assert.equal((await readTask(store.db, { namespace, taskId: other.taskId })).status, "pending");
  });

  it("are ended once each by any number of sweeps", async () => {
    const tasks = await Promise.all(Array.from({ length: 40 }, () => running()));
    const sweep = () =>
      transact(async (trx) =>
        decideOn(trx, await lockLost(trx, 7), (task, moment) => stopAttempt(task, "lost", moment)),
      );
    const ended: { taskId: string }[] = [];
    while (ended.length < tasks.length) {
      const swept = (await Promise.all(Array.from({ length: 5 }, sweep))).flat();
      assert.ok(swept.length > 0);
      ended.push(...swept);
    }
    assert.deepEqual(ids(ended).sort(), ids(tasks).sort());
    for (const { taskId } of tasks) {
      const task = await readTask(store.db, { namespace, taskId });
      assert.deepEqual([task.status, task.lastSeq], ["failed", 2n]);
    }
  });

  it("are not lost for a sweep that read them before another session claimed them", async () => {
    const [fence, lease] = [await running({ maxAttempts: 2 }), randomUUID()];
    await openSession(store.db, newSession({ namespace, sessionId: lease }));
    await using gate = await closeGate(store);
    const late = transact(async (trx) => {
      await gate.stopAt(trx);
      return findLost(trx, 9);
    });
    late.catch(() => {});
    await gate.untilStopped();
    // Meanwhile another sweep has sent it back, and it runs with a session that is alive.
    await store.db.updateTable("tasks").set({ lease, attempt: 2 }).where("task_id", "=", fence.taskId).execute();
    await gate.open();
    assert.deepEqual(await late, []);
  });

  it("keep their turn: a claim takes no younger task of the key, but tasks without a key", async () => {
    const exclusiveKey = randomUUID();
    const older = await createTask(store.db, { namespace, exclusiveKey });
    const younger = await createTask(store.db, { namespace, exclusiveKey });
    const free = await createTask(store.db, { namespace });
    await transact(async (trx) => {
      await lockTask(trx, { namespace, taskId: older.taskId });
      assert.deepEqual(await claim(9), [free.taskId]);
    });
    assert.deepEqual(await claim(9), [older.taskId]);
    await store.db.deleteFrom("task_exclusives").where("exclusive_key", "=", exclusiveKey).execute();
    assert.deepEqual(await claim(9, [exclusiveKey]), [younger.taskId]);
  });
});

const GATE = 4_711;

/** Stops a transaction's statement on its way, when it has its snapshot and has come to the sessions. */
async function closeGate({ db }: TestStore) {
  await sql`create schema gate`.execute(db);
  await sql`create function gate.pass() returns boolean stable language plpgsql as
    ${sql.lit(`begin perform pg_advisory_xact_lock_shared(${GATE}); return true; end`)}`.execute(db);
  await sql`create view gate.sessions as select * from public.sessions where gate.pass()`.execute(db);
  const closed = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  const keeper = inHeldTransaction(db, async (trx) => {
    await sql`select pg_advisory_xact_lock(${GATE}::bigint)`.execute(trx);
    closed.resolve();
    await opened.promise;
  });
  keeper.catch(closed.reject);
  await closed.promise;
  const open = async () => {
    opened.resolve();
    await keeper;
  };
  return {
    open,
    async stopAt(trx: Transaction<Database>) {
      await sql`set local search_path = gate, public`.execute(trx);
    },
    untilStopped: () =>
      eventually(
        async () => {
          const { rows } = await sql`select from pg_stat_activity
            where datname = current_database() and wait_event = 'advisory'`.execute(db);
          assert.equal(rows.length, 1);
        },
        { describe: "the statement has come to the gate" },
      ),
    async [Symbol.asyncDispose]() {
      await open();
      await sql`drop schema gate cascade`.execute(db);
    },
  };
}
