import assert from "node:assert/strict";
import { sql } from "kysely";
import { newEvent } from "../../../src/domain/event.ts";
import { lockTask, writeTransitions } from "../../../src/store/tasks/transitions.ts";
import { kindOf, start, startRunning, untilStopped, wholeTape } from "../../support/engine-tasks.ts";
import { startEngine } from "../../support/engines.ts";
import { Followed } from "../../support/followed-tasks.ts";
import { inHeldTransaction } from "../../support/held-transaction.ts";
import { outline } from "../../support/new-tasks.ts";
import { openPostgres } from "../../support/stores.ts";
import type { TestStore } from "../../support/stores.ts";

describe("a follower of many tasks, only on Postgres,", () => {
  let store: TestStore;
  before(async () => {
    store = await openPostgres();
  });
  after(() => store?.[Symbol.asyncDispose]());

  /** Writes an event to a task's tape in a transaction that stays open until the test ends it. */
  async function appendLate(taskId: string): Promise<{ end(how: "commit" | "rollback"): Promise<void> }> {
    const written = Promise.withResolvers<void>();
    const how = Promise.withResolvers<"commit" | "rollback">();
    const over = inHeldTransaction(store.db, async (trx) => {
      const { tasks, at } = await lockTask(trx, { namespace: await namespaceOf(store, taskId), taskId });
      const event = newEvent("cancel_requested", { reason: "late" });
      const transition = { type: "ask", reason: "late", cancelledBy: null, event } as const;
      await writeTransitions(trx, [{ task: tasks[0]!, transition }], at);
      written.resolve();
      if ((await how.promise) === "rollback") throw new RolledBack();
    });
    await written.promise;
    return {
      async end(decision) {
        how.resolve(decision);
        await over.catch((error: unknown) => assert.ok(error instanceof RolledBack));
      },
    };
  }

  it("gets an event once if its transaction commits after later ones, whatever it read in between", async () => {
    const quiet = kindOf("quiet", (task) => untilStopped(task.signal));
    await using engine = await startEngine(store, { kinds: [quiet] });
    const [late, never] = [
      await startRunning(engine, { kind: "quiet" }),
      await startRunning(engine, { kind: "quiet" }),
    ];
    const followed = new Followed();
    await followed.follow(engine, () => followed.count() === 2, { fromStart: true });
    const [first, second] = [await appendLate(late), await appendLate(never)];
    for (let round = 1; round <= 3; round++) {
      await start(engine);
      await followed.follow(engine, ({ ended }) => ended === round);
      assert.ok(followed.cursor!.round!.target.running.length >= 2);
    }
    assert.deepEqual([followed.tapes.get(late)!.length, followed.tapes.get(never)!.length], [1, 1]);
    await second.end("rollback");
    await first.end("commit");
    await followed.follow(engine, () => followed.tapes.get(late)!.length === 2);
    await start(engine);
    await followed.follow(engine, ({ ended }) => ended === 4);
    assert.deepEqual(outline(followed.tapes.get(late)!), ["started", "cancel_requested"]);
    assert.deepEqual(outline(followed.tapes.get(never)!), ["started"]);
  });

  for (const notify of [true, false]) {
    it(`gets the commits of another server, notifications ${notify ? "on" : "off"}`, async () => {
      await using here = await startEngine(store, { notify });
      await using there = await startEngine(store, { notify, namespace: here.namespace });
      const followed = new Followed();
      await followed.follow(here, () => true);
      const taskId = await start(there);
      await followed.follow(here, ({ ended }) => ended === 1);
      assert.deepEqual(followed.tapes.get(taskId), await wholeTape(there, taskId));
    });
  }

  it("does not take an old event for a new one after the transaction ids wrap around", async () => {
    const quiet = kindOf("quiet", (task) => untilStopped(task.signal));
    await using engine = await startEngine(store, { kinds: [quiet] });
    const taskId = await startRunning(engine, { kind: "quiet" });
    // As after 2^32 transactions: the event's row has a transaction id that the cursor has not seen.
    await sql`update task_events set time = now() - interval '2 hours' where task_id = ${taskId}`.execute(store.db);
    await sql`update tasks set attempt = attempt where task_id = ${taskId}`.execute(store.db);
    const followed = new Followed();
    await followed.follow(engine, () => true);
    const { seen } = followed.cursor!;
    followed.cursor = { generation: 0, seen: { ...seen, xmin: 1n, xmax: 1n, running: [] }, round: null };
    const fresh = await start(engine);
    await followed.follow(engine, ({ ended }) => ended === 1);
    assert.deepEqual([...followed.tapes.keys()], [fresh]);
  });
});

class RolledBack extends Error {}

async function namespaceOf(store: TestStore, taskId: string): Promise<string> {
  const row = await store.db
    .selectFrom("tasks")
    .select("namespace")
    .where("task_id", "=", taskId)
    .executeTakeFirstOrThrow();
  return row.namespace;
}
