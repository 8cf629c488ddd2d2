import assert from "node:assert/strict";
import { sql } from "kysely";
import { readHorizonHolders, readTableHealth } from "../../../src/store/reports/vacuum-health.ts";
import { eventually } from "../../support/eventually.ts";
import { openPostgres } from "../../support/stores.ts";
import type { TestStore } from "../../support/stores.ts";

describe("on Postgres, the report on vacuum", () => {
  let store: TestStore;
  before(async () => {
    store = await openPostgres();
  });
  after(() => store?.[Symbol.asyncDispose]());

  const tableOf = async (name: string) => (await readTableHealth(store.db)).find(({ table }) => table === name)!;

  it("computes the dead rows that autovacuum allows from the settings and the rows of a table", async () => {
    const { db } = store;
    await sql`insert into task_requests select 'default', n::text, gen_random_uuid() from generate_series(1, 2000) n`.execute(
      db,
    );
    await sql`vacuum (analyze) task_requests`.execute(db);
    const { deadRowsMax, vacuumedMs, unfrozenXids } = await tableOf("task_requests");
    assert.equal(deadRowsMax, 50 + 0.05 * 2_000);
    assert.ok(vacuumedMs !== null && vacuumedMs < 60_000, `${vacuumedMs}`);
    assert.ok(unfrozenXids >= 0);
    assert.equal((await tableOf("sessions")).deadRowsMax, 500);
  });

  it("counts the dead rows of a table", async () => {
    await sql`delete from task_requests where request_id::int <= 500`.execute(store.db);
    // The statistics arrive a moment after the commit.
    await eventually(async () => assert.equal((await tableOf("task_requests")).deadRows, 500));
  });

  it("names a table that is excluded from autovacuum", async () => {
    assert.equal((await tableOf("removed_tasks")).isAutovacuumOff, false);
    await sql`alter table removed_tasks set (autovacuum_enabled = off)`.execute(store.db);
    assert.equal((await tableOf("removed_tasks")).isAutovacuumOff, true);
  });

  it("names the session that holds the oldest snapshot", async () => {
    const { db } = store;
    const holder = await db.startTransaction().setIsolationLevel("repeatable read").execute();
    try {
      const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(holder);
      await sql`insert into task_requests values ('default', 'later', gen_random_uuid())`.execute(db);
      const found = (await readHorizonHolders(db)).find(({ name }) => name === `${rows[0]!.pid}`);
      assert.equal(found?.type, "session");
      assert.ok(found.xids >= 1, `${found.xids}`);
      assert.ok(found.forMs! >= 0);
    } finally {
      await holder.rollback().execute();
    }
  });

  it("leaves out a replication slot that holds no snapshot", async () => {
    const { db } = store;
    await sql`select pg_create_physical_replication_slot('spool_test_slot', true)`.execute(db);
    try {
      assert.deepEqual(
        (await readHorizonHolders(db)).filter(({ type }) => type === "replication slot"),
        [],
      );
    } finally {
      await sql`select pg_drop_replication_slot('spool_test_slot')`.execute(db);
    }
  });
});
