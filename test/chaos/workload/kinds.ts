import { setTimeout } from "node:timers/promises";
import * as v from "valibot";
import { defineKind, TaskError } from "../../../src/kinds/define-kind.ts";
import type { JsonObject, Kind, TaskContext } from "../../../src/kinds/define-kind.ts";
import type { WriteNote } from "./attempt-notes.ts";

// What the servers and the workers of a run do. All kinds write down what they really ran.

/** Short, so that tasks that fail end within the run. */
const RETRY = { initialBackoffMs: 200, maxBackoffMs: 1_000 };
const CHECKPOINT_EVERY = 5;
const STATE_EVERY = 4;
const LOG_EVERY = 15;

const count = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(10_000));
const ms = v.pipe(v.number(), v.minValue(0), v.maxValue(60_000));
const walkParams = v.strictObject({ steps: count, every_ms: ms });
type Walk = v.InferOutput<typeof walkParams>;

/** Returns the kinds of one sort of process. @param prefix `server` or `worker`: what their names begin with */
export function chaosKinds(prefix: string, note: WriteNote): Kind[] {
  /** Notes the begin and the end of an attempt. After its signal, the attempt notes nothing more. */
  async function noted(
    task: TaskContext<unknown>,
    run: (step: (step: number) => void) => Promise<JsonObject>,
    exclusiveKey: string | null = null,
  ): Promise<JsonObject> {
    const { taskId, attempt, signal } = task;
    let isOver = false;
    const end = (how: "returned" | "threw" | "signalled") => {
      if (!isOver) note({ taskId, attempt, what: "ended", how, exclusiveKey });
      isOver = true;
    };
    note({ taskId, attempt, what: "began", exclusiveKey });
    const onAbort = () => end("signalled");
    signal.addEventListener("abort", onAbort);
    try {
      const result = await run((step) => {
        if (!isOver) note({ taskId, attempt, what: "step", step, exclusiveKey });
      });
      end("returned");
      return result;
    } catch (error) {
      end("threw");
      throw error;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  return [
    /** Emits steps. With `every_ms` 0, as fast as there is room. */
    defineKind({
      name: `${prefix}.steps`,
      params: walkParams,
      retry: RETRY,
      run: (task) => noted(task, (step) => walk(task, step)),
    }),
    /** Is short, and is removed soon after its end by the settings of the servers. */
    defineKind({
      name: `${prefix}.brief`,
      params: walkParams,
      retry: RETRY,
      run: (task) => noted(task, (step) => walk(task, step)),
    }),
    /** Fails after its steps in its first attempts, if `for_good` without another attempt. */
    defineKind({
      name: `${prefix}.flaky`,
      params: v.strictObject({ ...walkParams.entries, failing_attempts: count, for_good: v.boolean() }),
      retry: RETRY,
      run: (task) =>
        noted(task, async (step) => {
          const result = await walk(task, step);
          if (task.attempt > task.params.failing_attempts) return result;
          throw new TaskError("NOT_YET", `attempt ${task.attempt} fails`, { retryable: !task.params.for_good });
        }),
    }),
    /** Runs one at a time for each key. */
    defineKind({
      name: `${prefix}.exclusive`,
      params: v.strictObject({ ...walkParams.entries, key: v.string() }),
      exclusive: ({ key }) => key,
      retry: RETRY,
      run: (task) => noted(task, (step) => walk(task, step), task.params.key),
    }),
    /** Continues after the last checkpoint of the attempts before. */
    defineKind({
      name: `${prefix}.resumable`,
      params: walkParams,
      retry: RETRY,
      resumable: true,
      run: (task) =>
        noted(task, async (step) => {
          const from = Number((await task.lastCheckpoint())?.["step"] ?? 0);
          return walk(task, step, from);
        }),
    }),
    /** Does not heed its signal, and continues until an event is refused. */
    defineKind({
      name: `${prefix}.stubborn`,
      params: walkParams,
      retry: RETRY,
      run: (task) => noted(task, (step) => walk({ ...task, signal: new AbortController().signal }, step)),
    }),
    /** Emits a text in pieces, with the states of a counter and log lines between them. */
    defineKind({
      name: `${prefix}.text`,
      params: v.strictObject({ pieces: count, every_ms: ms }),
      retry: RETRY,
      run: (task) => noted(task, (step) => write(task, step)),
    }),
  ];
}

type Emitted<Params> = Pick<
  TaskContext<Params>,
  "attempt" | "params" | "signal" | "progress" | "partial" | "flush" | "log"
>;

async function walk(task: Emitted<Walk>, note: (step: number) => void, from?: number): Promise<JsonObject> {
  const { steps: total, every_ms: everyMs } = task.params;
  for (let step = (from ?? 0) + 1; step <= total; step++) {
    await task.progress("steps", step, total, { step, attempt: task.attempt });
    note(step);
    if (from !== undefined && step % CHECKPOINT_EVERY === 0) {
      await task.partial("checkpoint", { step });
      await task.flush();
    }
    if (everyMs > 0) await setTimeout(everyMs, undefined, { signal: task.signal });
  }
  return { emitted: total };
}

async function write(
  task: Emitted<{ pieces: number; every_ms: number }>,
  note: (step: number) => void,
): Promise<JsonObject> {
  const { pieces, every_ms: everyMs } = task.params;
  const name = `answer ${task.attempt}`; // An attempt that begins its text again must use another name.
  for (let piece = 1; piece <= pieces; piece++) {
    const text = piece % 7 === 0 ? "東 😀" : ` t${piece}`;
    await task.partial("delta", { text }, { series: { name, mode: "append" } });
    if (piece % STATE_EVERY === 0) {
      await task.partial("state", { done: piece }, { series: { name: "count", mode: "latest" } });
    }
    if (piece % LOG_EVERY === 0) await task.log("INFO", `${piece} pieces`);
    note(piece);
    if (everyMs > 0) await setTimeout(everyMs, undefined, { signal: task.signal });
  }
  return { emitted: pieces };
}
