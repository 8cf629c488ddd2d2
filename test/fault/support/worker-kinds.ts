import { setTimeout } from "node:timers/promises";
import * as v from "valibot";
import { defineKind, TaskError } from "../../../src/kinds/define-kind.ts";
import type { Kind, TaskContext } from "../../../src/kinds/define-kind.ts";
import type { WriteNote } from "./worker-notes.ts";

// What the workers of the fault scenario run. Each event says which number it has among those of its attempt and whose
// process emitted it; after each flush the process notes how many it was told are stored.

/** Nobody waits long for the next attempt: the scenario is short. */
const RETRY = { initialBackoffMs: 200, maxBackoffMs: 1_000 };
/** A checkpoint is made, and a flush waited for, once in so many steps. */
const CHECKPOINT_EVERY = 10;
const FLUSH_EVERY = 5;

const steps = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(10_000));
const ms = v.pipe(v.number(), v.minValue(0), v.maxValue(10_000));
const walkParams = v.strictObject({ steps, every_ms: ms });
type Walk = v.InferOutput<typeof walkParams>;

export const KIND_NAMES = {
  steps: "worker-steps",
  resumable: "worker-resumable",
  flaky: "worker-flaky",
  stubborn: "worker-stubborn",
  exclusive: "worker-exclusive",
} as const;

/** The kinds of a worker's process, whose notes are written by `note`. */
export function workerKinds(note: WriteNote): Kind[] {
  const running = new Set<AbortSignal>();

  /** Takes notes of an attempt while it runs. */
  async function noted<Result>(task: TaskContext<unknown>, run: (emitter: Emitter) => Promise<Result>) {
    const { taskId, attempt, signal } = task;
    running.add(signal);
    note({ type: "began", taskId, attempt, running: [...running].filter(({ aborted }) => !aborted).length });
    try {
      return await run(new Emitter(task, note));
    } finally {
      running.delete(signal);
    }
  }

  return [
    defineKind({
      name: KIND_NAMES.steps,
      params: walkParams,
      retry: RETRY,
      run: (task) => noted(task, (emitter) => walk(task, emitter)),
    }),
    /** Goes on where an earlier attempt had come to. */
    defineKind({
      name: KIND_NAMES.resumable,
      params: walkParams,
      retry: RETRY,
      resumable: true,
      run: (task) =>
        noted(task, async (emitter) => {
          const from = Number((await task.lastCheckpoint())?.["step"] ?? 0);
          return walk(task, emitter, { from, checkpointEvery: CHECKPOINT_EVERY });
        }),
    }),
    /** Throws in its first attempts, after its steps; if `for_good`, so that no other is made. */
    defineKind({
      name: KIND_NAMES.flaky,
      params: v.strictObject({ ...walkParams.entries, failing_attempts: steps, for_good: v.boolean() }),
      retry: RETRY,
      run: (task) =>
        noted(task, async (emitter) => {
          const result = await walk(task, emitter);
          if (task.attempt > task.params.failing_attempts) return result;
          throw new TaskError("NOT_YET", `attempt ${task.attempt} fails`, { retryable: !task.params.for_good });
        }),
    }),
    /** Does not heed its signal: it walks on until an event of its own is refused. */
    defineKind({
      name: KIND_NAMES.stubborn,
      params: walkParams,
      retry: RETRY,
      run: (task) => noted(task, (emitter) => walk({ ...task, signal: new AbortController().signal }, emitter)),
    }),
    /** One at a time for each key. */
    defineKind({
      name: KIND_NAMES.exclusive,
      params: v.strictObject({ ...walkParams.entries, key: v.string() }),
      exclusive: ({ key }) => key,
      retry: RETRY,
      run: (task) => noted(task, (emitter) => walk(task, emitter)),
    }),
  ];
}

/** Emits the steps that are left, one in so many milliseconds; 0: as fast as there is room. */
async function walk(
  { params: { steps: total, every_ms: everyMs }, signal }: Pick<TaskContext<Walk>, "params" | "signal">,
  emitter: Emitter,
  { from = 0, checkpointEvery = Infinity } = {},
) {
  // Fast ones flush seldom, so that much is under way when a stream is cut.
  const flushEvery = everyMs === 0 ? FLUSH_EVERY * 50 : FLUSH_EVERY;
  for (let step = from + 1; step <= total; step++) {
    await emitter.step(step, total);
    if (step % checkpointEvery === 0) await emitter.checkpoint(step);
    if (step % flushEvery === 0) await emitter.flush();
    if (everyMs > 0) await setTimeout(everyMs, undefined, { signal });
  }
  await emitter.flush();
  return { emitted: total };
}

/** Numbers what an attempt emits, and notes what is said to be stored of it. */
class Emitter {
  readonly #task: TaskContext<unknown>;
  readonly #note: WriteNote;
  #number = 0;

  constructor(task: TaskContext<unknown>, note: WriteNote) {
    this.#task = task;
    this.#note = note;
  }

  step(step: number, total: number): Promise<void> {
    return this.#task.progress("steps", step, total, this.#mark());
  }

  checkpoint(step: number): Promise<void> {
    return this.#task.partial("checkpoint", { step, ...this.#mark() });
  }

  async flush(): Promise<void> {
    const { taskId, attempt } = this.#task;
    const events = this.#number;
    await this.#task.flush();
    this.#note({ type: "stored", taskId, attempt, events });
  }

  #mark() {
    return { attempt: this.#task.attempt, number: ++this.#number, pid: process.pid };
  }
}
