import assert from "node:assert/strict";
import {
  kindOf,
  outcomeOf,
  start,
  startRunning,
  untilEvent,
  untilStopped,
  wholeTape,
} from "../support/engine-tasks.ts";
import { startEngine } from "../support/engines.ts";
import { outline, storedTape } from "../support/new-tasks.ts";
import { describeHeavyOnEachStore } from "../support/stores.ts";

describeHeavyOnEachStore("cancelTask", (store) => {
  const wait = kindOf("wait", ({ signal }) => untilStopped(signal));

  it("ends a pending task at once, before its first attempt", async () => {
    await using engine = await startEngine(store(), { kinds: [wait], slots: 1 });
    const first = await startRunning(engine, { kind: "wait" });
    const second = await start(engine, { kind: "wait" });
    const { outcome, task } = await engine.cancelTask(second, { reason: "not now", by: null });
    assert.deepEqual([outcome, task.status, task.startedAt], ["cancelled", "cancelled", null]);
    const { error, tape, startedAt } = await outcomeOf(engine, second);
    assert.deepEqual([error, startedAt], [{ reason: "CANCELLED", message: "not now" }, null]);
    assert.deepEqual(outline(tape), ["final"]);
    await engine.cancelTask(first, { reason: "", by: null });
    assert.deepEqual(outline(await wholeTape(engine, first)), ["started", "cancel_requested", "final"]);
    assert.deepEqual(outline(await wholeTape(engine, second)), ["final"]);
  });

  it("notifies the code of a running task, and the code ends the task", async () => {
    const kind = kindOf("tidy", async (task) => {
      await untilStopped(task.signal).catch(() => task.log("INFO", (task.signal.reason as Error).message));
      task.signal.throwIfAborted();
    });
    await using engine = await startEngine(store(), { kinds: [kind] });
    const taskId = await startRunning(engine, { kind: "tidy" });
    const { outcome, task } = await engine.cancelTask(taskId, { reason: "enough", by: null });
    assert.deepEqual([outcome, task.status, task.cancelReason], ["requested", "running", "enough"]);
    const { status, error, tape } = await outcomeOf(engine, taskId);
    assert.deepEqual([status, error], ["cancelled", { reason: "CANCELLED", message: "enough" }]);
    assert.deepEqual(outline(tape), ["started", "cancel_requested", "log", "final"]);
    assert.deepEqual(JSON.parse(tape[1]!.body), { reason: "enough" });
  });

  it("leaves a task succeeded if its code answers the cancel with a result", async () => {
    const kind = kindOf("stubborn", ({ signal }) => untilStopped(signal).catch(() => ({ done: true })));
    await using engine = await startEngine(store(), { kinds: [kind] });
    const taskId = await startRunning(engine, { kind: "stubborn" });
    await engine.cancelTask(taskId, { reason: "", by: null });
    const { status, result } = await outcomeOf(engine, taskId);
    assert.deepEqual([status, result], ["succeeded", { done: true }]);
  });

  it("ends a task as cancelled if its code fails because of the cancel, without a retry", async () => {
    const kind = kindOf("fails", ({ signal }) =>
      untilStopped(signal).catch(() => Promise.reject(new Error("broken off"))),
    );
    await using engine = await startEngine(store(), { kinds: [kind] });
    const taskId = await startRunning(engine, { kind: "fails", maxAttempts: 5 });
    await engine.cancelTask(taskId, { reason: "", by: null });
    const { status, error } = await outcomeOf(engine, taskId);
    assert.deepEqual([status, error?.reason], ["cancelled", "CANCELLED"]);
  });

  it("takes the task from code that ignores the cancel, and refuses further events of the code", async () => {
    const release = Promise.withResolvers<void>();
    const refusals = Promise.withResolvers<string[]>();
    const kind = kindOf("deaf", async (task) => {
      await task.log("INFO", "before");
      await release.promise;
      const emits = [task.log("INFO", "late"), task.progress("p"), task.partial("k", {}), task.flush()];
      const outcomes = await Promise.allSettled(emits);
      refusals.resolve(
        outcomes.map((outcome) =>
          outcome.status === "rejected" ? (outcome.reason as { reason: string }).reason : "taken",
        ),
      );
      return { late: true };
    });
    await using engine = await startEngine(store(), { kinds: [kind], cancelGraceMs: 50, slots: 1 });
    const taskId = await start(engine, { kind: "deaf" });
    await untilEvent(engine, taskId, "log");
    await engine.cancelTask(taskId, { reason: "now", by: null });
    const { status, tape } = await outcomeOf(engine, taskId);
    assert.equal(status, "cancelled");
    assert.deepEqual(outline(tape), ["started", "log", "cancel_requested", "final"]);
    // The slot is free, although the code still runs.
    await outcomeOf(engine, await start(engine, { params: { count: 0 } }));
    release.resolve();
    assert.deepEqual(await refusals.promise, ["LEASE_LOST", "LEASE_LOST", "LEASE_LOST", "LEASE_LOST"]);
    const { namespace } = engine;
    assert.deepEqual(await storedTape(store().db, { namespace, taskId }), tape);
    assert.equal((await engine.getTask(taskId)).status, "cancelled");
  });

  it("requests one cancel if it is called several times at once", async () => {
    await using engine = await startEngine(store(), { kinds: [wait] });
    for (let round = 0; round < 10; round++) {
      const taskId = await startRunning(engine, { kind: "wait" });
      const answers = await Promise.all(
        ["first", "second", "third"].map((reason) => engine.cancelTask(taskId, { reason, by: null })),
      );
      for (const { outcome } of answers) assert.notEqual(outcome, "cancelled");
      const { error, tape } = await outcomeOf(engine, taskId);
      assert.deepEqual(outline(tape), ["started", "cancel_requested", "final"]);
      assert.equal(error?.message, (JSON.parse(tape[1]!.body) as { reason: string }).reason);
    }
  });

  it("answers cancelled once if it is called several times at once for a pending task", async () => {
    await using engine = await startEngine(store());
    const runAt = new Date(Date.now() + 3_600_000);
    for (let round = 0; round < 10; round++) {
      const taskId = await start(engine, { runAt });
      const answers = await Promise.all([1, 2, 3].map(() => engine.cancelTask(taskId, { reason: "", by: null })));
      const outcomes = answers.map(({ outcome }) => outcome).sort();
      assert.deepEqual(outcomes, ["already_terminal", "already_terminal", "cancelled"]);
      assert.deepEqual(outline(await wholeTape(engine, taskId)), ["final"]);
    }
  });

  it("changes nothing on a finished task, and answers already_terminal", async () => {
    await using engine = await startEngine(store());
    const taskId = await start(engine, { params: { count: 1 } });
    const { tape } = await outcomeOf(engine, taskId);
    const before = await engine.getTask(taskId);
    for (let again = 0; again < 2; again++) {
      const { outcome, task } = await engine.cancelTask(taskId, { reason: "too late", by: null });
      assert.deepEqual([outcome, task], ["already_terminal", before]);
    }
    assert.deepEqual(await wholeTape(engine, taskId), tape);
  });

  it("ends a task that waits for its next attempt", async () => {
    const kind = kindOf("fails", () => Promise.reject(new Error("no")));
    await using engine = await startEngine(store(), { kinds: [kind] });
    const taskId = await start(engine, { kind: "fails", maxAttempts: 10 });
    await untilEvent(engine, taskId, "retrying");
    assert.equal((await engine.cancelTask(taskId, { reason: "", by: null })).outcome, "cancelled");
    const { tape, error } = await outcomeOf(engine, taskId);
    assert.deepEqual(outline(tape), ["started", "retrying", "final"]);
    assert.equal(error?.reason, "CANCELLED");
  });

  it("leaves one end, on which row and tape agree, if it races with the end of the task", async () => {
    await using engine = await startEngine(store());
    const outcomes = new Map<string, number>();
    await Promise.all(
      Array.from({ length: 200 }, async (_, round) => {
        const taskId = await start(engine, { params: { count: round % 20 } });
        const cancels = [
          engine.cancelTask(taskId, { reason: "", by: null }),
          engine.cancelTask(taskId, { reason: "", by: null }),
        ];
        const { status, tape } = await outcomeOf(engine, taskId);
        const asked = outline(tape).filter((type) => type === "cancel_requested").length;
        const said = (await Promise.all(cancels)).map(({ outcome }) => outcome);
        assert.equal(asked, said.includes("requested") ? 1 : 0);
        if (said.includes("cancelled")) assert.deepEqual(outline(tape), ["final"]);
        if (status === "cancelled") assert.ok(said.includes("requested") || said.includes("cancelled"));
        outcomes.set(status, (outcomes.get(status) ?? 0) + 1);
      }),
    );
    assert.equal((outcomes.get("succeeded") ?? 0) + (outcomes.get("cancelled") ?? 0), 200);
    const page = await engine.listTasks({ limit: 1_000, beforeTaskId: null, statuses: [], kinds: [], labels: {} });
    const finals = await store()
      .db.selectFrom("task_events")
      .select("task_id")
      .where("type", "=", "final")
      .where(
        "task_id",
        "in",
        page.tasks.map(({ taskId }) => taskId),
      )
      .execute();
    assert.equal(finals.length, 200);
  });
});
