import assert from "node:assert/strict";
import { InvalidArgument, SpoolError, TaskNotFound } from "../../src/domain/errors.ts";
import { TaskError } from "../../src/domain/kind.ts";
import { runAttempt, validateParams } from "../../src/domain/attempt.ts";
import { kindOf } from "../support/engine-tasks.ts";

/** The modules of another copy of Spool, as a package of kinds brings it. Node loads a module anew for each query. */
const COPY = "?copy";
const others = {
  errors: (await import(`../../src/domain/errors.ts${COPY}`)) as typeof import("../../src/domain/errors.ts"),
  kind: (await import(`../../src/domain/kind.ts${COPY}`)) as typeof import("../../src/domain/kind.ts"),
};

describe("an error of another copy of Spool", () => {
  it("is an instance of the class with its name, and of no other", () => {
    assert.notEqual(others.kind.TaskError, TaskError);
    const failed = new others.kind.TaskError("TIRED", "again");
    assert.ok(failed instanceof TaskError);
    assert.ok(!(failed instanceof SpoolError));
    const invalid = new others.errors.InvalidArgument([{ field: "a", description: "must be b" }]);
    assert.ok(invalid instanceof InvalidArgument && invalid instanceof SpoolError);
    assert.ok(!(invalid instanceof TaskNotFound) && !(invalid instanceof TaskError));
    for (const value of [null, undefined, "TaskError", {}, new Error("TaskError")]) {
      assert.ok(!((value as unknown) instanceof TaskError));
    }
    class Special extends TaskError {}
    assert.ok(new Special("A", "b") instanceof TaskError && !(failed instanceof Special));
  });

  it("ends an attempt with its reason and without a retry, as the kind asked", async () => {
    const kind = kindOf("test", async () => {
      throw new others.kind.TaskError("TIRED", "again", { retryable: false, details: { n: 1 } });
    });
    const sink = { emit: async () => {}, flush: async () => {} };
    const task = { taskId: "1", attempt: 1, params: {} };
    const parts = { kind, task, sink, lastCheckpoint: async () => null, traceparent: null };
    assert.deepEqual(await runAttempt(parts, new AbortController().signal, () => {}), {
      type: "threw",
      failure: { reason: "TIRED", message: "again", details: { n: 1 } },
      because: null,
      isFinal: true,
    });
  });

  it("refuses params with its fields", () => {
    const invalid = new others.errors.InvalidArgument([{ field: "params.n", description: "must be a number" }]);
    const kind = {
      ...kindOf("test", async () => {}),
      parseParams: () => {
        throw invalid;
      },
    };
    const validation = validateParams(kind, {});
    assert.ok("failure" in validation);
    assert.equal(validation.failure.reason, "INVALID_ARGUMENT");
  });
});
