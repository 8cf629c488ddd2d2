import assert from "node:assert/strict";
import { outcomeOf, start } from "../../support/engine-tasks.ts";
import { startEngine } from "../../support/engines.ts";
import { outline } from "../../support/new-tasks.ts";
import { refOf, ScriptedWorker } from "../../support/scripted-worker.ts";
import { describeHeavyOnEachStore } from "../../support/stores.ts";

describeHeavyOnEachStore("a worker whose task emits more than the namespace allows", (store) => {
  it("has the task ended at once, whatever it sends after that", async () => {
    await using engine = await startEngine(store(), { limits: () => ({ eventsPerTask: 3 }) });
    await using worker = await ScriptedWorker.connect(engine);
    const taskId = await start(engine, { kind: "remote", maxAttempts: 3 });
    const ref = refOf(await worker.next("assign"));
    await worker.append(ref, 1, 2, 3, 4, 5);
    await worker.next("finished");
    await worker.finish(ref, 6);
    const { status, error, tape } = await outcomeOf(engine, taskId);
    assert.deepEqual([status, error?.reason], ["failed", "LIMIT_EXCEEDED"]);
    assert.deepEqual(outline(tape), ["started", 1, 2, "final"]);
  });
});
