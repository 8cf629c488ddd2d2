import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { countTasks, countWaitingOf } from "../../../src/store/reports/task-counts.ts";
import { writeFlush } from "../../../src/store/tapes/journal-statement.ts";
import { readEntries } from "../../support/index-entries.ts";
import { createRunning, createTask, newTask } from "../../support/new-tasks.ts";
import { openPostgres } from "../../support/stores.ts";
import type { TestStore } from "../../support/stores.ts";

const OTHERS = 3_000;

describe("on Postgres, counts of tasks up to a limit", () => {
  const namespace = randomUUID();
  let store: TestStore;
  before(async () => {
    store = await openPostgres();
    const { db } = store;
    for (const startedBy of ["other", null]) {
      const creates = Array.from({ length: OTHERS }, () => ({ task: newTask({ namespace, startedBy }), events: [] }));
      await writeFlush(db, { creates, appends: [] });
    }
    for (let count = 0; count < 5; count++) await createTask(db, { namespace, startedBy: "one" });
    await createTask(db, { namespace: randomUUID(), startedBy: "one" });
    await createRunning(db, { namespace, startedBy: "one" });
    await sql`vacuum (analyze) tasks`.execute(db);
  });
  after(() => store?.[Symbol.asyncDispose]());

  it("count the waiting tasks of one caller, and read no others", async () => {
    let count: number | null = null;
    for (const [max, counted] of [
      [100, 5],
      [3, 3],
    ] as const) {
      // As prepared statements are planned: for any values.
      const entries = await readEntries(store.db, async (trx) => {
        await sql`set local plan_cache_mode = force_generic_plan`.execute(trx);
        count = await countWaitingOf(trx, { namespace, startedBy: "one", max });
      });
      assert.equal(count, counted);
      assert.ok(entries <= 6, `${entries} entries`);
    }
  });

  it("read no more tasks than the limit", async () => {
    const entries = await readEntries(store.db, async (trx) => {
      assert.equal(await countTasks(trx, { namespace, status: "pending", max: 10 }), 10);
    });
    assert.ok(entries <= 11, `${entries} entries`);
  });
});
