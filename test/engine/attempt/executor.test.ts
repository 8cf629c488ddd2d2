import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { pino } from "pino";
import { TaskControl } from "../../../src/engine/attempt/task-control.ts";
import { Executor } from "../../../src/engine/attempt/executor.ts";
import { SlotBudget } from "../../../src/engine/attempt/slot-budget.ts";
import { Feed } from "../../../src/engine/read/feed.ts";
import { KindHost } from "../../../src/engine/attempt/kind-host.ts";
import { openFlushStore } from "../../../src/engine/write/flush-store.ts";
import { Journal } from "../../../src/engine/write/journal.ts";
import { readTask } from "../../../src/store/tasks/task-queries.ts";
import { UNOBSERVED } from "../../../src/engine/api/engine-observer.ts";
import { kindOf, untilStopped } from "../../support/engine-tasks.ts";
import { eventually } from "../../support/eventually.ts";
import { createRunning, outline, storedTape } from "../../support/new-tasks.ts";
import { describeHeavyOnEachStore } from "../../support/stores.ts";

const log = pino({ level: "silent" });
const NEVER_MS = 60_000;

describeHeavyOnEachStore("the executor", (store) => {
  function build(
    { slots = 2, graceMs = NEVER_MS, freesSlotsWithCode = true, onFree = () => {} },
    ...kinds: ReturnType<typeof kindOf>[]
  ) {
    const { db } = store();
    const namespace = randomUUID();
    const feed = new Feed();
    const control = new TaskControl({ db, namespace, feed, observer: UNOBSERVED, log });
    const journal = new Journal({ store: openFlushStore(db), feed, log });
    let freed = 0;
    const executor = new Executor({
      budget: new SlotBudget(slots),
      graceMs,
      journal,
      control,
      namespace,
      observer: UNOBSERVED,
      log,
      host: Object.assign(new KindHost({ kinds: new Map(kinds.map((kind) => [kind.name, kind])), log }), {
        freesSlotsWithCode,
      }),
      readCheckpoint: () => Promise.resolve(null),
      readTapeBytes: async () => 0,
      limits: () => ({}),
      onFree() {
        freed++;
        onFree();
      },
    });
    const run = async (kind: string, options = {}) => {
      const fence = await createRunning(db, { namespace, kind, ...options });
      const task = await readTask(db, { namespace, taskId: fence.taskId });
      executor.run(task, { lease: fence.lease, at: task.createdAt });
      return { ...fence, task };
    };
    const tapeOf = async (taskId: string) => outline(await storedTape(db, { namespace, taskId }));
    const createAll = async (kind: string, count: number) => {
      const tasks: (() => void)[] = [];
      while (tasks.length < count) {
        const { taskId, lease } = await createRunning(db, { namespace, kind });
        const task = await readTask(db, { namespace, taskId });
        tasks.push(() => executor.run(task, { lease, at: task.createdAt }));
      }
      return tasks;
    };
    return { executor, createAll, run, tapeOf, namespace, freed: () => freed };
  }

  it("reserves slots for tasks that are about to run, up to the number of slots", async () => {
    const gate = Promise.withResolvers<void>();
    const { executor, run, freed } = build(
      { slots: 3 },
      kindOf("gated", () => gate.promise),
    );
    assert.deepEqual([executor.reserve(2), executor.reserve(2), executor.reserve(1), executor.freeSlots], [2, 1, 0, 0]);
    executor.release(3);
    const { taskId } = await run("gated");
    assert.deepEqual([executor.freeSlots, executor.has(taskId), executor.running()], [2, true, [taskId]]);
    gate.resolve();
    await executor.whenIdle(NEVER_MS);
    assert.deepEqual([executor.freeSlots, executor.has(taskId), freed()], [3, false, 2], "its slot, then the task");
  });

  for (const [freesSlotsWithCode, most] of [
    [true, 4],
    [false, 2],
  ] as const) {
    const freedBy = freesSlotsWithCode ? "the end of the code" : "the stored end";
    it(`runs two tasks at once on two slots, and owns at most ${most} if ${freedBy} frees a slot`, async () => {
      let codes = 0;
      const codesSeen: number[] = [];
      const ownedSeen: number[] = [];
      const kind = kindOf("short", async () => {
        codesSeen.push(++codes);
        await Promise.resolve();
        codes--;
      });
      const built = build({ freesSlotsWithCode, onFree: () => runNext() }, kind);
      const { executor, createAll } = built;
      const waiting = await createAll("short", 12);
      const runNext = () => {
        for (let slots = executor.reserve(Math.min(2, waiting.length)); slots > 0; slots--) {
          waiting.pop()?.();
          executor.release(1); // A claim does the same once its tasks are stored as running.
          ownedSeen.push(executor.running().length);
        }
      };
      runNext();
      while (waiting.length > 0) await executor.whenIdle(NEVER_MS);
      await executor.whenIdle(NEVER_MS);
      assert.deepEqual([codesSeen.length, Math.max(...codesSeen), Math.max(...ownedSeen)], [12, 2, most]);
      assert.equal(executor.freeSlots, 2);
    });
  }

  it("waits for running tasks no longer than waitMs", async () => {
    const { executor, run } = build(
      {},
      kindOf("wait", ({ signal }) => untilStopped(signal)),
    );
    await executor.whenIdle(NEVER_MS);
    const { taskId } = await run("wait");
    await executor.whenIdle(20);
    assert.ok(executor.has(taskId));
    await executor.stopAll("shutdown");
    assert.equal(executor.has(taskId), false);
  });

  it("uses the first of several stop reasons", async () => {
    const { executor, run, namespace } = build(
      {},
      kindOf("wait", ({ signal }) => untilStopped(signal)),
    );
    const { taskId } = await run("wait");
    executor.stop(taskId, "deadline");
    executor.stop(taskId, "shutdown");
    await executor.whenIdle(NEVER_MS);
    const [, final] = await storedTape(store().db, { namespace, taskId });
    assert.equal((JSON.parse(final!.body) as { error: { reason: string } }).error.reason, "DEADLINE_EXCEEDED");
  });

  it("keeps a later attempt of a task apart from an earlier attempt that lost the task", async () => {
    const gates = [1, 2].map(() => Promise.withResolvers<void>());
    const left = Promise.withResolvers<void>();
    const stopped: string[] = [];
    const kind = kindOf("again", async (task) => {
      task.signal.addEventListener("abort", () =>
        stopped.push(`${task.attempt} ${(task.signal.reason as Error).name}`),
      );
      await gates[task.attempt - 1]!.promise;
      if (task.attempt === 1) left.resolve();
      else await task.log("INFO", "second");
    });
    const { executor, run, tapeOf, namespace, freed } = build({}, kind);
    const { taskId, task } = await run("again", { maxAttempts: 2 });
    const lease = randomUUID();
    const { db } = store();
    await db.updateTable("tasks").set({ lease, attempt: 2 }).where("task_id", "=", taskId).execute();
    executor.run({ ...task, attempt: 2, lease }, { lease, at: new Date() });
    assert.deepEqual(stopped, ["1 AbortError"]);
    gates[0]!.resolve();
    await left.promise;
    await eventually(() => assert.equal(freed(), 1));
    assert.ok(executor.has(taskId));
    gates[1]!.resolve();
    await executor.whenIdle(NEVER_MS);
    assert.deepEqual(await tapeOf(taskId), ["started", "log", "final"]);
    assert.deepEqual([(await readTask(db, { namespace, taskId })).status, stopped.length], ["succeeded", 1]);
  });
});
