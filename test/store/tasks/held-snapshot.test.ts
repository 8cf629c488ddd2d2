import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import type { ControlledTransaction, Transaction } from "kysely";
import type { Database } from "../../../src/store/schema.ts";
import { openSession } from "../../../src/store/session-queries.ts";
import { writeFlush } from "../../../src/store/tapes/journal-statement.ts";
import { claimTasks } from "../../../src/store/tasks/claim-statement.ts";
import { findOwnedAmong, findOwnedTasks } from "../../../src/store/tasks/owned-tasks.ts";
import { lockOverdueTasks } from "../../../src/store/tasks/sweep-queries.ts";
import { allowIdle } from "../../support/held-transaction.ts";
import { readEntries } from "../../support/index-entries.ts";
import { newSession } from "../../support/new-sessions.ts";
import { createRunning, createTask, newTask, startedOf, steps, SUCCEEDED } from "../../support/new-tasks.ts";
import { openPostgres } from "../../support/stores.ts";
import type { TestStore } from "../../support/stores.ts";

const ENDED = 12_000;
const AT_ONCE = 1_000;
/** A statement that reads the entries of all ended tasks reads at least as many entries as there are ended tasks. */
const ENTRIES_MAX = ENDED / 10;
const TIMEOUT_MS = 60_000;

/** Only a server has a second connection. */
describe("on Postgres, while a transaction holds an old snapshot and many tasks have ended since", () => {
  const namespace = randomUUID();
  const lease = randomUUID();
  let store: TestStore;
  let holder: ControlledTransaction<Database> | undefined;
  before(async function () {
    this.timeout(TIMEOUT_MS);
    store = await openPostgres();
    const { db } = store;
    await openSession(db, newSession({ sessionId: lease, namespace }));
    holder = await db.startTransaction().setIsolationLevel("repeatable read").execute();
    await allowIdle(holder);
    await sql`select from tasks`.execute(holder);
    // Each task waits, is claimed, runs and ends: so it leaves entries of all these states.
    for (let ended = 0; ended < ENDED; ended += AT_ONCE) {
      const creates = Array.from({ length: AT_ONCE }, () => ({ task: newTask({ namespace }), events: [] }));
      await writeFlush(db, { creates, appends: [] });
      const { tasks } = await claim(AT_ONCE);
      const appends = tasks.map(({ taskId, attempt }) => ({
        fence: { taskId, lease, attempt },
        appended: 0n,
        events: [SUCCEEDED],
        end: "succeeded" as const,
      }));
      assert.equal((await writeFlush(db, { creates: [], appends })).applied.length, AT_ONCE);
    }
    // Retention has removed most of them. With few waiting tasks left, every index by namespace and status looks as good
    // as the indexes for claims.
    await sql`delete from tasks where ctid = any(array(select ctid from tasks limit ${0.7 * ENDED}))`.execute(db);
    for (let waiting = 0; waiting < 10; waiting++) await createTask(db, { namespace });
    await sql`vacuum (analyze) tasks, sessions`.execute(db);
    await claim(10);
  });
  after(async () => {
    await holder?.rollback().execute();
    await store?.[Symbol.asyncDispose]();
  });

  const claim = (limit: number, dueFrom: ReadonlyMap<string, Date> | null = null) =>
    claimTasks(store.db, { namespace, kinds: ["echo"], lease, limit, dueFrom });

  const entriesOf = (statement: (trx: Transaction<Database>) => Promise<unknown>) => readEntries(store.db, statement);

  it("a scan of all running tasks of a session reads the entries of the ended tasks", async () => {
    assert.ok((await entriesOf((trx) => findOwnedTasks(trx, lease))) >= ENDED);
  });

  it("a claim of tasks that are due from the last claim on does not read the entries of the ended tasks", async () => {
    const { dueFrom } = await claim(1);
    const { taskId } = await createTask(store.db, { namespace });
    const whole = await entriesOf((trx) => claimTasks(trx, { namespace, kinds: ["echo"], lease, limit: 0 }));
    assert.ok(whole > ENDED, `${whole} entries`);
    let claimed: string[] = [];
    const entries = await entriesOf(async (trx) => {
      const { tasks } = await claimTasks(trx, { namespace, kinds: ["echo"], lease, limit: 1, dueFrom: later(dueFrom) });
      claimed = tasks.map((task) => task.taskId);
    });
    assert.deepEqual(claimed, [taskId]);
    assert.ok(entries < ENTRIES_MAX, `${entries} entries`);
  });

  /** Claims read the last second again, in which all of these tasks may have become due. */
  function later(dueFrom: ReadonlyMap<string, Date>): ReadonlyMap<string, Date> {
    return new Map([...dueFrom].map(([kind, due]) => [kind, new Date(due.getTime() + 1_000)]));
  }

  it("a sweep of lost tasks does not read the entries of tasks of live sessions", async () => {
    const lost = await createRunning(store.db, { namespace });
    let found: string[] = [];
    const entries = await entriesOf(async (trx) => {
      const { tasks } = await lockOverdueTasks(trx, { namespace, reason: "lost", graceMs: 0, limit: 100 });
      found = tasks.map(({ taskId }) => taskId);
    });
    assert.deepEqual(found, [lost.taskId]);
    assert.ok(entries < ENTRIES_MAX, `${entries} entries`);
  });

  for (const reason of ["cancel", "deadline", "expired"] as const) {
    it(`a sweep of overdue tasks (${reason}) does not read the entries of the ended tasks`, async () => {
      const entries = await entriesOf((trx) => lockOverdueTasks(trx, { namespace, reason, graceMs: 0, limit: 100 }));
      assert.ok(entries < ENTRIES_MAX, `${entries} entries`);
    });
  }

  it("an append does not read the entries of the ended tasks", async () => {
    const fence = await createRunning(store.db, { namespace, lease });
    const append = { fence, appended: 0n, events: steps(1), end: null };
    let applied: string[] = [];
    const entries = await entriesOf(async (trx) => {
      applied = (await writeFlush(trx, { creates: [], appends: [append] })).applied.map(({ taskId }) => taskId);
    });
    assert.deepEqual(applied, [fence.taskId]);
    assert.ok(entries < ENTRIES_MAX, `${entries} entries`);
  });

  it("a read of known tasks of a session does not read the entries of the ended tasks", async () => {
    const { taskId } = await createRunning(store.db, { namespace, lease });
    const elsewhere = await createRunning(store.db, { namespace });
    const waiting = newTask({ namespace });
    await writeFlush(store.db, { creates: [{ task: waiting, events: startedOf(waiting) }], appends: [] });
    let found: string[] = [];
    const entries = await entriesOf(async (trx) => {
      const taskIds = [taskId, elsewhere.taskId, waiting.taskId, randomUUID()];
      found = (await findOwnedAmong(trx, { lease, taskIds })).map((owned) => owned.taskId);
    });
    assert.deepEqual(found, [taskId]);
    assert.ok(entries < ENTRIES_MAX, `${entries} entries`);
  });
});
