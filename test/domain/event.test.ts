import assert from "node:assert/strict";
import { isCheckpoint, newEvent } from "../../src/domain/event.ts";

describe("isCheckpoint", () => {
  const partial = (kind: string, payload = {}) => isCheckpoint(newEvent("partial", { kind, payload }));

  it("is true for a partial of kind checkpoint, with any payload", () => {
    assert.ok(partial("checkpoint"));
    assert.ok(partial("checkpoint", { kind: "page", text: '"}' }));
    for (const kind of ["", "page", "Checkpoint", "checkpoint ", "checkpoints", 'checkpoint"', "checkpoin"]) {
      assert.ok(!partial(kind), kind);
    }
    assert.ok(!partial("page", { kind: "checkpoint" }));
  });

  it("is false for any other event that contains the word", () => {
    assert.ok(!isCheckpoint(newEvent("started", { kind: "checkpoint", attempt: 1 })));
    assert.ok(!isCheckpoint(newEvent("log", { level: "INFO", message: "checkpoint" })));
    assert.ok(!isCheckpoint(newEvent("progress", { phase: "checkpoint", current: 0, total: 0 })));
  });
});
