import assert from "node:assert/strict";
import { sql } from "kysely";
import { StoreUnavailable } from "../../src/domain/errors.ts";
import { eventually } from "../support/eventually.ts";
import { startEngine, taskRequest } from "../support/engines.ts";
import { inHeldTransaction } from "../support/held-transaction.ts";
import { openPostgres } from "../support/open-stores.ts";

describe("an engine whose session was not renewed in time", () => {
  for (const [mayMove, what] of [
    [true, "refuses reads if its namespace may have moved: another shard may have newer rows"],
    [false, "still answers reads if its namespace cannot move"],
  ] as const) {
    it(what, async () => {
      await using store = await openPostgres();
      await using engine = await startEngine(store, { leaseMs: 1_000, mayMove: () => mayMove });
      const { task } = await engine.startTask(taskRequest({ kind: "echo" }));
      await inHeldTransaction(store.db, async (trx) => {
        await sql`select from sessions for update`.execute(trx); // The renewals wait.
        await eventually(() => assert.rejects(engine.startTask(taskRequest({ kind: "echo" })), StoreUnavailable));
        const read = engine.getTask(task.taskId);
        if (mayMove) await assert.rejects(read, StoreUnavailable);
        else assert.equal((await read).taskId, task.taskId);
      });
      await eventually(() => engine.getTask(task.taskId));
    });
  }
});
