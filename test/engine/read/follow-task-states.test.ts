import assert from "node:assert/strict";
import type { FollowedPage, TaskEngine } from "../../../src/engine/api/task-engine.ts";
import { kindOf, start, untilStopped } from "../../support/engine-tasks.ts";
import { startEngine } from "../../support/engines.ts";
import { followQuery } from "../../support/followed-tasks.ts";
import { describeHeavyOnEachStore } from "../../support/stores.ts";

type State = NonNullable<FollowedPage["tasks"][number]["state"]>;

/** Yields the states of tasks that a follower gets from now on, one after the other. */
async function statesFromNow(engine: TaskEngine, signal: AbortSignal): Promise<AsyncGenerator<State>> {
  const pages = engine.followTasks(followQuery({ view: "tasks" }), signal)[Symbol.asyncIterator]();
  await pages.next();
  return statesOf({ [Symbol.asyncIterator]: () => pages });
}

async function* statesOf(pages: AsyncIterable<FollowedPage>): AsyncGenerator<State> {
  for await (const { tasks } of pages) {
    for (const { state, events } of tasks) {
      assert.deepEqual(events, []);
      yield state!;
    }
  }
}

/** Reads on until a state is as wanted. Of one task, each state is as new as the one before it, or newer. */
async function until(states: AsyncGenerator<State>, isWanted: (state: State) => boolean): Promise<State> {
  const seqs = new Map<string, bigint>();
  for (;;) {
    const { value: state } = (await states.next()) as { value: State };
    const { taskId, lastSeq } = state.task;
    assert.ok(lastSeq >= (seqs.get(taskId) ?? 0n));
    seqs.set(taskId, lastSeq);
    if (isWanted(state)) return state;
  }
}

describeHeavyOnEachStore("a follower of task states", (store) => {
  it("gets each change, at least the last of several at once, and the latest progress", async () => {
    const steps = Promise.withResolvers<(step: number) => Promise<void>>();
    const stepping = kindOf("stepping", async (task) => {
      steps.resolve(async (step) => {
        await task.progress("steps", step, 10);
        await task.log("INFO", "behind it");
        await task.flush();
      });
      await untilStopped(task.signal);
    });
    await using engine = await startEngine(store(), { kinds: [stepping] });
    const stopped = new AbortController();
    const states = await statesFromNow(engine, stopped.signal);
    const waiting = await start(engine, { kind: "nobody-has" });
    const first = await until(states, () => true);
    assert.deepEqual([first.task.taskId, first.task.status], [waiting, "pending"]);

    const running = await start(engine, { kind: "stepping" });
    const step = await steps.promise;
    await step(1);
    await step(2);
    const { task, progress } = await until(states, (state) => state.progress?.current === 2);
    assert.deepEqual([task.taskId, task.status, task.params], [running, "running", null]);
    assert.deepEqual(progress, { phase: "steps", current: 2, total: 10 });

    await engine.cancelTask(waiting, { reason: "", by: null });
    await until(states, (state) => state.task.taskId === waiting && state.task.status === "cancelled");
    await engine.cancelTask(running, { reason: "", by: null });
    const end = await until(states, (state) => state.task.status === "cancelled");
    assert.deepEqual([end.task.taskId, end.progress], [running, null]);
    await states.return(undefined);
    stopped.abort();
  });
});
