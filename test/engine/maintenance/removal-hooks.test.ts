import assert from "node:assert/strict";
import type { Kind, RemovedTask } from "../../../src/domain/kind.ts";
import { kindOf, start } from "../../support/engine-tasks.ts";
import { startEngine } from "../../support/engines.ts";
import type { TestEngine } from "../../support/engines.ts";
import { eventually } from "../../support/eventually.ts";
import { describeOnEachStore } from "../../support/stores.ts";

const NEVER = new AbortController().signal;

function hookedKind(onRemoved: (task: RemovedTask) => Promise<void>): Kind {
  return { ...kindOf("files", async () => {}), onRemoved };
}

describeOnEachStore("the removal hook of a kind", (store) => {
  async function startEnded(engine: TestEngine, options: Parameters<typeof start>[1] = {}): Promise<string> {
    const taskId = await start(engine, { kind: "files", params: { path: "a" }, labels: { team: "b" }, ...options });
    await engine.waitForResult({ taskId, waitMs: 10_000 }, NEVER);
    return taskId;
  }

  async function pending(namespace: string): Promise<number> {
    const { count } = await store()
      .db.selectFrom("removal_hooks")
      .where("namespace", "=", namespace)
      .select(({ fn }) => fn.countAll<bigint>().as("count"))
      .executeTakeFirstOrThrow();
    return Number(count);
  }

  it("runs after DeleteTask and after the retention, with the task's params and labels", async () => {
    const removed: Omit<RemovedTask, "signal">[] = [];
    const kind = hookedKind(async ({ taskId, params, labels, attempt }) => {
      removed.push({ taskId, params, labels, attempt });
    });
    await using engine = await startEngine(store(), { kinds: [kind] });
    const taskIds = [await startEnded(engine), await startEnded(engine, { retentionMs: 1_000 })];
    await engine.deleteTask(taskIds[0]!, null);
    await eventually(() => assert.equal(removed.length, 2));
    const expected = taskIds.map((taskId) => ({ taskId, params: { path: "a" }, labels: { team: "b" }, attempt: 1 }));
    removed.sort((a, b) => taskIds.indexOf(a.taskId) - taskIds.indexOf(b.taskId));
    assert.deepEqual(removed, expected);
    await eventually(async () => assert.equal(await pending(engine.namespace), 0));
  });

  it("runs again until it succeeds, whatever it throws, and the task is removed meanwhile", async () => {
    const attempts: number[] = [];
    const kind = hookedKind(({ attempt }) => {
      attempts.push(attempt);
      if (attempt === 1) throw new Error("disk \0 full");
      return attempt === 2 ? Promise.reject({ [Symbol.toPrimitive]: () => [] }) : Promise.resolve();
    });
    await using engine = await startEngine(store(), { kinds: [kind] });
    const taskId = await startEnded(engine);
    await engine.deleteTask(taskId, null);
    await assert.rejects(engine.getTask(taskId), { reason: "TASK_EXPIRED" });
    await eventually(() => assert.deepEqual(attempts, [1, 2, 3]));
    await eventually(async () => assert.equal(await pending(engine.namespace), 0));
  });

  it("waits for a server that has the kind, if another server removes the task", async () => {
    let runs = 0;
    const kind = hookedKind(async () => void runs++);
    const first = await startEngine(store(), { kinds: [kind] });
    const { namespace } = first;
    const taskId = await startEnded(first);
    await first[Symbol.asyncDispose]();
    await using without = await startEngine(store(), { namespace });
    await without.deleteTask(taskId, null);
    assert.deepEqual([await pending(namespace), runs], [1, 0]);
    await using again = await startEngine(store(), { namespace, kinds: [kind] });
    await eventually(() => assert.equal(runs, 1));
    await eventually(async () => assert.equal(await pending(again.namespace), 0));
  });

  it("is stopped with its server, and left to another one at once", async () => {
    const entered = Promise.withResolvers<AbortSignal>();
    const blocked = hookedKind(async ({ signal }) => {
      entered.resolve(signal);
      await new Promise(() => {}); // Ignores its signal.
    });
    const first = await startEngine(store(), { kinds: [blocked] });
    await first.deleteTask(await startEnded(first), null);
    const signal = await entered.promise;
    await first[Symbol.asyncDispose]();
    assert.ok(signal.aborted);
    const attempts: number[] = [];
    await using second = await startEngine(store(), {
      namespace: first.namespace,
      kinds: [hookedKind(async ({ attempt }) => void attempts.push(attempt))],
    });
    await eventually(() => assert.deepEqual(attempts, [2]));
    await eventually(async () => assert.equal(await pending(second.namespace), 0));
  });
});
