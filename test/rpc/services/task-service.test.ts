import assert from "node:assert/strict";
import { create, toJson } from "@bufbuild/protobuf";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import type { ServiceImpl } from "@connectrpc/connect";
import { LIST_BYTES_MAX, MESSAGE_BYTES_MAX } from "../../../src/domain/limits.ts";
import type { TaskView } from "../../../src/engine/api/task-engine.ts";
import {
  CancelOutcome,
  GetTaskRequestSchema,
  GetTaskResponseSchema,
  ListTasksRequestSchema,
  ListTasksResponseSchema,
  RunTaskRequestSchema,
  TaskService,
} from "../../../src/gen/spool/v1/task_service_pb.ts";
import type { RunTaskResponse } from "../../../src/gen/spool/v1/task_service_pb.ts";
import type { CallContext } from "../../../src/rpc/call/service.ts";
import { encodeMessage } from "../../../src/rpc/codec/tape-message.ts";
import { taskService } from "../../../src/rpc/services/task-service.ts";
import { aLogEvent, aPage, aTask, fakeEngine, TASK_ID } from "../fake-engine.ts";

const CONTEXT: CallContext = { signal: new AbortController().signal, requestHeader: new Headers() };

describe("TaskService", () => {
  it("can also be served by Connect", async () => {
    const implementation: ServiceImpl<typeof TaskService> = taskService(
      fakeEngine({
        async cancelTask(taskId, cancel) {
          return { task: aTask({ taskId, kind: cancel.reason }), outcome: "requested" };
        },
      }),
    );
    const client = createClient(
      TaskService,
      createRouterTransport(({ service }) => void service(TaskService, implementation)),
    );
    const { task, outcome } = await client.cancelTask({ taskId: TASK_ID, reason: "enough" });
    assert.deepEqual([task!.taskId, task!.kind, outcome], [TASK_ID, "enough", CancelOutcome.REQUESTED]);
  });

  it("returns all fields of a task except internal ones", async () => {
    const retryPolicy = { initialBackoffMs: 1, maxBackoffMs: 1_500, backoffMultiplier: 1.5, jitter: 0 };
    const secrets = { lease: "a session", exclusiveKey: "a key", checkpointSeq: 3n, cancelReason: "a reason" };
    const task = aTask({
      ...secrets,
      params: { a: 1 },
      labels: { team: "search" },
      requestId: "mine",
      startedAt: null,
      runAt: new Date(4_000),
      deadlineAt: new Date(5_000),
      attemptDeadlineAt: new Date(4_500),
      timeoutMs: 500,
      retentionMs: 1_500,
      attempt: 3,
      maxAttempts: 2,
      handovers: 2,
      retryPolicy,
      lastSeq: 9n,
    });
    const service = taskService(fakeEngine({ getTask: async () => task }));
    const answer = await service.getTask(create(GetTaskRequestSchema, { taskId: TASK_ID }), CONTEXT);
    assert.deepEqual(toJson(GetTaskResponseSchema, create(GetTaskResponseSchema, answer)), {
      task: {
        taskId: TASK_ID,
        kind: "echo",
        status: "TASK_STATUS_RUNNING",
        params: { a: 1 },
        paramsDigest: "0".repeat(64),
        labels: { team: "search" },
        requestId: "mine",
        createdAt: "1970-01-01T00:00:01Z",
        runAt: "1970-01-01T00:00:04Z",
        deadlineAt: "1970-01-01T00:00:05Z",
        attemptDeadlineAt: "1970-01-01T00:00:04.500Z",
        timeout: "0.500s",
        retention: "1.500s",
        attempt: 3,
        maxAttempts: 2,
        handovers: 2,
        retryPolicy: { initialBackoff: "0.001s", maxBackoff: "1.500s", backoffMultiplier: 1.5, jitter: 0 },
        lastSeq: "9",
      },
    });
  });

  describe("RunTask", () => {
    const events = [aLogEvent(1), aLogEvent(2)];

    async function run(pages: ReturnType<typeof aPage>[]): Promise<RunTaskResponse[]> {
      const service = taskService(
        fakeEngine({
          async startTask() {
            return { task: aTask({ status: "pending" }), alreadyStarted: true };
          },
          async *followTape() {
            yield* pages;
          },
        }),
      );
      return Array.fromAsync(service.runTask(create(RunTaskRequestSchema, { start: { kind: "echo" } }), CONTEXT));
    }

    it("starts with the task and no event and continues with the tape", async () => {
      const [first, ...rest] = await run([aPage(events), aPage([], { nextFromSeq: 3n, lastSeq: 2n })]);
      assert.deepEqual([first!.task!.taskId, first!.alreadyStarted, first!.nextFromSeq], [TASK_ID, true, 1n]);
      assert.deepEqual(
        [first!, ...rest].map((frame) => frame.events.length),
        [0, 2, 0],
      );
      for (const frame of rest) assert.equal(frame.task, undefined);
    });

    it("repeats nothing if the tape is empty at first", async () => {
      const frames = await run([aPage([]), aPage(events)]);
      assert.deepEqual(
        frames.map((frame) => frame.events.length),
        [0, 2],
      );
    });

    it("sends its first frame before the tape is read", async () => {
      const service = taskService(
        fakeEngine({
          async startTask() {
            return { task: aTask(), alreadyStarted: false };
          },
        }),
      );
      const frames = service
        .runTask(create(RunTaskRequestSchema, { start: { kind: "echo" } }), CONTEXT)
        [Symbol.asyncIterator]();
      const { value } = (await frames.next()) as IteratorResult<RunTaskResponse, undefined>;
      assert.equal(value!.task!.taskId, TASK_ID);
    });
  });

  describe("ListTasks", () => {
    /** Newest first, each with as many labels as there may be. */
    const stored: TaskView[] = Array.from({ length: 300 }, (_, index) => {
      const number = String(300 - index).padStart(12, "0");
      const labels = Object.fromEntries(Array.from({ length: 32 }, (_, label) => [`key-${label}`, "€".repeat(255)]));
      return aTask({ taskId: `018f3a5c-7b1e-7c3d-9a2b-${number}`, params: null, labels });
    });
    const service = taskService(
      fakeEngine({
        async listTasks({ limit, beforeTaskId }) {
          const older = stored.filter(({ taskId }) => beforeTaskId === null || taskId < beforeTaskId);
          return { tasks: older.slice(0, limit), progress: new Map(), hasMore: older.length > limit };
        },
      }),
    );

    it("returns every task once, in pages that fit a message", async () => {
      const seen: string[] = [];
      let pages = 0;
      for (let pageToken = ""; pages === 0 || pageToken !== ""; pages++) {
        const page = await service.listTasks(create(ListTasksRequestSchema, { pageToken, pageSize: 200 }), CONTEXT);
        assert.ok(
          encodeMessage(ListTasksResponseSchema, page).length <= Math.min(LIST_BYTES_MAX + 2_000, MESSAGE_BYTES_MAX),
        );
        seen.push(...page.tasks.map(({ taskId }) => taskId));
        pageToken = page.nextPageToken;
      }
      assert.deepEqual(
        seen,
        stored.map(({ taskId }) => taskId),
      );
      assert.ok(pages > 2);
    });

    it("returns no token after the last page", async () => {
      const last = stored.at(-2)!.taskId;
      const page = await service.listTasks(create(ListTasksRequestSchema, { pageSize: 2 }), CONTEXT);
      assert.notEqual(page.nextPageToken, "");
      const one = taskService(
        fakeEngine({
          listTasks: async () => ({ tasks: [aTask({ taskId: last })], progress: new Map(), hasMore: false }),
        }),
      );
      assert.equal((await one.listTasks(create(ListTasksRequestSchema), CONTEXT)).nextPageToken, "");
      const none = taskService(
        fakeEngine({ listTasks: async () => ({ tasks: [], progress: new Map(), hasMore: false }) }),
      );
      assert.equal((await none.listTasks(create(ListTasksRequestSchema), CONTEXT)).nextPageToken, "");
    });
  });
});
