import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { WorkerAttempts } from "../../../src/client/worker/worker-attempts.ts";
import { AssignSchema, FinishedSchema, LeaseLostSchema } from "../../../src/gen/spool/v1/worker_service_pb.ts";
import { kindOf, untilStopped } from "../../support/engine-tasks.ts";
import { eventually } from "../../support/eventually.ts";
import { traceHere } from "../../support/traced-here.ts";

const TASK = { taskId: crypto.randomUUID(), attempt: 1 };

/** Attempts of three kinds: one never ends, one ends on its signal, and one throws a value without text. */
function attempts(kind: string) {
  const never = kindOf("never", () => new Promise(() => {}));
  const heeds = kindOf("heeds", ({ signal }) => untilStopped(signal));
  const throws = kindOf("throws", () => Promise.reject(Object.create(null) as Error));
  const held = new WorkerAttempts({ kinds: [never, heeds, throws], onNotice: () => {}, onUnsent: () => {} });
  held.take({ case: "assign", value: create(AssignSchema, { ...TASK, kind }) });
  return held;
}

describe("the span of a worker's attempt", () => {
  const ways: [string, string, (held: WorkerAttempts) => void, string][] = [
    [
      "its lease is lost",
      "never",
      (held) => held.take({ case: "leaseLost", value: create(LeaseLostSchema, TASK) }),
      "lost",
    ],
    ["it is released", "never", (held) => held.releaseAll(), "handed_over"],
    ["the worker ends", "never", (held) => held.closeAll(), "lost"],
    ["the next attempt starts", "never", next, "lost"],
    ["its code stops because the lease is lost", "heeds", (held) => held.closeAll(), "lost"],
    ["its code stops because of a shutdown", "heeds", (held) => held.stopAll(), "handed_over"],
    ["it throws a value without text", "throws", () => {}, "failed"],
  ];
  for (const [when, kind, end, outcome] of ways) {
    it(`ends when ${when}: ${outcome}`, async () => {
      using traced = traceHere();
      const held = attempts(kind);
      end(held);
      const outcomes = () => traced.spans().map(({ attributes }) => attributes["spool.task.outcome"]);
      await eventually(() => assert.deepEqual(outcomes(), [outcome]));
      held.take({ case: "finished", value: create(FinishedSchema, TASK) });
      held.closeAll();
    });
  }

  function next(held: WorkerAttempts): void {
    const assigned = create(AssignSchema, { taskId: TASK.taskId, attempt: 2, kind: "none" });
    held.take({ case: "assign", value: assigned });
  }
});
