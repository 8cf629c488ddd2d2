import { TASK_ID_PREFIX_CHARS_MIN } from "../../src/domain/limits.ts";
import assert from "node:assert/strict";
import { TaskError } from "../../src/domain/kind.ts";
import { attemptContract } from "./attempt-contract.ts";
import { EndpointError } from "./endpoint.ts";
import type { Endpoint } from "./endpoint.ts";
import { assertGapless, collect, wholeTape } from "./tape-contract.ts";

const UNKNOWN_ID = "01890a5d-ac96-774b-bcce-b302099a8057";

/** What docs/guarantees.md promises of starting, ending and cancelling tasks, at every endpoint. */
export function taskContract(endpoint: () => Endpoint): void {
  attemptContract(endpoint);

  it("a start returns a task that can be read, listed and followed", async () => {
    const labels = { team: crypto.randomUUID() };
    const { task, alreadyStarted } = await endpoint().start({ kind: "echo", labels });
    assert.equal(alreadyStarted, false);
    assert.equal((await endpoint().get(task.taskId)).kind, "echo");
    const listed = await collect(endpoint().list({ labels }));
    assert.deepEqual(
      listed.map(({ taskId }) => taskId),
      [task.taskId],
    );
    assert.equal((await collect(endpoint().follow({ taskId: task.taskId }))).at(-1)!.type, "final");
  });

  it("the same request_id returns the same task for repeated and concurrent starts", async () => {
    const start = { kind: "echo", params: { count: 2 }, requestId: crypto.randomUUID() };
    const started = await Promise.all(Array.from({ length: 8 }, () => endpoint().start(start)));
    assert.equal(new Set(started.map(({ task }) => task.taskId)).size, 1);
    assert.equal(started.filter(({ alreadyStarted }) => !alreadyStarted).length, 1);
    const again = await endpoint().start({ ...start, params: { count: 2 } });
    assert.deepEqual([again.task.taskId, again.alreadyStarted], [started[0]!.task.taskId, true]);
  });

  it("a request_id with other params is refused, and the error names the task that it started", async () => {
    const requestId = crypto.randomUUID();
    const { task } = await endpoint().start({ kind: "echo", params: { count: 1 }, requestId });
    const error = await refusal(endpoint().start({ kind: "echo", params: { count: 2 }, requestId }));
    assert.equal(error.reason, "REQUEST_ID_REUSED");
    assert.equal(error.metadata["task_id"], task.taskId);
  });

  it("a request_id with any other content is refused, and the error names the difference", async () => {
    const hour = 3_600_000;
    const runAt = new Date(Date.now() + hour);
    const start = {
      kind: "echo",
      params: { count: 1 },
      requestId: crypto.randomUUID(),
      labels: { b: "2", a: "1" },
      timeoutMs: 60_000,
      maxAttempts: 3,
      retryPolicy: { initialBackoffMs: 5, jitter: 0 },
      runAt,
      deadlineAt: new Date(runAt.getTime() + hour),
      retentionMs: hour,
    };
    const { task } = await endpoint().start(start);
    const same = await endpoint().start({ ...start, labels: { a: "1", b: "2" }, runAt: new Date(runAt) });
    assert.deepEqual([same.task.taskId, same.alreadyStarted], [task.taskId, true]);
    const unnamed = "run_at, max_attempts or retry_policy";
    const { labels: _, timeoutMs: __, ...bare } = start;
    for (const [other, differs] of [
      [{ ...start, kind: "stage", params: { key: "k" } }, "kind, params"],
      [{ ...start, params: { count: 2 } }, "params"],
      [{ ...start, labels: { a: "1", b: "3" } }, "labels"],
      [{ ...start, timeoutMs: 60_001 }, "timeout"],
      [bare, "labels, timeout"],
      [{ ...start, maxAttempts: 2 }, unnamed],
      [{ ...start, retryPolicy: { initialBackoffMs: 6, jitter: 0 } }, unnamed],
      [{ ...start, retryPolicy: { initialBackoffMs: 5 } }, unnamed],
      [{ ...start, runAt: new Date(runAt.getTime() + 1) }, unnamed],
      [{ ...start, deadlineAt: new Date(runAt.getTime() + hour + 1) }, "deadline_at"],
      [{ ...start, retentionMs: hour + 1 }, "retention"],
    ] as const) {
      const error = await refusal(endpoint().start(other));
      assert.equal(error.reason, "REQUEST_ID_REUSED", differs);
      assert.deepEqual([error.metadata["task_id"], error.metadata["differs"]], [task.taskId, differs]);
    }
  });

  it("a failure has the same error in the status, the final event and the result", async () => {
    const actor = endpoint().stage.actor();
    const { task } = await endpoint().start({ kind: "stage", params: actor.params });
    await actor.enter();
    actor.fail(new TaskError("DISK_FULL", "no space left"));
    const result = await endpoint().result({ taskId: task.taskId, waitMs: 10_000 });
    assert.deepEqual([result.status, result.error], ["failed", { reason: "DISK_FULL", message: "no space left" }]);
    const tape = await collect(endpoint().follow({ taskId: task.taskId }));
    assert.deepEqual(tape.at(-1)!.body, { status: "failed", error: result.error! });
  });

  it("a result of a running task is refused, and the error names the status", async () => {
    const actor = endpoint().stage.actor();
    const { task } = await endpoint().start({ kind: "stage", params: actor.params });
    await actor.enter();
    const error = await refusal(endpoint().result({ taskId: task.taskId }));
    assert.equal(error.reason, "TASK_NOT_TERMINAL");
    assert.equal(error.metadata["current_status"], "running");
    actor.leave({ answer: 42 });
    const result = await endpoint().result({ taskId: task.taskId, waitMs: 10_000 });
    assert.deepEqual([result.status, result.result, result.isStarted], ["succeeded", { answer: 42 }, true]);
  });

  it("a result is available once final was delivered", async () => {
    for (let round = 0; round < 20; round++) {
      const { task } = await endpoint().start({ kind: "echo", params: { count: 1 } });
      for await (const event of endpoint().follow({ taskId: task.taskId })) {
        if (event.type === "final")
          assert.equal((await endpoint().result({ taskId: task.taskId })).status, "succeeded");
      }
    }
  });

  it("a cancel of a pending task ends the task at once, and its code never runs", async () => {
    const { task } = await endpoint().start({ kind: "echo", runAt: new Date(Date.now() + 3_600_000) });
    assert.deepEqual(await endpoint().cancel(task.taskId, "not needed"), { status: "cancelled", outcome: "cancelled" });
    const tape = await wholeTape(endpoint(), task.taskId);
    const error = { reason: "CANCELLED", message: "not needed" };
    assert.deepEqual(tape, [{ seq: 1n, type: "final", body: { status: "cancelled", error } }]);
    const result = await endpoint().result({ taskId: task.taskId });
    assert.deepEqual([result.status, result.isStarted], ["cancelled", false]);
  });

  it("a cancel of a running task is recorded, fires the signal of the code, and the task ends as cancelled", async () => {
    const actor = endpoint().stage.actor();
    const { task } = await endpoint().start({ kind: "stage", params: actor.params });
    const { signal } = await actor.enter();
    signal.addEventListener("abort", () => actor.fail(signal.reason as Error));
    assert.deepEqual(await endpoint().cancel(task.taskId, "enough"), { status: "running", outcome: "requested" });
    const tape = await collect(endpoint().follow({ taskId: task.taskId }));
    assert.deepEqual(
      tape.map(({ type }) => type),
      ["started", "cancel_requested", "final"],
    );
    assert.deepEqual(tape[2]!.body, { status: "cancelled", error: { reason: "CANCELLED", message: "enough" } });
  });

  it("two concurrent cancels are recorded once", async () => {
    const actor = endpoint().stage.actor();
    const { task } = await endpoint().start({ kind: "stage", params: actor.params });
    const { signal } = await actor.enter();
    const outcomes = await Promise.all([endpoint().cancel(task.taskId), endpoint().cancel(task.taskId)]);
    assert.deepEqual(
      outcomes.map(({ outcome }) => outcome),
      ["requested", "requested"],
    );
    actor.fail(signal.reason as Error);
    const types = (await collect(endpoint().follow({ taskId: task.taskId }))).map(({ type }) => type);
    assert.deepEqual(types, ["started", "cancel_requested", "final"]);
  });

  it("a cancel of a finished task changes nothing and reports that", async () => {
    const { task } = await endpoint().start({ kind: "echo" });
    const tape = await collect(endpoint().follow({ taskId: task.taskId }));
    const cancelled = await endpoint().cancel(task.taskId);
    assert.deepEqual(cancelled, { status: "succeeded", outcome: "already_terminal" });
    assert.deepEqual(await wholeTape(endpoint(), task.taskId), tape);
  });

  it("a cancel that races with the end has one outcome and one final, and the answer agrees", async () => {
    for (let round = 0; round < 30; round++) {
      const { task } = await endpoint().start({ kind: "echo", params: { count: round % 5 } });
      const { outcome } = await endpoint().cancel(task.taskId);
      const { status } = await endpoint().result({ taskId: task.taskId, waitMs: 10_000 });
      const tape = await wholeTape(endpoint(), task.taskId);
      assertGapless(tape);
      assert.deepEqual(
        tape.filter(({ type }) => type === "final").map(({ seq, body }) => [seq, body["status"]]),
        [[BigInt(tape.length), status]],
      );
      if (outcome === "already_terminal") assert.equal(status, "succeeded");
    }
  });

  it("a list returns tasks newest first, by status and kind, and each task once over all pages", async () => {
    const labels = { run: crypto.randomUUID() };
    const ids: string[] = [];
    for (let index = 0; index < 7; index++) {
      const { task } = await endpoint().start({ kind: "echo", params: { count: 0 }, labels });
      ids.unshift(task.taskId);
      await endpoint().result({ taskId: task.taskId, waitMs: 10_000 });
    }
    const list = async (filter: object) =>
      (await collect(endpoint().list({ labels, ...filter }))).map((task) => task.taskId);
    assert.deepEqual(await list({ pageSize: 3 }), ids);
    assert.deepEqual(await list({ statuses: ["succeeded"], kinds: ["echo"] }), ids);
    assert.deepEqual(await list({ statuses: ["failed", "running"] }), []);
    assert.deepEqual(await list({ kinds: ["stage"] }), []);
    assert.deepEqual(await list({ taskIdPrefix: ids[0] }), [ids[0]]);
    assert.deepEqual(await list({ taskIdPrefix: ids[0]!.slice(0, 35).toUpperCase() }), [ids[0]]);
    // Ids begin with the time: which of them share the shortest prefix depends on when they were started.
    const prefix = ids[0]!.slice(0, TASK_ID_PREFIX_CHARS_MIN);
    const alike = ids.filter((id) => id.startsWith(prefix));
    assert.deepEqual(await list({ taskIdPrefix: prefix, pageSize: 1 }), alike);
    assert.deepEqual(await list({ taskIdPrefix: "00000000" }), []);
  });

  it("an unknown task is not found by any call", async () => {
    const calls = [
      () => endpoint().get(UNKNOWN_ID),
      () => endpoint().cancel(UNKNOWN_ID),
      () => endpoint().delete(UNKNOWN_ID),
      () => endpoint().events({ taskId: UNKNOWN_ID }),
      () => endpoint().events({ taskId: UNKNOWN_ID, waitMs: 60_000 }),
      () => endpoint().result({ taskId: UNKNOWN_ID }),
      () => endpoint().result({ taskId: UNKNOWN_ID, waitMs: 60_000 }),
      () => collect(endpoint().follow({ taskId: UNKNOWN_ID })),
    ];
    for (const call of calls) {
      const error = await refusal(call());
      assert.deepEqual([error.reason, error.metadata["task_id"]], ["TASK_NOT_FOUND", UNKNOWN_ID]);
    }
  });

  it("a task of a kind that no process has waits with awaits_worker, if servers allow it", async () => {
    const { task } = await endpoint().start({ kind: "nope" });
    assert.deepEqual([task.status, task.awaitsWorker], ["pending", true]);
    assert.equal((await endpoint().get(task.taskId)).awaitsWorker, true);
    const [listed] = await collect(endpoint().list({ kinds: ["nope"], statuses: ["pending"] }));
    assert.deepEqual([listed?.taskId, listed?.awaitsWorker], [task.taskId, true]);
    assert.equal((await endpoint().cancel(task.taskId)).outcome, "cancelled");
    assert.equal((await endpoint().get(task.taskId)).awaitsWorker, false);
  });

  it("params that the kind refuses are refused, and the error names each field", async () => {
    const refused = await refusal(
      endpoint().start({ kind: "echo", params: { count: -1, delay_ms: 10_001, colour: "red" } }),
    );
    assert.equal(refused.reason, "INVALID_ARGUMENT");
    assert.deepEqual([...refused.fields].sort(), ["params.colour", "params.count", "params.delay_ms"]);
  });
}

export async function refusal(call: Promise<unknown>): Promise<EndpointError> {
  const error: unknown = await call.then(
    () => assert.fail("was not refused"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof EndpointError, `not a refusal: ${String(error)}`);
  return error;
}
