import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { REMOVED_MS } from "../../../src/domain/limits.ts";
import { expireServerSessions, openSession } from "../../../src/store/session-queries.ts";
import { readWork } from "../../../src/store/tasks/namespace-work.ts";
import type { NamespaceWork } from "../../../src/store/tasks/namespace-work.ts";
import { createEnded, createRunning, createTask } from "../../support/new-tasks.ts";
import { describeHeavyOnEachOwnStore } from "../../support/stores.ts";

const NONE: NamespaceWork = { tasks: false, sessions: false, removals: false, retained: false };
const ENDED = 20_000;
const PAGES_MAX = 40;

describeHeavyOnEachOwnStore("the work of namespaces", (store) => {
  const db = () => store().db;
  let namespace: string;
  beforeEach(() => {
    namespace = randomUUID();
  });

  /** Reads the work of the namespace beside that of another one, which has none. */
  async function read(): Promise<NamespaceWork> {
    const other = randomUUID();
    const found = await readWork(db(), [other, namespace]);
    assert.deepEqual([...found.keys()].toSorted(), [other, namespace].toSorted());
    assert.deepEqual(found.get(other), NONE);
    return found.get(namespace)!;
  }

  const mark = (eventsLeft: boolean, agoMs: number) =>
    sql`insert into removed_tasks (task_id, namespace, events_left, removed_at)
      values (${randomUUID()}::uuid, ${namespace}, ${eventsLeft}, now() - ${agoMs}::bigint * interval '1 millisecond')`.execute(
      db(),
    );

  it("are tasks that wait, also for their time", async () => {
    assert.deepEqual(await read(), NONE);
    await createTask(db(), { namespace, runAt: new Date(Date.now() + 60_000) });
    assert.deepEqual(await read(), { ...NONE, tasks: true });
  });

  it("are tasks that run, and none that have ended", async () => {
    await createEnded(db(), { namespace, agoMs: 0 });
    assert.deepEqual(await read(), NONE);
    await createRunning(db(), { namespace });
    assert.deepEqual(await read(), { ...NONE, tasks: true });
  });

  it("are ended tasks with a retention of their own", async () => {
    await createEnded(db(), { namespace, agoMs: 0, retentionMs: 60_000 });
    assert.deepEqual(await read(), { ...NONE, retained: true });
  });

  it("are removed tasks with events left, and markers that have expired", async () => {
    await mark(false, REMOVED_MS - 60_000);
    assert.deepEqual(await read(), NONE);
    await mark(false, REMOVED_MS + 1_000);
    assert.deepEqual(await read(), { ...NONE, removals: true });
    await sql`delete from removed_tasks where namespace = ${namespace}`.execute(db());
    await mark(true, 0);
    assert.deepEqual(await read(), { ...NONE, removals: true });
  });

  it("are sessions of any namespace that have expired, unless they own tasks", async () => {
    const sessionId = randomUUID();
    const session = { namespace: randomUUID(), host: "here", pid: 1, kinds: [], capacity: 1, tokenDigest: null };
    await openSession(db(), { ...session, sessionId, leaseMs: 60_000 });
    assert.deepEqual(await read(), NONE);
    await expireServerSessions(db());
    assert.deepEqual((await readWork(db(), [namespace])).get(namespace), { ...NONE, sessions: true });
    await createRunning(db(), { namespace: session.namespace, lease: sessionId });
    assert.deepEqual(await read(), NONE);
    await sql`delete from sessions`.execute(db());
  });

  it("are read from a few pages, with any plan, however many tasks have ended", async () => {
    await sql`
      insert into tasks (task_id, namespace, kind, status, params, params_digest, labels, created_at, max_attempts,
                         finished_at, last_seq)
      select gen_random_uuid(), ${namespace}, 'echo', 'succeeded', '{}', '', '{}', now(), 1, now(), 1
      from generate_series(1, ${ENDED}::int)`.execute(db());
    await sql`insert into removed_tasks (task_id, namespace, events_left, removed_at)
      select gen_random_uuid(), ${namespace}, false, now() from generate_series(1, ${ENDED}::int)`.execute(db());
    for (const analyzed of [false, true]) {
      if (analyzed) await sql`analyze tasks, removed_tasks`.execute(db());
      for (const mode of ["force_custom_plan", "force_generic_plan"]) {
        const pages = await db()
          .transaction()
          .execute(async (trx) => {
            await sql`select set_config('plan_cache_mode', ${mode}, true)`.execute(trx);
            await readWork(trx, [namespace]); // Reads the catalog.
            const before = await pagesRead(trx);
            assert.deepEqual((await readWork(trx, [namespace])).get(namespace), NONE);
            return (await pagesRead(trx)) - before;
          });
        assert.ok(pages <= PAGES_MAX, `${pages} pages, ${mode}, ${analyzed ? "" : "not "}analyzed`);
      }
    }
  });

  /** How many pages of the tables and their indexes this connection has read within its transaction. */
  async function pagesRead(trx: Parameters<typeof readWork>[0]): Promise<number> {
    const { rows } = await sql<{ pages: number }>`
      select sum(pg_stat_get_xact_blocks_fetched(c.oid))::int as pages from pg_class c
      where c.oid in ('tasks'::regclass, 'removed_tasks'::regclass, 'sessions'::regclass)
         or c.oid in (select indexrelid from pg_index
                      where indrelid in ('tasks'::regclass, 'removed_tasks'::regclass, 'sessions'::regclass))
    `.execute(trx);
    return rows[0]!.pages;
  }
});
