import { once } from "node:events";
import type { TapeEvent } from "../../src/domain/event.ts";
import { DEFAULT_RETRY_POLICY } from "../../src/domain/retry.ts";
import type { TaskView, TapePage, TaskEngine } from "../../src/engine/api/task-engine.ts";

export const TASK_ID = "018f3a5c-7b1e-7c3d-9a2b-0123456789ab";

/** An engine that can do what a test of the layers above needs, and nothing else. */
export function fakeEngine(calls: Partial<TaskEngine>): TaskEngine {
  return new Proxy(calls as TaskEngine, {
    get(target, name: keyof TaskEngine) {
      if (Object.hasOwn(target, name)) return target[name];
      return () => {
        throw new Error(`${name} was not to be called`);
      };
    },
  });
}

export function aTask(fields: Partial<TaskView> = {}): TaskView {
  return {
    taskId: TASK_ID,
    kind: "echo",
    status: "running",
    params: {},
    paramsDigest: "0".repeat(64),
    labels: {},
    requestId: null,
    exclusiveKey: null,
    createdAt: new Date(1_000),
    startedAt: new Date(2_000),
    finishedAt: null,
    runAt: null,
    deadlineAt: null,
    traceparent: null,
    attemptDeadlineAt: null,
    timeoutMs: null,
    retentionMs: null,
    attempt: 1,
    maxAttempts: 1,
    handovers: 0,
    crashes: 0,
    retryPolicy: DEFAULT_RETRY_POLICY,
    checkpointSeq: null,
    cancelRequestedAt: null,
    cancelReason: null,
    startedBy: null,
    cancelledBy: null,
    lease: "a session",
    lastSeq: 0n,
    awaitsWorker: false,
    ...fields,
  };
}

/** A line on a tape, by default a short one. */
export function aLogEvent(seq: number | bigint, message = `line ${seq}`): TapeEvent {
  return { seq: BigInt(seq), time: new Date(3_000), type: "log", body: JSON.stringify({ level: "INFO", message }) };
}

/** A page of events in order. */
export function aPage(events: readonly TapeEvent[], fields: Partial<TapePage> = {}): TapePage {
  const last = events.at(-1)?.seq ?? 0n;
  return {
    taskId: TASK_ID,
    status: "running",
    events,
    nextFromSeq: last + 1n,
    lastSeq: last,
    hasMore: false,
    ...fields,
  };
}

/** A task that runs, and says one thing: enough for the tests of an endpoint. */
export const SOME_TASK: Partial<TaskEngine> = {
  async getTask(taskId) {
    return aTask({ taskId });
  },
  /** One event, and then nothing until the reader goes. */
  async *followTape(_query, signal) {
    yield aPage([aLogEvent(1)]);
    await once(signal, "abort");
    throw signal.reason;
  },
};
