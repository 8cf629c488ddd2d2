import assert from "node:assert/strict";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { connect } from "../../src/client/client.ts";
import type { SpoolClient } from "../../src/client/client.ts";
import { TaskStatus } from "../../src/gen/spool/v1/task_pb.ts";
import { CancelOutcome } from "../../src/gen/spool/v1/task_service_pb.ts";
import { failure, frame, serveScript, T0, tape, TASK_ID, taskMessage } from "./scripted-server.ts";
import type { Script } from "./scripted-server.ts";

describe("a client", () => {
  it("runs a task: starts it, and follows it to its end", async () => {
    await using server = await serveScript({
      async *runTask() {
        yield { task: taskMessage(), alreadyStarted: true };
        yield frame(tape(4));
      },
    });
    using client = connect({ address: server.address });
    const { task, alreadyStarted, events } = await client.run({ kind: "echo" });
    assert.deepEqual([task.taskId, alreadyStarted], [TASK_ID, true]);
    assert.deepEqual(
      (await Array.fromAsync(events)).map(({ seq }) => seq),
      [1n, 2n, 3n, 4n],
    );
    assert.deepEqual(server.calls, { runTask: 1 });
  });

  it("runs a task once even if the start is repeated, and follows it over a broken stream", async () => {
    const requestIds = new Set<string>();
    const seen = Promise.withResolvers<void>();
    await using server = await serveScript({
      async *runTask({ start }, { attempt }) {
        requestIds.add(start!.requestId);
        if (attempt === 1) throw failure("UNAVAILABLE", "not yet", { retryAfterMs: 1 });
        yield { task: taskMessage(), alreadyStarted: false };
        yield frame(tape(4).slice(0, 2));
        await seen.promise;
        throw failure("UNAVAILABLE", "draining", { retryAfterMs: 1 });
      },
      async *streamEvents({ fromSeq }) {
        yield frame(tape(4).slice(Number(fromSeq) - 1));
      },
    });
    using client = connect({ address: server.address });
    const { events } = await client.run({ kind: "echo" });
    const seqs: bigint[] = [];
    for await (const { seq } of events) {
      seqs.push(seq);
      if (seq === 2n) seen.resolve();
    }
    assert.deepEqual(seqs, [1n, 2n, 3n, 4n]);
    assert.deepEqual([requestIds.size, server.calls], [1, { runTask: 2, streamEvents: 1 }]);
  });

  it("leaves it to the server to reject waits and heartbeats that no timer can hold", async () => {
    const refused = async () => {
      await new Promise((resolve) => setTimeout(resolve, 20)); // Later than a timer that overflows.
      throw failure("INVALID_ARGUMENT", "too long", { reason: "INVALID_ARGUMENT" });
    };
    await using server = await serveScript({
      getResult: refused,
      getEvents: refused,
      async *streamEvents() {
        yield await refused();
      },
    });
    using client = connect({ address: server.address, heartbeatMs: 1e12, retryMs: 0 });
    const tape = { taskId: TASK_ID, waitMs: 1e12 };
    for (const call of [client.result(tape), client.events(tape), Array.fromAsync(client.follow(tape))]) {
      await assert.rejects(call, { code: "INVALID_ARGUMENT", message: "too long" });
    }
  });

  it("rejects a run whose first frame has no task", async () => {
    await using server = await serveScript({
      async *runTask() {
        yield frame(tape(4));
      },
    });
    using client = connect({ address: server.address });
    await assert.rejects(client.run({ kind: "echo" }), { code: "DATA_LOSS" });
  });

  it("returns the times of a task as dates, and null for unset fields", async () => {
    const running = await asking(
      { getTask: () => ({ task: taskMessage({ params: { a: 1 }, timeout: { seconds: 2n }, lastSeq: 7n }) }) },
      (client) => client.get({ taskId: TASK_ID }),
    );
    assert.deepEqual(running, {
      taskId: TASK_ID,
      kind: "echo",
      status: "running",
      params: { a: 1 },
      paramsDigest: "0".repeat(64),
      labels: {},
      requestId: null,
      createdAt: new Date(T0),
      startedAt: null,
      finishedAt: null,
      runAt: null,
      deadlineAt: null,
      attemptDeadlineAt: null,
      timeoutMs: 2_000,
      retentionMs: null,
      attempt: 0,
      maxAttempts: 1,
      handovers: 0,
      awaitsWorker: false,
      retryPolicy: { initialBackoffMs: 1_000, maxBackoffMs: 300_000, backoffMultiplier: 2, jitter: 0.2 },
      cancelRequestedAt: null,
      startedBy: null,
      cancelledBy: null,
      lastSeq: 7n,
    });
  });

  it("returns a task's retry policy, attempts and deadlines", async () => {
    const second = { seconds: 1n };
    const given = { initialBackoff: second, maxBackoff: { nanos: 2_000_000 }, backoffMultiplier: 1.5, jitter: 0 };
    const times = { deadlineAt: timestampFromMs(T0 + 2), attemptDeadlineAt: timestampFromMs(T0 + 1) };
    const { retryPolicy, ...task } = await asking(
      { getTask: () => ({ task: taskMessage({ ...times, retention: second, retryPolicy: given, handovers: 2 }) }) },
      (client) => client.get({ taskId: TASK_ID }),
    );
    assert.deepEqual(retryPolicy, { initialBackoffMs: 1_000, maxBackoffMs: 2, backoffMultiplier: 1.5, jitter: 0 });
    assert.deepEqual([task.deadlineAt, task.attemptDeadlineAt], [new Date(T0 + 2), new Date(T0 + 1)]);
    assert.deepEqual([task.handovers, task.retentionMs], [2, 1_000]);
  });

  it("rejects a task without a retry policy", async () => {
    const get = (client: SpoolClient) => client.get({ taskId: TASK_ID });
    for (const retryPolicy of [undefined, { backoffMultiplier: 2, jitter: 0 }]) {
      const getTask = () => ({ task: taskMessage({ retryPolicy }) });
      await assert.rejects(asking({ getTask }, get), { code: "DATA_LOSS" });
    }
  });

  it("returns the requested page of events", async () => {
    let asked: unknown;
    const page = await asking(
      {
        getEvents: ({ fromSeq, limit, wait }) => {
          asked = [fromSeq, limit, wait?.seconds];
          const events = tape(9).slice(2, 5);
          return { events, nextFromSeq: 6n, lastSeq: 9n, status: TaskStatus.RUNNING, taskId: TASK_ID, hasMore: true };
        },
      },
      (client) => client.events({ taskId: TASK_ID, fromSeq: 3n, limit: 3, waitMs: 5_000 }),
    );
    assert.deepEqual(asked, [3n, 3, 5n]);
    assert.equal(page.events.length, 3);
    assert.deepEqual([page.nextFromSeq, page.lastSeq, page.status, page.hasMore], [6n, 9n, "running", true]);
  });

  it("leaves the default page limit to the server", async () => {
    let limit: unknown = "not asked";
    const answer = { nextFromSeq: 1n, status: TaskStatus.PENDING, taskId: TASK_ID };
    await asking({ getEvents: (request) => ((limit = request.limit), answer) }, (client) =>
      client.events({ taskId: TASK_ID }),
    );
    assert.equal(limit, undefined);
  });

  it("returns a result, and the error of a failed task", async () => {
    const finishedAt = timestampFromMs(T0);
    const head = { taskId: TASK_ID, finishedAt };
    const ask = (client: SpoolClient) => client.result({ taskId: TASK_ID });
    const outcome = { case: "result" as const, value: { n: 1 } };
    const good = await asking({ getResult: () => ({ ...head, status: TaskStatus.SUCCEEDED, outcome }) }, ask);
    assert.deepEqual(good, {
      taskId: TASK_ID,
      status: "succeeded",
      startedAt: null,
      finishedAt: new Date(T0),
      result: { n: 1 },
    });
    const error = {
      case: "error" as const,
      value: { reason: "CANCELLED", message: "so asked", details: { by: "me" } },
    };
    const bad = await asking({ getResult: () => ({ ...head, status: TaskStatus.CANCELLED, outcome: error }) }, ask);
    assert.equal(bad.status, "cancelled");
    assert.deepEqual(bad.error, { reason: "CANCELLED", message: "so asked", details: { by: "me" } });
  });

  it("cancels a task and returns the outcome", async () => {
    let asked: unknown;
    const outcome = CancelOutcome.ALREADY_TERMINAL;
    const cancelled = await asking(
      { cancelTask: ({ reason }) => ((asked = reason), { task: taskMessage(), outcome }) },
      (client) => client.cancel({ taskId: TASK_ID, reason: "too late" }),
    );
    assert.deepEqual([asked, cancelled.outcome], ["too late", "already_terminal"]);
  });

  it("deletes a task, and repeats the call until it is answered", async () => {
    const answers: boolean[] = [];
    const { alreadyDeleted } = await asking(
      {
        deleteTask: ({ taskId }, { attempt }) => {
          answers.push(taskId === TASK_ID);
          if (attempt === 1) throw failure("UNAVAILABLE", "not yet", { retryAfterMs: 1 });
          return { alreadyDeleted: true };
        },
      },
      (client) => client.delete({ taskId: TASK_ID }),
    );
    assert.deepEqual([alreadyDeleted, answers], [true, [true, true]]);
  });

  it("lists page after page, each with the filter", async () => {
    const asked: unknown[] = [];
    const script: Script = {
      listTasks: ({ pageToken, statuses, kinds, labels, pageSize }) => {
        asked.push([pageToken, statuses, kinds, { ...labels }, pageSize]);
        const taskId = pageToken === "" ? "1" : "2";
        return { tasks: [taskMessage({ taskId })], nextPageToken: pageToken === "" ? "next" : "" };
      },
    };
    const filter = { statuses: ["failed", "cancelled"], kinds: ["echo"], labels: { a: "b" }, pageSize: 1 } as const;
    const tasks = await asking(script, (client) => Array.fromAsync(client.list(filter)));
    const rest = [[TaskStatus.FAILED, TaskStatus.CANCELLED], ["echo"], { a: "b" }, 1];
    assert.deepEqual(asked, [
      ["", ...rest],
      ["next", ...rest],
    ]);
    assert.deepEqual(
      tasks.map(({ taskId }) => taskId),
      ["1", "2"],
    );
  });

  it("rejects a page that names itself as the next page", async () => {
    const script: Script = { listTasks: () => ({ tasks: [taskMessage()], nextPageToken: "again" }) };
    await assert.rejects(
      asking(script, (client) => Array.fromAsync(client.list())),
      { code: "DATA_LOSS" },
    );
  });

  it("waits for final across restarts of the server", async () => {
    const script: Script = {
      getEvents: ({ fromSeq }, { attempt }) => {
        if (attempt % 2 === 0) throw failure("UNAVAILABLE", "restarting", { reason: "DRAINING", retryAfterMs: 1 });
        const events = tape(5).slice(Number(fromSeq) - 1, Number(fromSeq) + 1);
        return { events, lastSeq: 5n, status: TaskStatus.SUCCEEDED, taskId: TASK_ID };
      },
    };
    const final = await asking(script, (client) => client.waitFinal({ taskId: TASK_ID, timeoutMs: 10_000 }));
    assert.equal(final.seq, 5n);
  });

  it("throws the caller's reason when the caller aborts a call", async () => {
    const leaving = new Error("leaving");
    const caller = new AbortController();
    const script: Script = {
      getResult: async (_, { cancelled }) => {
        caller.abort(leaving);
        await cancelled;
        return {};
      },
    };
    const ask = (client: SpoolClient) => client.result({ taskId: TASK_ID, waitMs: 60_000 }, { signal: caller.signal });
    await assert.rejects(asking(script, ask), leaving);
  });

  it("rejects a token that a header cannot carry", () => {
    assert.throws(() => connect({ token: "two\nlines" }), { name: "TypeError", message: /^token: (?!.*two)/ });
  });
});

async function asking<T>(script: Script, ask: (client: SpoolClient) => Promise<T>): Promise<T> {
  await using server = await serveScript(script);
  using client = connect({ address: server.address });
  return await ask(client);
}
