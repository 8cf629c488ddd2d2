import assert from "node:assert/strict";
import { Overloaded } from "../../src/domain/errors.ts";
import type { TapePage } from "../../src/engine/api/task-engine.ts";
import { openDatabase } from "../../src/store/database.ts";
import { wholeTape, start } from "../support/engine-tasks.ts";
import { startEngine } from "../support/engines.ts";
import { eventually } from "../support/eventually.ts";
import { followQuery } from "../support/followed-tasks.ts";
import { Stage } from "../support/stage.ts";
import { openPostgres } from "../support/stores.ts";

const NEVER = new AbortController().signal;
const CONNECTIONS_MAX = 8;
/** One of the connections is reserved. */
const LENT_MAX = 7;

describe("an engine whose connections are all in use", () => {
  it("refuses new calls as OVERLOADED, keeps open streams open, and runs tasks to their end", async () => {
    await using elsewhere = await openPostgres();
    const store = await openDatabase({ url: elsewhere.url!, connectionsMax: CONNECTIONS_MAX });
    const stage = new Stage();
    const actor = stage.actor();
    {
      await using writer = await startEngine(elsewhere, { kinds: [stage.kind] });
      await using engine = await startEngine(store, { namespace: writer.namespace });
      const taskId = await start(writer, { kind: "stage", params: actor.params });
      const task = await actor.enter();

      const tape = engine.followTape({ taskId, fromSeq: 1n, heartbeatMs: 1_000 }, NEVER)[Symbol.asyncIterator]();
      const all = engine.followTasks(followQuery({ heartbeatMs: 60_000 }), NEVER)[Symbol.asyncIterator]();
      await Promise.all([tape.next(), all.next()]);

      const over = Promise.withResolvers<void>();
      const entered = Array.from({ length: LENT_MAX }, () => Promise.withResolvers<void>());
      const holders = entered.map(({ resolve }) =>
        store.db.connection().execute(() => {
          resolve();
          return over.promise;
        }),
      );
      await Promise.all(entered.map(({ promise }) => promise));
      const untilEvent = async () => {
        for (;;) {
          const { value } = (await tape.next()) as { value: TapePage };
          if (value.events.some(({ type }) => type === "progress")) return;
        }
      };
      const seen = [untilEvent(), all.next()];
      await task.progress("on", 1, 1);
      await task.flush();
      await assert.rejects(engine.getTask(taskId), Overloaded);
      const own = await wholeTape(engine, await start(engine, { kind: "echo" }));
      assert.equal(own.at(-1)!.type, "final");
      // Each of the three calls was refused a connection, and the two open streams retry.
      await eventually(() => assert.ok(store.stats().pool!.timeouts >= 3));
      over.resolve();
      await Promise.all([...holders, ...seen]);
      actor.leave();
      await Promise.all([tape.return!(undefined), all.return!(undefined)]);
    }
    await store.close();
  }).timeout(60_000);
});
