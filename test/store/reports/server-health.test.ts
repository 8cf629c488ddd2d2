import assert from "node:assert/strict";
import { sql } from "kysely";
import { readWithin } from "../../../src/store/connection/bounded-read.ts";
import { isStatementTimeout } from "../../../src/store/errors.ts";
import {
  readClock,
  readConnections,
  readLockHolders,
  readServerSettings,
} from "../../../src/store/reports/server-health.ts";
import { describeOnEachStore, openPostgres } from "../../support/stores.ts";

const LIMIT_MS = 5_000;

describeOnEachStore("a bounded read", (store) => {
  it("returns what was read, and cannot write", async () => {
    const at = await readWithin(store().db, LIMIT_MS, readClock);
    assert.ok(at instanceof Date);
    const writing = readWithin(store().db, LIMIT_MS, (trx) => sql`delete from tasks`.execute(trx));
    await assert.rejects(writing, ({ cause }: Error) => /read-only transaction/.test(String(cause)));
  });

  it("returns the server's settings", async () => {
    const settings = await readWithin(store().db, LIMIT_MS, readServerSettings);
    assert.ok(settings.versionNumber >= 150_000);
    assert.equal(Math.floor(settings.versionNumber / 10_000), Number.parseInt(settings.version, 10));
    assert.deepEqual([settings.isReadOnly, settings.full_page_writes, settings.encoding], [false, "on", "UTF8"]);
  });
});

describe("a report on a Postgres server", () => {
  it("ends after its time limit", async () => {
    await using store = await openPostgres();
    const slow = readWithin(store.db, 50, (trx) => sql`select pg_sleep(10)`.execute(trx));
    await assert.rejects(slow, (error) => isStatementTimeout(error));
  });

  it("counts all connections", async () => {
    await using store = await openPostgres();
    const { used, max } = await readConnections(store.db);
    assert.ok(used >= 1 && max > used, `${used} of ${max}`);
  });

  it("lists sessions that hold locks of writers, for how long, and how many sessions wait for them", async () => {
    await using store = await openPostgres();
    const { db } = store;
    const none = { holders: [], unseen: 0 };
    const bounds = { idleMs: 0, activeMs: 0 };
    await db.transaction().execute(async (trx) => {
      await sql`select from tasks`.execute(trx); // Reads: stands in nobody's way.
      assert.deepEqual(await readLockHolders(db, bounds), none);
      await sql`lock table sessions in row exclusive mode`.execute(trx);
      await sql`select from tasks for update`.execute(trx);
      assert.deepEqual(await readLockHolders(db, { idleMs: 60_000, activeMs: 0 }), none);
      const { holders } = await readLockHolders(db, bounds);
      assert.equal(holders.length, 1);
      const { forMs, pid, ...holder } = holders[0]!;
      assert.ok(forMs > 0 && pid > 0);
      const tables = ["sessions", "tasks"];
      assert.deepEqual(holder, {
        application: "spool",
        user: new URL(store.url!).username,
        isIdle: true,
        tables,
        waiting: 0,
      });
    });
    assert.deepEqual(await readLockHolders(db, bounds), none);
  });
});
