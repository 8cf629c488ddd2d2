import assert from "node:assert/strict";
import type { TapeEvent } from "../../src/domain/event.ts";
import { bodyOf } from "../../src/domain/event.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import type { Kind, TaskContext } from "../../src/domain/kind.ts";
import type { RetrySettings } from "../../src/domain/retry.ts";
import type { TaskRequest } from "../../src/domain/task.ts";
import type { Engine } from "../../src/engine/engine.ts";
import type { TaskOutcome } from "../../src/engine/api/task-engine.ts";
import { taskRequest } from "./engines.ts";
import { outline } from "./new-tasks.ts";

const NEVER = new AbortController().signal;
const HEARTBEAT_MS = 1_000;

interface KindOptions {
  exclusiveKey?: (params: JsonObject) => string | null;
  retry?: RetrySettings;
  resumable?: boolean;
}

/** A kind that takes any params and runs this code. */
export function kindOf(
  name: string,
  run: (task: TaskContext) => Promise<JsonObject | void>,
  { exclusiveKey, retry = {}, resumable = false }: KindOptions = {},
): Kind {
  return {
    name,
    parseParams: (params) => params,
    exclusiveKey: (params) => exclusiveKey?.(params as JsonObject) ?? null,
    isExclusive: exclusiveKey !== undefined,
    retry,
    resumable,
    run: (task) => run(task as TaskContext),
  };
}

/** A kind that emits when it is told to, and ends when it is told to. */
export function remote() {
  const emit = Promise.withResolvers<() => Promise<void>>();
  const done = Promise.withResolvers<void>();
  const kind = kindOf("remote", async (task) => {
    emit.resolve(async () => {
      await task.log("INFO", "more");
      await task.flush();
    });
    await done.promise;
  });
  return { kind, emit: async () => (await emit.promise)(), end: () => done.resolve() };
}

/** Rejects with the signal's reason when that fires: code that does nothing but listen. */
export function untilStopped(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason as Error);
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
}

/** Starts a task and gives its id. */
export async function start(engine: Engine, request: Partial<TaskRequest> = {}): Promise<string> {
  return (await engine.startTask(taskRequest(request))).task.taskId;
}

/** Starts a task, waits until it runs and gives its id. */
export async function startRunning(engine: Engine, request: Partial<TaskRequest>): Promise<string> {
  const taskId = await start(engine, request);
  await untilEvent(engine, taskId, "started");
  return taskId;
}

/** Follows a task to its end and gives its tape, which is checked: 1, 2, 3, …, and one final, which is the last. */
export async function wholeTape(engine: Engine, taskId: string, signal = NEVER): Promise<TapeEvent[]> {
  const events: TapeEvent[] = [];
  for await (const page of engine.followTape({ taskId, fromSeq: 1n, heartbeatMs: HEARTBEAT_MS }, signal)) {
    events.push(...page.events);
  }
  const types = outline(events);
  assert.deepEqual([types.indexOf("final"), types.at(-1)], [types.length - 1, "final"]);
  return events;
}

/** Follows a task to its end and gives how it ended, which is the same on its tape and in its row. */
export async function outcomeOf(engine: Engine, taskId: string): Promise<TaskOutcome & { tape: TapeEvent[] }> {
  const tape = await wholeTape(engine, taskId);
  const outcome = await engine.waitForResult({ taskId, waitMs: 0 }, NEVER);
  const { status, result, error } = outcome;
  const final = bodyOf({ ...tape.at(-1)!, type: "final" });
  assert.deepEqual(final, JSON.parse(JSON.stringify({ status, result, error })));
  assert.equal((await engine.getTask(taskId)).status, status);
  return { ...outcome, tape };
}

/** Resolves when something with this type is on the tape. */
export async function untilEvent(engine: Engine, taskId: string, type: TapeEvent["type"]): Promise<TapeEvent> {
  for await (const page of engine.followTape({ taskId, fromSeq: 1n, heartbeatMs: HEARTBEAT_MS }, NEVER)) {
    const found = page.events.find((event) => event.type === type);
    if (found !== undefined) return found;
  }
  throw new Error(`task ${taskId} has ended without ${type}`);
}
