import assert from "node:assert/strict";
import { endWithProcess, outliveProcess } from "../../src/domain/lifecycle.ts";
import { after, asked, AT, HAPPENINGS, CONTEXT, task } from "./happenings.ts";
import type { Life } from "./happenings.ts";

const many = (life: Partial<Life> = {}) => task({ maxAttempts: 10, ...life });
const unknown = { crashesMax: 3, message: null };
const known = { crashesMax: 3, message: "the code of the task took its process down: no" };

/** The decision, its reason, and the number of crashes in a row. */
function decided(transition: ReturnType<typeof endWithProcess>): unknown[] {
  if (transition.type === "unchanged" || transition.type === "ask") return [transition.type];
  const { error } = JSON.parse(transition.event.body) as { error: { reason: string } };
  return [transition.type, error.reason, transition.crashes];
}

describe("a task whose process died", () => {
  it("is retried until the maximum of crashed attempts in a row, even if it has attempts left", () => {
    const outcomes = [0, 1, 2, 3].map((crashes) => decided(endWithProcess(many({ crashes }), unknown, CONTEXT)));
    assert.deepEqual(outcomes, [
      ["requeue", "WORKER_LOST", 1],
      ["requeue", "WORKER_LOST", 2],
      ["end", "WORKER_CRASHED", 3],
      ["end", "WORKER_CRASHED", 4],
    ]);
    assert.deepEqual(decided(endWithProcess(many(), { ...unknown, crashesMax: 1 }, CONTEXT)), [
      "end",
      "WORKER_CRASHED",
      1,
    ]);
  });

  it("has the reason WORKER_CRASHED at once if its own code ended the process", () => {
    const outcomes = [0, 2].map((crashes) => decided(endWithProcess(many({ crashes }), known, CONTEXT)));
    assert.deepEqual(outcomes, [
      ["requeue", "WORKER_CRASHED", 1],
      ["end", "WORKER_CRASHED", 3],
    ]);
    assert.deepEqual(decided(endWithProcess(task(), known, CONTEXT)), ["end", "WORKER_CRASHED", 1]);
  });

  it("ends as lost after its last attempt, or as its caller or its deadline requires", () => {
    assert.deepEqual(decided(endWithProcess(task(), unknown, CONTEXT)), ["end", "WORKER_LOST", 1]);
    assert.equal(decided(endWithProcess(asked({ maxAttempts: 10, crashes: 2 }), unknown, CONTEXT))[1], "CANCELLED");
    assert.equal(
      decided(endWithProcess(many({ deadlineAt: AT, crashes: 2 }), unknown, CONTEXT))[1],
      "DEADLINE_EXCEEDED",
    );
    for (const status of ["pending", "succeeded", "failed", "cancelled"] as const) {
      assert.deepEqual(decided(endWithProcess(many({ status }), unknown, CONTEXT)), ["unchanged"]);
    }
  });

  it("restarts the count after an attempt that ended otherwise, and keeps it after one that proves nothing", () => {
    const life = many({ crashes: 2, deadlineAt: after(3_600_000) });
    for (const [happening, crashes] of [
      ["threw", 0],
      ["handover", 0],
      ["shutdown", 0],
      ["lost", 2],
    ] as const) {
      const transition = HAPPENINGS[happening](life);
      assert.deepEqual([happening, transition.type === "requeue" && transition.crashes], [happening, crashes]);
    }
  });
});

describe("a task whose process is ended by another task's code", () => {
  it("loses no attempt and counts no crash if it can run again", () => {
    for (const [life, isResumable] of [
      [task(), true],
      [many({ crashes: 2 }), false],
    ] as const) {
      const transition = outliveProcess(life, { isResumable }, CONTEXT);
      assert.ok(transition.type === "requeue" && transition.isHandover);
      assert.deepEqual([transition.nextAttemptAt, transition.crashes], [AT, life.crashes]);
    }
    assert.deepEqual(decided(outliveProcess(task(), { isResumable: false }, CONTEXT)), [
      "end",
      "WORKER_LOST",
      undefined,
    ]);
  });
});
