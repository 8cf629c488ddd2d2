import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { unblockTasks } from "../../../src/store/tasks/blocked-tasks.ts";
import { claimTasks } from "../../../src/store/tasks/claim-statement.ts";
import { openDatabase } from "../../../src/store/database.ts";
import type { Store } from "../../../src/store/database.ts";
import { writeFlush } from "../../../src/store/tapes/journal-statement.ts";
import { migrate, MIGRATIONS } from "../../../src/store/migrate.ts";
import { applySteps } from "../../../src/store/schema-steps.ts";
import { kindOf, outcomeOf } from "../../support/engine-tasks.ts";
import { startEngine } from "../../support/engines.ts";
import { createTask, SUCCEEDED } from "../../support/new-tasks.ts";
import { createDatabase } from "../../support/postgres.ts";
import type { TestDatabase } from "../../support/postgres.ts";

/** The steps of the version before. */
const BEFORE = Object.fromEntries(Object.entries(MIGRATIONS).filter(([name]) => name <= "0006-activity"));
const TASKS = 40;

interface Taken {
  task_id: string;
  lease: string;
  attempt: number;
  exclusive_key: string | null;
}

/** Databases and servers that are there from before tasks were marked as blocked. */
describe("the migration to claims by kind", () => {
  let database: TestDatabase;
  let store: Store;
  let namespace: string;
  beforeEach(async () => {
    namespace = randomUUID();
    database = await createDatabase();
    store = await openDatabase({ url: database.url });
    await applySteps(store.db, BEFORE);
  });
  afterEach(async () => {
    await store?.close();
    await database?.[Symbol.asyncDispose]();
  });

  /** As a start of the version before stores tasks that wait: every other one with one of two keys. */
  async function addWaiting(): Promise<string[]> {
    const { rows } = await sql<{ task_id: string }>`
      insert into tasks (task_id, namespace, kind, status, params, params_digest, labels, created_at, max_attempts, exclusive_key)
      select ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, ${namespace}, 'noted', 'pending',
             json_build_object('number', n), '', '{}', now() - interval '1 hour' + n * interval '1 ms', 1,
             case when n % 2 = 0 then 'key-' || n % 4 end
      from generate_series(1, ${TASKS}::int) n
      returning task_id`.execute(store.db);
    return rows.map((row) => row.task_id);
  }

  /** As a server of the version before claims: without a mark, and with all that waits in its way. */
  async function claimAsBefore(limit: number): Promise<Taken[]> {
    const { rows } = await sql<Taken>`
with turn as materialized (
  select distinct on (o.exclusive_key) o.task_id
  from tasks o
  where o.namespace = ${namespace} and o.status = 'pending' and o.kind = 'noted'
    and o.exclusive_key is not null and o.unchecked is null
    and (o.run_at is null or o.run_at <= now()) and (o.deadline_at is null or o.deadline_at > now())
    and not exists (
      select from task_exclusives x where x.namespace = o.namespace and x.exclusive_key = o.exclusive_key
    )
  order by o.exclusive_key, o.task_id
),
candidate as materialized (
  select t.task_id, t.exclusive_key, now() as at
  from tasks t
  where t.namespace = ${namespace} and t.status = 'pending' and t.kind = 'noted' and t.unchecked is null
    and coalesce(t.run_at, t.created_at) <= now() and (t.deadline_at is null or t.deadline_at > now())
    and (t.exclusive_key is null or t.task_id in (select task_id from turn))
  order by coalesce(t.run_at, t.created_at), t.task_id
  limit ${limit}::int
  for update skip locked
),
held as (
  insert into task_exclusives (namespace, exclusive_key, task_id)
  select ${namespace}, exclusive_key, task_id from candidate where exclusive_key is not null
  on conflict do nothing
  returning task_id
),
claimed as (
  update tasks t
  set status = 'running', lease = ${randomUUID()}::uuid, attempt = t.attempt + 1, appended = 0, last_seq = t.last_seq + 1,
      started_at = case when t.started_at is null then c.at else t.started_at end
  from candidate c
  where t.task_id = c.task_id and t.status = 'pending'
    and (c.exclusive_key is null or c.task_id in (select task_id from held))
  returning t.task_id, t.lease, t.attempt, t.exclusive_key
),
recorded as (
  insert into task_events (task_id, seq, time, type, body)
  select t.task_id, t.last_seq + 1, now(), 'started', json_build_object('kind', t.kind, 'attempt', t.attempt + 1)
  from tasks t join claimed using (task_id)
)
select * from claimed`.execute(store.db);
    return rows;
  }

  const claimAsNow = async (limit: number): Promise<Taken[]> => {
    const query = { namespace, kinds: ["noted"], lease: randomUUID(), limit };
    const claimed = await claimTasks(store.db, query);
    return claimed.tasks.map((task) => ({
      task_id: task.taskId,
      lease: task.lease!,
      attempt: task.attempt,
      exclusive_key: task.exclusiveKey,
    }));
  };

  const end = async (taken: readonly Taken[]) => {
    const appends = taken.map(({ task_id: taskId, lease, attempt }) => ({
      fence: { taskId, lease, attempt },
      appended: 0n,
      events: [SUCCEEDED],
      end: "succeeded" as const,
    }));
    assert.equal((await writeFlush(store.db, { creates: [], appends })).applied.length, taken.length);
  };

  it("keeps the order of waiting tasks, with and without keys", async () => {
    const taskIds = await addWaiting();
    const [holder] = await claimAsBefore(1); // Of a process that is gone.
    assert.ok(holder !== undefined);
    assert.equal(holder.task_id, taskIds[0]);
    const applied = await migrate(store.db);
    assert.ok(applied.includes("0008-claims"));
    const order: number[] = [];
    const kind = kindOf("noted", ({ params }) => Promise.resolve(void order.push(params.number as number)));
    await using engine = await startEngine(store, { namespace, kinds: [kind], slots: 1 });
    for (const taskId of taskIds) {
      const { status } = await outcomeOf(engine, taskId);
      assert.equal(status, taskId === holder.task_id ? "failed" : "succeeded");
    }
    assert.equal(order.length, TASKS - 1);
    for (const mine of [0, 1, 2, 3]) {
      const numbers = order.filter((number) => (mine % 2 === 0 ? number % 4 === mine : number % 2 === 1));
      assert.deepEqual(
        numbers,
        numbers.toSorted((a, b) => a - b),
      );
    }
  });

  it("lets servers of both versions claim side by side: no key is held twice, and a sweep finds free keys", async () => {
    await addWaiting();
    await migrate(store.db);
    for (const exclusiveKey of ["key-0", "key-2"]) {
      for (let count = 0; count < 5; count++) await createTask(store.db, { namespace, kind: "noted", exclusiveKey });
    }
    const order = new Map<string, string[]>();
    let ended = 0;
    while (ended < TASKS + 10) {
      const before = ended < TASKS / 2 ? [claimAsBefore(2), claimAsBefore(1)] : []; // Then they are all replaced.
      const claims = await Promise.all([...before, claimAsNow(2), claimAsNow(1)]);
      const taken = claims.flat();
      assert.notEqual(taken.length, 0, `stuck after ${ended}, for longer than a sweep`);
      const keys = taken.map((task) => task.exclusive_key).filter((key) => key !== null);
      assert.equal(new Set(keys).size, keys.length, `held twice: ${keys.join()}`);
      for (const task of taken) {
        if (task.exclusive_key === null) continue;
        order.set(task.exclusive_key, [...(order.get(task.exclusive_key) ?? []), task.task_id]);
      }
      await end(taken);
      ended += taken.length;
      // No claim is told of the keys, as where servers of the version before have ended their tasks.
      await unblockTasks(store.db, { namespace, after: null, limit: 100 });
    }
    assert.deepEqual([...order.keys()].sort(), ["key-0", "key-2"]);
    for (const taskIds of order.values()) {
      assert.equal(taskIds.length, 15);
      assert.deepEqual(taskIds, taskIds.toSorted());
    }
  });
});
