import assert from "node:assert/strict";
import { sql } from "kysely";
import { UNOBSERVED } from "../../src/engine/api/engine-observer.ts";
import type { EngineObserver } from "../../src/engine/api/engine-observer.ts";
import type { Store } from "../../src/store/database.ts";
import { start } from "../support/engine-tasks.ts";
import { kindOf } from "../support/engine-tasks.ts";
import { startEngine } from "../support/engines.ts";
import { eventually } from "../support/eventually.ts";
import { describeOnEachStore, openPostgres } from "../support/stores.ts";
import type { TestStore } from "../support/stores.ts";

const NEVER = new AbortController().signal;
const HOUR_MS = 3_600_000;
const audit = kindOf("audit", async () => {});
const ingest = kindOf("ingest", async () => {});

/** Moves the end of tasks back. */
async function age({ db }: Store, taskIds: readonly string[], agoMs: number): Promise<void> {
  await sql`update tasks set finished_at = now() - ${agoMs}::float8 * interval '1 millisecond'
    where task_id = any(${taskIds}::uuid[])`.execute(db);
}

describeOnEachStore("the retention of an engine", (store) => {
  it("removes the tasks of each kind after its retention, and keeps a kind forever", async () => {
    const retentionByKind = new Map([
      ["audit", null],
      ["ingest", HOUR_MS],
    ]);
    const removedKinds: string[] = [];
    const observer: EngineObserver = {
      ...UNOBSERVED,
      taskRemoved: (kind, by) => void removedKinds.push(`${kind} by ${by}`),
    };
    await using engine = await startEngine(store(), {
      kinds: [audit, ingest],
      retention: 2 * HOUR_MS,
      retentionByKind,
      observer,
    });
    const startEnded = async (options: Parameters<typeof start>[1]) => {
      const taskId = await start(engine, options);
      await engine.waitForResult({ taskId, waitMs: 10_000 }, NEVER);
      return taskId;
    };
    const kept = [
      await startEnded({ kind: "audit" }),
      await startEnded({ kind: "echo" }),
      await startEnded({ kind: "ingest", retentionMs: 3 * HOUR_MS }),
    ];
    const running = await start(engine, { kind: "echo", runAt: new Date(Date.now() + HOUR_MS) });
    const due = await startEnded({ kind: "ingest" });
    await age(store(), [...kept, due], 1.5 * HOUR_MS);
    await using other = await startEngine(store(), {
      namespace: engine.namespace,
      retention: 2 * HOUR_MS,
      retentionByKind,
      observer,
    });
    await eventually(() => assert.rejects(other.getTask(due), { reason: "TASK_EXPIRED" }));
    for (const taskId of [...kept, running]) await engine.getTask(taskId);
    assert.deepEqual(removedKinds, ["ingest by retention"]);
    assert.equal(other.gauges().removalOverdueMs, 0);
  });

  it("removes nothing if all tasks are kept forever", async () => {
    await using engine = await startEngine(store(), { retention: null });
    const kept = await start(engine);
    const due = await start(engine, { retentionMs: 1_000 });
    for (const taskId of [kept, due]) await engine.waitForResult({ taskId, waitMs: 10_000 }, NEVER);
    await age(store(), [kept, due], 1_000 * 24 * HOUR_MS);
    // When the task with a retention of its own is removed, the sweep has read all others.
    await eventually(() => assert.rejects(engine.getTask(due), { reason: "TASK_EXPIRED" }));
    assert.equal((await engine.getTask(kept)).status, "succeeded");
  });
});

describe("on Postgres, tasks that two servers remove after their retention", () => {
  const EVENTS = 6_000;
  const many = kindOf("many", async (task) => {
    for (let line = 1; line <= EVENTS; line++) await task.log("INFO", `line ${line}`);
  });
  let store: TestStore;
  before(async () => {
    store = await openPostgres();
  });
  after(() => store?.[Symbol.asyncDispose]());

  for (const notify of [true, false]) {
    it(`end the replays of both with TASK_EXPIRED, notifications ${notify ? "on" : "off"}`, async () => {
      await using here = await startEngine(store, { kinds: [many], notify });
      await using there = await startEngine(store, { kinds: [many], notify, namespace: here.namespace });
      const taskId = await start(here, { kind: "many", retentionMs: HOUR_MS });
      await here.waitForResult({ taskId, waitMs: 60_000 }, NEVER);
      const replays = [here, there].map((engine) =>
        engine.followTape({ taskId, fromSeq: 1n, heartbeatMs: 1_000 }, NEVER)[Symbol.asyncIterator](),
      );
      for (const replay of replays) await replay.next();
      await age(store, [taskId], 2 * HOUR_MS);
      await eventually(() => assert.rejects(here.getTask(taskId), { reason: "TASK_EXPIRED" }));
      for (const replay of replays) {
        await assert.rejects(
          async () => {
            while (!(await replay.next()).done);
          },
          { reason: "TASK_EXPIRED" },
        );
      }
    });
  }
});
